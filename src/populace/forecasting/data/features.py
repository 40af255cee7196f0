"""Exogenous columns as inputs of a model: one row of numbers per window."""

from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np

from populace.core.errors import UsageError
from populace.forecasting.data.exogenous import Exogenous
from populace.forecasting.data.panel import Panel

_PARTS = ("past", "future", "static")


@dataclass(frozen=True)
class Features:
    """Exogenous columns of a window: past ones over its history, future ones over its target, static ones.

    Each column is standardized by its mean and deviation in the panel that was fitted, up to its end.

    Attributes:
        names: columns of the past, of the future, and static ones.
        mean: of each, in this order.
        deviation: of each; 1 where it does not vary.

    """

    names: tuple[tuple[str, ...], ...] = ((), (), ())
    mean: np.ndarray = field(default_factory=lambda: np.zeros(0))
    deviation: np.ndarray = field(default_factory=lambda: np.ones(0))

    @classmethod
    def of(cls, panel: Panel) -> Self:
        """Return what the columns of a panel are standardized by."""
        if not panel.exogenous:
            return cls()
        names = tuple(tuple(getattr(panel.exogenous, part)) for part in _PARTS)
        columns = _columns(panel, panel.exogenous)
        mean = np.array([np.nanmean(column) for column in columns])
        deviation = np.array([np.nanstd(column) for column in columns])
        return cls(names, mean, np.where(deviation > 1e-9 * np.abs(mean), deviation, 1.0))

    def size(self, window: int, horizon: int) -> int:
        """Return how many numbers a window has."""
        past, future, static = (len(names) for names in self.names)
        return window * past + horizon * future + static

    def aligned(self, panel: Panel) -> Panel:
        """Return a panel with the columns that were fitted, in their order, standardized.

        Raises:
            UsageError: a column that is not there, or a category that was never seen.

        """
        mine: dict[str, dict[str, np.ndarray]] = {}
        at = 0
        for part, names in zip(_PARTS, self.names):
            given, mine[part] = dict(getattr(panel.exogenous, part)), {}
            _refuse_other(part, names, given)
            for name in names:
                like = next(iter(given.values()))
                column = given.get(name, np.zeros_like(like))  # a category that this panel does not have
                mine[part][name] = (column - self.mean[at]) / self.deviation[at]
                at += 1
        return replace(panel, exogenous=replace(panel.exogenous, **mine))

    def rows(
        self,
        panel: Panel,
        series: np.ndarray,
        ends: np.ndarray,
        window: int,
        horizon: int,
        padded: int | None = None,
    ) -> np.ndarray:
        """Return the numbers of windows, (N, size).

        Args:
            panel: of `aligned`.
            series: (N,) the series of each window.
            ends: (N,) how many steps of it lie before the target.
            window: steps of history.
            horizon: steps of the target.
            padded: steps that the numbers are for, if the target is shorter; the rest is at its mean.

        Raises:
            UsageError: a column is not known for the target, with the series and the step.

        """
        past, future, _ = self.names
        given, parts = panel.exogenous, [np.zeros((len(series), 0))]
        if past:
            places = (panel.offsets[series] + ends - window)[:, None] + np.arange(window)
            parts += [column[places] for column in given.past.values()]
        if future:
            short = np.flatnonzero(given.known[series] < ends + horizon)
            if short.size:
                i = int(short[0])
                ahead = int(given.known[series[i]] - ends[i])
                raise _unknown(panel, int(series[i]), future[0], ahead, horizon)
            block = given.steps(series, ends, horizon)
            bad = np.argwhere(np.isnan(block))
            if len(bad):
                i, step, column = bad[0]
                raise _unknown(panel, int(series[i]), future[column], int(step), horizon)
            rest = np.zeros((len(series), (padded or horizon) - horizon, len(future)))
            parts += [np.concatenate([block, rest], 1).reshape(len(series), -1)]
        parts += [column[series][:, None] for column in given.static.values()]
        return np.concatenate(parts, 1)


def _columns(panel: Panel, given: Exogenous) -> list[np.ndarray]:
    """Return all columns up to the end of each series: nothing ahead is learned from."""
    found = list(given.past.values())
    if given.future:
        places = np.repeat(given.begins - panel.offsets[:-1], panel.lengths) + np.arange(len(panel.values))
        found += [column[places] for column in given.future.values()]
    return found + list(given.static.values())


def _refuse_other(part: str, names: tuple[str, ...], given: dict[str, np.ndarray]) -> None:
    fitted = {name.partition("=")[0] for name in names}
    found = {name.partition("=")[0] for name in given}
    for name in sorted(fitted - found):
        raise UsageError(
            f"the model was fitted with the {part} column '{name}', which is not there; name it in {part}"
        )
    for name in given:
        column, _, level = name.partition("=")
        if column in fitted and name not in names:
            raise UsageError(
                f"category '{level}' of the {part} column '{column}' was not there when the model was "
                "fitted; fit it with examples of it"
            )


def _unknown(panel: Panel, series: int, name: str, ahead: int, horizon: int) -> UsageError:
    """Return the error of a column that is not known as far ahead as is forecast."""
    column = name.partition("=")[0]
    return UsageError(
        f"future column '{column}' is known {ahead:,} steps ahead of series {panel.ids[series]!r}, and the "
        f"horizon is {horizon}; add rows behind its last observation, without one, that hold the column"
    )
