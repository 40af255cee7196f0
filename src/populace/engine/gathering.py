"""Gathering: numbers of the groups' slots, put together in the order of the population's members."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from populace.core.mean import Mean
from populace.engine.callbacks import Columns
from populace.engine.group_state import GroupState
from populace.engine.hosts import fetch, together

_WHOSE = "whose"
"""The indices of the members that the other columns are of, in what a process gives to others."""


def gather(
    count: int,
    per_group: list[Any],
    states: Sequence[GroupState],
    missing: float = 0,
    *,
    divided: bool = False,
    everywhere: bool = True,
) -> np.ndarray:
    """Put per-slot arrays of groups together, (count, ...).

    Args:
        count: members of the population.
        per_group: an array for each group, slots in front.
        states: the groups.
        missing: what members have that are in none of them.
        divided: whether the other processes have groups of other members.
        everywhere: whether all processes are to know all; else the first one alone does.

    """
    parts = [fetch(x)[: len(s.group.indices)] for s, x in zip(states, per_group)]
    if divided:
        given = {_WHOSE: _whose(states), "values": np.concatenate(parts)}
        found = together.arrays(given, "numbers of the members", everywhere=everywhere)
        parts, indices = [x["values"] for x in found], [x[_WHOSE] for x in found]
    else:
        indices = [s.group.indices for s in states]
    out = np.full((count, *parts[0].shape[1:]), missing, parts[0].dtype)
    for where, part in zip(indices, parts):
        out[where] = part
    return out


def columns(
    count: int,
    per_group: list[dict[str, Mean]],
    states: Sequence[GroupState],
    *,
    divided: bool = False,
    everywhere: bool = True,
) -> Columns:
    """Put groups' metrics together: one value per member; NaN where nothing was measured.

    Args:
        count: members of the population.
        per_group: metrics of each group.
        states: the groups.
        divided: whether the other processes have groups of other members.
        everywhere: whether all processes are to know all; else the first one alone does.

    """
    own = {}
    for name in sorted({name for metrics in per_group for name in metrics}):
        nothing = [np.full(c.program.slots, np.nan, np.float32) for c in states]
        values = [_value(m[name]) if name in m else n for m, n in zip(per_group, nothing)]
        own[name] = gather(count, values, states, np.nan)
    if not divided:
        return own
    whose = _whose(states)
    given = {name: column[whose] for name, column in own.items()} | {_WHOSE: whose}
    found = together.arrays(given, "metrics of the members", everywhere=everywhere)
    whole = {}
    for name in sorted({name for part in found for name in part} - {_WHOSE}):
        kind = next(part[name].dtype for part in found if name in part)
        whole[name] = np.full(count, np.nan, kind)
        for part in found:
            if name in part:
                whole[name][part[_WHOSE]] = part[name]
    return whole


def _whose(states: Sequence[GroupState]) -> np.ndarray:
    return np.concatenate([state.group.indices for state in states])


def _value(mean: Mean) -> np.ndarray:
    weight = fetch(mean.weight)
    total = fetch(mean.total)
    return np.divide(total, weight, out=np.full_like(total, np.nan), where=weight != 0)
