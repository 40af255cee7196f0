"""Panel: one or many regular series, which may have gaps."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from populace.core.errors import UsageError
from populace.forecasting.data.exogenous import Exogenous
from populace.forecasting.data.time.frequency import Frequency
from populace.forecasting.data.time.stamps import INTEGERS, Clock


@dataclass(frozen=True)
class Panel:
    """Series of one frequency, one behind the other; made by [`read`][populace.forecasting.data.read.read].

    Attributes:
        ids: the name of each of n series, as it was given.
        values: observations of all series, (total,) float64; NaN where one is missing.
        offsets: (n + 1,) where each series begins in `values`, and the total.
        starts: (n,) first stamp of each series: int64, or datetime64[us] in UTC.
        anchors: (n,) the day of the month that each series keeps.
        frequency: the distance between two observations.
        clock: how stamps are written.
        names: the columns of the name, the stamp and the observation.
        exogenous: columns beside the observations.

    """

    ids: tuple[Any, ...]
    values: np.ndarray
    offsets: np.ndarray
    starts: np.ndarray
    anchors: np.ndarray
    frequency: Frequency
    clock: Clock = INTEGERS
    names: tuple[str, str, str] = ("unique_id", "ds", "y")
    exogenous: Exogenous = field(default_factory=Exogenous)

    @classmethod
    def of(cls, series: Sequence[Any] | np.ndarray, *, frequency: "str | int" = 1) -> "Panel":
        """Return the panel of plain arrays, stamped 0, 1, 2 and so on; the series are named 0, 1, 2.

        Args:
            series: one array, or several of any lengths; NaN where an observation is missing.
            frequency: distance of the stamps, such as `1h`; what season a series has is known by it.

        Raises:
            UsageError: an array that is not one row of finite numbers, or is empty.

        """
        whole = np.asarray(series, object) if isinstance(series, list | tuple) else np.asarray(series)
        rows = list(series) if whole.ndim > 1 or (len(whole) and np.ndim(whole[0])) else [series]
        arrays = []
        for i, row in enumerate(rows):
            try:
                array = np.asarray(row, np.float64)
            except (TypeError, ValueError):
                raise UsageError(f"series {i} holds something else than numbers") from None
            if array.ndim != 1 or not array.size or np.isinf(array).any():
                raise UsageError(f"series {i} must be a row of finite numbers, got the shape {array.shape}")
            arrays.append(array)
        offsets = np.cumsum([0, *(len(array) for array in arrays)])
        zeros = np.zeros(len(arrays), np.int64)
        ids = tuple(range(len(arrays)))
        return cls(ids, np.concatenate(arrays), offsets, zeros, zeros, Frequency.parse(frequency))

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> np.ndarray:
        return self.values[self.offsets[index] : self.offsets[index + 1]]

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[i] for i in range(len(self)))

    @property
    def lengths(self) -> np.ndarray:
        """(n,) how many steps each series has, gaps counted."""
        return np.diff(self.offsets)

    @property
    def missing(self) -> np.ndarray:
        """(total,) whether a step misses its observation, or an exogenous column."""
        found = np.isnan(self.values)
        for column in self.exogenous.past.values():
            found = found | np.isnan(column)
        if self.exogenous.future:
            places = _rows(self.exogenous.begins, self.lengths)
            for column in self.exogenous.future.values():
                found = found | np.isnan(column[places])
        return found

    def places(self, ids: Sequence[Any]) -> np.ndarray:
        """Return where series of these names are, (len(ids),); -1 where there is none."""
        if ids == self.ids:
            return np.arange(len(ids))
        known = {identity: i for i, identity in enumerate(self.ids)}
        return np.array([known.get(identity, -1) for identity in ids], np.int64)

    def select(self, chosen: Sequence[int] | np.ndarray) -> "Panel":
        """Return the panel of some series, by their places."""
        chosen = np.asarray(chosen, np.int64)
        take = _rows(self.offsets[chosen], self.lengths[chosen])
        return replace(
            self,
            ids=tuple(self.ids[i] for i in chosen),
            values=self.values[take],
            offsets=np.concatenate([[0], np.cumsum(self.lengths[chosen])]),
            starts=self.starts[chosen],
            anchors=self.anchors[chosen],
            exogenous=self.exogenous.select(chosen, take),
        )

    def until(self, length: np.ndarray | int) -> "Panel":
        """Return the panel as it was after so many steps of each series: nothing behind them is left.

        Args:
            length: (n,) or one number; negative numbers count from the end, as in a slice.

        Raises:
            UsageError: a series would be left empty.

        """
        lengths = np.broadcast_to(np.asarray(length, np.int64), (len(self),))
        kept = np.where(lengths < 0, self.lengths + lengths, np.minimum(lengths, self.lengths))
        if np.any(kept < 1):
            worst = int(np.argmin(kept))
            raise UsageError(
                f"series {self.ids[worst]!r} has {self.lengths[worst]} observations, so nothing is left of "
                f"it after the cut; expected at least {self.lengths[worst] - kept[worst] + 1}"
            )
        take = _rows(self.offsets[:-1], kept)
        return replace(
            self,
            values=self.values[take],
            offsets=np.concatenate([[0], np.cumsum(kept)]),
            exogenous=self.exogenous.cut(take),
        )

    def last(self, count: int) -> "Panel":
        """Return the panel with no more than the last so many steps of each series."""
        kept = np.minimum(self.lengths, count)
        dropped = self.lengths - kept
        starts = np.array([self.stamps(i, int(d), 1)[0] for i, d in enumerate(dropped)], self.starts.dtype)
        take = _rows(self.offsets[:-1] + dropped, kept)
        return replace(
            self,
            values=self.values[take],
            offsets=np.concatenate([[0], np.cumsum(kept)]),
            starts=starts,
            exogenous=self.exogenous.cut(take, dropped),
        )

    def stamps(self, index: int, first: int = 0, count: int | None = None) -> np.ndarray:
        """Return stamps of a series, in UTC, from the given step; by default all that it has."""
        steps = np.arange(first, int(self.lengths[index]) if count is None else first + count)
        start, anchor = np.full(len(steps), self.starts[index]), np.full(len(steps), self.anchors[index])
        return self._advance(start, steps, anchor)

    def ends(self, horizon: int) -> np.ndarray:
        """Return the stamps of the `horizon` steps behind each series, (n, horizon), in UTC."""
        steps = self.lengths[:, None] + np.arange(horizon)
        start = np.broadcast_to(self.starts[:, None], steps.shape)
        anchor = np.broadcast_to(self.anchors[:, None], steps.shape)
        return self._advance(start, steps, anchor)

    def _advance(self, start: np.ndarray, steps: np.ndarray, anchor: np.ndarray) -> np.ndarray:
        """Return the stamps so many steps behind a start, in UTC."""
        if start.dtype.kind != "M" and self.frequency.kind != "integer":  # plain arrays: counted, not timed
            return start + steps
        if not self.frequency.calendar:
            return self.frequency.advance(start, steps, anchor)
        return self.clock.utc(self.frequency.advance(self.clock.local(start), steps, anchor))

    def __repr__(self) -> str:
        lengths = self.lengths
        span = (
            f"{lengths.min():,}"
            if lengths.min() == lengths.max()
            else f"{lengths.min():,} to {lengths.max():,}"
        )
        gaps = int(np.isnan(self.values).sum())
        missing = f", {gaps:,} missing" if gaps else ""
        return f"Panel({len(self):,} series of {span} observations, every {self.frequency}{missing})"


def _rows(begins: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return the places of runs that begin somewhere and have lengths, one behind the other."""
    before = np.cumsum(lengths) - lengths
    return np.arange(int(lengths.sum())) + np.repeat(begins - before, lengths)
