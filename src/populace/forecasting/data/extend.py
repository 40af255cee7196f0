"""A panel with the observations that came since."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from populace.core.errors import UsageError
from populace.forecasting.data.exogenous import Exogenous
from populace.forecasting.data.panel import Panel

_PARTS = ("past", "future", "static")


def extended(old: Panel, new: Panel) -> Panel:
    """Return a panel with what came behind it, and with new series behind its own.

    Args:
        old: what was known.
        new: observations of some of its series: what follows, or what is known with what follows. What it
            says of exogenous columns ahead replaces what was known of them.

    Raises:
        UsageError: other exogenous columns, a stamp that is no step of the panel, a gap before what is new,
            or known observations that have changed.

    """
    names = [{part: tuple(getattr(one.exogenous, part)) for part in _PARTS} for one in (old, new)]
    if names[0] != names[1]:
        raise UsageError(f"new observations have the exogenous columns {names[1]}, expected {names[0]}")
    places = old.places(new.ids)
    firsts = {int(k): (i, _first(old, new, int(k), i)) for i, k in enumerate(places) if k >= 0}
    for k, (i, first) in firsts.items():
        both = min(len(old[k]) - first, len(new[i]))
        same = np.array_equal(old[k][first : first + both], new[i][:both], equal_nan=True)
        if not same:
            raise UsageError(f"observations of series {old.ids[k]!r} that are known have changed; fit again")
    fresh = [i for i, k in enumerate(places) if k < 0]

    def joined(was: np.ndarray, now: np.ndarray) -> np.ndarray:
        """Return steps of all series, one behind the other."""
        parts = []
        for k in range(len(old)):
            mine = was[old.offsets[k] : old.offsets[k + 1]]
            if k in firsts:
                i, first = firsts[k]
                parts += [mine[:first], now[new.offsets[i] : new.offsets[i + 1]], mine[first + len(new[i]) :]]
            else:
                parts.append(mine)
        return np.concatenate([*parts, *(now[new.offsets[i] : new.offsets[i + 1]] for i in fresh)])

    lengths = old.lengths.copy()
    for k, (i, first) in firsts.items():
        lengths[k] = max(lengths[k], first + len(new[i]))
    lengths = np.append(lengths, new.lengths[fresh])
    given = replace(
        Exogenous(),
        past={name: joined(column, new.exogenous.past[name]) for name, column in old.exogenous.past.items()},
        static={
            name: np.concatenate([column, new.exogenous.static[name][fresh]])
            for name, column in old.exogenous.static.items()
        },
        **_ahead(old, new, firsts, fresh),
    )
    return replace(
        old,
        ids=old.ids + tuple(new.ids[i] for i in fresh),
        values=joined(old.values, new.values),
        offsets=np.concatenate([[0], np.cumsum(lengths)]),
        starts=np.concatenate([old.starts, new.starts[fresh]]),
        anchors=np.concatenate([old.anchors, new.anchors[fresh]]),
        exogenous=given,
    )


def _first(old: Panel, new: Panel, k: int, i: int) -> int:
    """Return the step of a series at which its new observations begin."""
    start, anchor = old.starts[k : k + 1], old.anchors[k : k + 1]
    stamp = new.starts[i : i + 1]
    if old.frequency.calendar:
        start, stamp = old.clock.local(start), old.clock.local(stamp)
    if start.dtype.kind != stamp.dtype.kind:
        raise UsageError(f"stamps of series {old.ids[k]!r} are of another kind than those that are known")
    steps, whole = old.frequency.index(start, stamp, anchor)
    step = int(steps[0])
    shown = new.clock.shown(new.starts[i])
    if not whole[0] or step < 0:
        raise UsageError(
            f"{shown} of series {old.ids[k]!r} is no step of {old.frequency} behind its start, "
            f"{old.clock.shown(old.starts[k])}"
        )
    if step > len(old[k]):
        raise UsageError(
            f"series {old.ids[k]!r} misses {step - len(old[k]):,} steps before {shown}; add them, as "
            "missing where they are not known"
        )
    return step


def _ahead(
    old: Panel, new: Panel, firsts: Mapping[int, tuple[int, int]], fresh: list[int]
) -> dict[str, Mapping[str, np.ndarray] | np.ndarray]:
    """Return columns that are known ahead, what is new in place of what was known."""
    if not old.exogenous.future:
        return {}
    was, now = old.exogenous, new.exogenous
    columns: dict[str, list[np.ndarray]] = {name: [] for name in was.future}
    for name, parts in columns.items():
        for k in range(len(old)):
            mine = was.future[name][was.begins[k] : was.begins[k] + was.known[k]]
            if k in firsts:
                i, first = firsts[k]
                newer = now.future[name][now.begins[i] : now.begins[i] + now.known[i]]
                mine = np.concatenate([mine[:first], newer, mine[first + len(newer) :]])
            parts.append(mine)
        parts += [now.future[name][now.begins[i] : now.begins[i] + now.known[i]] for i in fresh]
    known = np.array([len(part) for part in next(iter(columns.values()))])
    joined = {name: np.concatenate(parts) for name, parts in columns.items()}
    return {"future": joined, "begins": np.cumsum(known) - known, "known": known}
