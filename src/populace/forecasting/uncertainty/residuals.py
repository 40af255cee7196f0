"""Errors of a fitted model, to be drawn again along paths: the residual bootstrap.

Source: B. Efron, R. J. Tibshirani (1993), An introduction to the bootstrap, chapter 8 (time series); L. A.
Thombs, W. R. Schucany (1990), Bootstrap prediction intervals for autoregression, JASA 85.
"""

from dataclasses import dataclass, field
from typing import Self

import numpy as np

_ENTRIES = 4_000_000  # errors kept of all series together, where each keeps at least _LEAST windows
_LEAST, _MOST = 10, 5000


@dataclass(frozen=True)
class Residuals:
    """Errors of the latest windows of each series.

    Attributes:
        errors: (N, steps) float32, series by series.
        offsets: (n + 1,) where those of each series begin.

    """

    errors: np.ndarray = field(default_factory=lambda: np.zeros((0, 1), np.float32))
    offsets: np.ndarray = field(default_factory=lambda: np.zeros(1, np.int64))

    @classmethod
    def of(cls, errors: np.ndarray, series: np.ndarray, count: int) -> Self:
        """Return errors by series; their mean over all is taken off, for they are to be drawn about 0."""
        sizes = np.bincount(series, minlength=count)
        return cls(errors - errors.mean(0), np.concatenate([[0], np.cumsum(sizes)]))

    @staticmethod
    def latest(series: np.ndarray, count: int, steps: int) -> np.ndarray:
        """Return which windows are kept, (N,): so many of the latest of each series as there is room for."""
        most = int(np.clip(_ENTRIES // max(1, count * steps), _LEAST, _MOST))
        sizes = np.bincount(series, minlength=count)
        behind = np.repeat(np.cumsum(sizes), sizes) - np.arange(len(series))
        return behind <= most

    def drawn(self, known: np.ndarray, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
        """Return errors drawn with replacement, (rounds, n * paths, steps).

        Args:
            known: (n,) the places of series; new ones, -1, and those without windows draw from all.
            shape: rounds and paths.
            rng: what draws.

        """
        rounds, paths = shape
        sizes = np.diff(self.offsets)
        own = (known >= 0) & (sizes[known] > 1)
        first = np.where(own, self.offsets[known], 0)
        size = np.where(own, sizes[known], len(self.errors))
        share = rng.random((rounds, len(known), paths))
        places = first[:, None] + (share * size[:, None]).astype(np.int64)
        return self.errors[places.reshape(rounds, -1)]
