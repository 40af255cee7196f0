"""The panel in whatever holds series."""

from typing import Any

import numpy as np

from populace.forecasting.data.panel import Panel
from populace.forecasting.data.read import read


def panel_of(data: Any) -> Panel:
    """Return the panel in a table, in plain arrays, or as it is."""
    if isinstance(data, Panel):
        return data
    if isinstance(data, np.ndarray) or (
        isinstance(data, list) and data and not isinstance(data[0], dict | str)
    ):
        return Panel.of(data)
    return read(data)
