"""Bootstrap of ratios of sums over series and time: what another sample of both might have shown.

Sources: D. N. Politis, J. P. Romano (1992), A circular block-resampling procedure for stationary data, in
Exploring the Limits of Bootstrap; A. B. Owen (2007), The pigeonhole bootstrap, Annals of Applied Statistics
1 (resampling rows and columns independently, which errs on the wide side).
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from populace.statistics import FEWEST, Interval
from populace.statistics.intervals.levels import tail

RESAMPLES = 2000
BLOCKS = FEWEST
"""Blocks that time is cut into, at least."""
GROUPS = 256
"""Of more series, groups of them in a random order are resampled: their sums have the same variance."""


@dataclass(frozen=True)
class BlockBootstrap:
    """Resamples of series and of blocks of time, shared by all statistics that are compared.

    Series are drawn with replacement, and independently of them blocks of consecutive steps of time, the same
    for all series, so that what happens to all series at once is not taken for evidence of many. Blocks are
    as long as a forecast, or a fifth of the time if that is shorter, and go round at its end. Fewer than 5
    series are taken as they are. So is time that fewer than 5 blocks fit in, and that of fewer than 5
    forecasts where series are not drawn: errors of one forecast go together, and of one series there would be
    too few that do not (docs/forecasting.md says how often intervals cover).

    Attributes:
        series: n.
        steps: steps of time, T.
        horizon: steps of a forecast.
        confidence: of the intervals.
        resamples: B.
        seed: of the draws.

    """

    series: int
    steps: int
    horizon: int
    confidence: float = 0.95
    resamples: int = RESAMPLES
    seed: int = 0

    @property
    def block(self) -> int:
        """Steps of a block."""
        return max(1, min(self.horizon, self.steps // BLOCKS))

    @property
    def over_series(self) -> bool:
        """Whether series are drawn."""
        return self.series >= FEWEST

    @property
    def over_time(self) -> bool:
        """Whether blocks of time are drawn."""
        windows = self.steps / self.horizon
        return windows >= (2 if self.over_series else FEWEST) and self.steps // self.block >= FEWEST

    @property
    def what(self) -> str:
        """What the intervals are over, for a caption; empty if there are none."""
        blocks = f"blocks of {self.block} step{'s' if self.block > 1 else ''}"
        parts = ["series"] * self.over_series + [blocks] * self.over_time
        return " and ".join(parts)

    def interval(self, above: np.ndarray, below: np.ndarray) -> Interval:
        """Return `sum above / sum below` and its percentile interval.

        Args:
            above: (n, T) what each series adds at each step.
            below: the same shape, not negative.

        Returns:
            Bounds are NaN where neither series nor time is enough, the value too where `below` is 0
            throughout. They are read farther out for few series or blocks, as those of all intervals are.

        """
        total = float(below.sum())
        value = float(above.sum()) / total if total else float("nan")
        if not total or not self.what:
            return Interval(value, float("nan"), float("nan"))
        grouped = [self._grouped(part) for part in (above, below)]
        top, bottom = (((self._series @ part) * self._times).sum(1) for part in grouped)
        found = top[bottom > 0] / bottom[bottom > 0]
        units = [self.series] * self.over_series + [self.steps // self.block] * self.over_time
        out = tail(self.confidence, min(units))
        low, high = np.quantile(found, [out, 1 - out])
        return Interval(value, min(float(low), value), max(float(high), value))

    @cached_property
    def _edges(self) -> np.ndarray:
        groups = min(self.series, GROUPS)
        return np.arange(groups) * self.series // groups

    @cached_property
    def _order(self) -> np.ndarray:
        return np.random.default_rng([self.seed, 0]).permutation(self.series)

    def _grouped(self, values: np.ndarray) -> np.ndarray:
        """Return the sums of groups of series, (groups, T)."""
        return values if self.series <= GROUPS else np.add.reduceat(values[self._order], self._edges)

    @cached_property
    def _series(self) -> np.ndarray:
        """How often each group is drawn, (B, groups)."""
        groups = len(self._edges)
        if not self.over_series:
            return np.ones((self.resamples, groups))
        drawn = np.random.default_rng([self.seed, 1]).integers(groups, size=(self.resamples, groups))
        return _counts(drawn, groups)

    @cached_property
    def _times(self) -> np.ndarray:
        """How often each step is drawn, (B, T)."""
        if not self.over_time:
            return np.ones((self.resamples, self.steps))
        blocks = -(-self.steps // self.block)
        starts = np.random.default_rng([self.seed, 2]).integers(self.steps, size=(self.resamples, blocks, 1))
        drawn = (starts + np.arange(self.block)) % self.steps
        return _counts(drawn.reshape(self.resamples, -1)[:, : self.steps], self.steps)


def _counts(drawn: np.ndarray, size: int) -> np.ndarray:
    rows = np.arange(len(drawn))[:, None] * size
    return np.bincount((drawn + rows).ravel(), minlength=len(drawn) * size).reshape(-1, size).astype(float)
