"""Gathering: numbers of the groups' slots, put together in the order of the population's members."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from populace.core.mean import Mean
from populace.engine.callbacks import Columns
from populace.engine.group_state import GroupState
from populace.engine.hosts import fetch


def gather(count: int, per_group: list[Any], states: Sequence[GroupState], missing: float = 0) -> np.ndarray:
    """Put per-slot arrays of groups together, (count, ...).

    Args:
        count: members of the population.
        per_group: an array for each group, slots in front.
        states: the groups.
        missing: what members have that are in none of them.

    """
    parts = [fetch(x) for x in per_group]
    out = np.full((count, *parts[0].shape[1:]), missing, parts[0].dtype)
    for group_state, part in zip(states, parts):
        indices = group_state.group.indices
        out[indices] = part[: len(indices)]
    return out


def columns(count: int, per_group: list[dict[str, Mean]], states: Sequence[GroupState]) -> Columns:
    """Put groups' metrics together: one value per member; NaN where nothing was measured."""
    found = {}
    for name in sorted({name for metrics in per_group for name in metrics}):
        nothing = [np.full(c.program.slots, np.nan, np.float32) for c in states]
        values = [_value(m[name]) if name in m else n for m, n in zip(per_group, nothing)]
        found[name] = gather(count, values, states, np.nan)
    return found


def _value(mean: Mean) -> np.ndarray:
    weight = fetch(mean.weight)
    total = fetch(mean.total)
    return np.divide(total, weight, out=np.full_like(total, np.nan), where=weight != 0)
