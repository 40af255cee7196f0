"""The frequency of series whose owner did not name it."""

import numpy as np

from populace.core.errors import UsageError
from populace.forecasting.data.time.frequency import Frequency, day_of_month, month_length

_DAY = 86_400_000_000


def infer_frequency(utc: np.ndarray, local: np.ndarray, first: np.ndarray) -> Frequency:
    """Return the one frequency that all series have; missing observations are allowed.

    It is the most common difference between neighbours, of which every other difference must be a multiple.

    Args:
        utc: stamps of all series one behind the other, ascending in each: int64, or datetime64[us] in UTC.
        local: the same by the local clock, which days and months are told by.
        first: the index of each series' first stamp.

    Raises:
        UsageError: no series has two observations, or differences have no common step; with those seen.

    """
    inner = np.ones(len(utc), bool)
    inner[first] = False
    if not inner.any():
        raise UsageError(
            "the frequency cannot be inferred: no series has two observations; name it, as frequency='1h' "
            "(--frequency 1h)"
        )
    if utc.dtype.kind != "M":
        return Frequency("integer", _common(utc, inner, str))
    series = np.cumsum(~inner) - 1
    days = np.diff(local, prepend=local[:1]).astype(np.int64)
    clock = (local - local.astype("datetime64[D]").astype("datetime64[us]")).astype(np.int64)
    if np.any(clock != clock[first][series]):
        return Frequency("time", _common(utc.astype(np.int64), inner, _span))
    if np.min(days[inner]) >= 28 * _DAY:
        anchor = anchors(local, first)[series]
        month = local.astype("datetime64[M]")
        if np.all(day_of_month(local) == np.minimum(anchor, month_length(month))):
            return Frequency("month", _common(month.astype(np.int64), inner, lambda n: f"{n} months"))
    weekday = (local.astype("datetime64[D]").astype(np.int64) + 3) % 7
    if (
        np.all(weekday < 5)
        and _mode(days[inner])[0] == _DAY
        and np.any(weekday[inner] < weekday[:-1][inner[1:]])
    ):
        return Frequency("business day", 1)
    return Frequency("day", _common(local.astype(np.int64), inner, _span) // _DAY)


def anchors(local: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Return the day of the month that each series is anchored at: the latest day that it has."""
    if local.dtype.kind != "M":
        return np.zeros(len(first), np.int64)
    return np.maximum.reduceat(day_of_month(local), first)


def _common(numbers: np.ndarray, inner: np.ndarray, named: object) -> int:
    """Return the most common difference; every other must be a multiple of it."""
    differences = np.diff(numbers, prepend=numbers[:1])[inner]
    values, counts = np.unique(differences, return_counts=True)
    step = int(values[np.argmax(counts)])
    if np.any(values % step):
        order = np.argsort(-counts, kind="stable")[:4]
        seen = ", ".join(f"{named(int(values[i]))} ({counts[i]:,} times)" for i in order)  # pyright: ignore[reportCallIssue]
        raise UsageError(
            f"the frequency cannot be inferred: between neighbours lie {seen}; name it, as frequency='1h' "
            "(--frequency 1h), or make the stamps regular"
        )
    return step


def _mode(values: np.ndarray) -> tuple[int, int]:
    found, counts = np.unique(values, return_counts=True)
    return int(found[np.argmax(counts)]), int(counts.max())


def _span(microseconds: int) -> str:
    for name, size in (("d", _DAY), ("h", 3_600_000_000), ("min", 60_000_000), ("s", 1_000_000)):
        if microseconds % size == 0:
            return f"{microseconds // size}{name}"
    return f"{microseconds}us"
