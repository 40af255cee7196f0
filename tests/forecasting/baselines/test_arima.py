"""ARIMA by statsforecast: a process it must find; one line where the library is not installed."""

import importlib.util

import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.forecasting import ARIMA


@pytest.mark.skipif(not importlib.util.find_spec("statsforecast"), reason="statsforecast is not installed")
def test_an_autoregression_is_found():
    rng, series = np.random.default_rng(0), [0.0]
    for shock in rng.normal(size=600):
        series.append(0.8 * series[-1] + shock)
    found = ARIMA().fit(np.array(series)).predict(5, (0.5, 0.95))
    assert np.allclose(found.point[0], series[-1] * 0.8 ** np.arange(1, 6), atol=0.3)
    deviation = (found.quantile(0.95) - found.point)[0] / 1.644854
    assert np.allclose(deviation, np.sqrt((1 - 0.8 ** (2 * np.arange(1, 6))) / (1 - 0.64)), rtol=0.1)


@pytest.mark.skipif(bool(importlib.util.find_spec("statsforecast")), reason="statsforecast is installed")
def test_the_library_is_named_where_it_is_not_installed():
    with pytest.raises(UsageError, match=r"pip install populace\[forecasting\]"):
        ARIMA().fit(np.arange(30.0))
