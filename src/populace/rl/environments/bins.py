"""Bins of equal width along each number of an observation, the same in NumPy and in compiled programs."""

import dataclasses
import math
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from populace.core.errors import UsageError
from populace.rl.spaces import UNBOUNDED

Bound = float | Sequence[float | None] | None
_MAX_COUNT = 2**25  # more bins of equal width are narrower than float32 can tell apart, in any range


@dataclasses.dataclass(frozen=True, eq=False)
class Bins:
    """A box of observations divided into `counts[d]` bins of equal width along each dimension d.

        edge_{d,k} = low_d + k (high_d - low_d) / counts_d, rounded to float32, k = 1, ..., counts_d - 1
        bin_d = number of edges that x_d has reached, x_d >= edge_{d,k}
        index = (bin_0 * counts_1 + bin_1) * counts_2 + ...

    An edge belongs to the bin above it. Observations outside the box fall into its outermost bins, NaN into
    the first.

    The edges are computed once, by NumPy in float64, and observations are only compared with them: a quotient
    rounds otherwise in a compiled program than in NumPy, and an agent would act on other bins than those it
    was trained on.

    Attributes:
        counts: number of bins along each dimension, (d,).
        low: lower bound of the first bin, (d,).
        high: upper bound of the last bin, (d,).

    """

    counts: tuple[int, ...]
    low: np.ndarray
    high: np.ndarray

    @property
    def states(self) -> int:
        """Total number of bins."""
        return math.prod(self.counts)

    @cached_property
    def edges(self) -> np.ndarray:
        """Bounds between bins, (d, m) float32, ascending; NaN fills up to where m + 1 is a power of 2."""
        low, high = np.asarray(self.low, float), np.asarray(self.high, float)
        found = np.full(
            (len(self.counts), (1 << (max(self.counts) - 1).bit_length()) - 1), np.nan, np.float32
        )
        for d, count in enumerate(self.counts):
            k = np.arange(1, count)
            found[d, : count - 1] = (low[d] * (count - k) + high[d] * k) / count  # exact but for the quotient
        return _without_subnormals(found, np)

    def index(self, observation: Any) -> Any:
        """Map observations (..., d) to bin indices (...) int32; NumPy arrays stay NumPy arrays."""
        xp = jnp if isinstance(observation, jax.Array) else np
        x = xp.asarray(observation, xp.float32).reshape(*np.shape(observation)[:-1], len(self.counts))
        x = _without_subnormals(x, xp)
        row, edges = np.arange(len(self.counts)) * self.edges.shape[1], xp.asarray(self.edges.ravel())
        bins, ahead = xp.zeros(x.shape, xp.int32), (self.edges.shape[1] + 1) // 2
        while ahead:  # bisection: compare with the edge in the middle of those that are left
            bins = bins + xp.where(x >= edges[row + bins + ahead - 1], ahead, 0)
            ahead //= 2
        strides = np.cumprod((1, *self.counts[:0:-1]))[::-1].astype(np.int32)
        return xp.sum(bins * strides, axis=-1, dtype=xp.int32)

    def centers(self) -> np.ndarray:
        """Return the center of each bin, (states, d), ordered by index."""
        bins = np.stack(np.unravel_index(np.arange(self.states), self.counts), axis=-1)
        return self.low + (bins + 0.5) / np.asarray(self.counts) * (self.high - self.low)


def make_bins(
    name: str, low: np.ndarray, high: np.ndarray, bins: int | Sequence[int], begin: Bound, end: Bound
) -> Bins:
    """Return the bins for an environment with observation bounds `low` and `high`, (d,).

    Args:
        name: name of the environment, for error messages.
        low: lower bounds of the observation.
        high: upper bounds of the observation.
        bins: as for `aggregate`.
        begin: replacements of `low`, as `low` of `aggregate`.
        end: replacements of `high`.

    Raises:
        UsageError: as for `aggregate`.

    """
    size = len(low)
    counts = tuple(int(n) for n in ([bins] * size if isinstance(bins, int) else bins))
    if len(counts) != size:
        raise UsageError(
            f"environment '{name}' has observations of {size} numbers, got bins for {len(counts)}"
        )
    if min(counts) < 1:
        raise UsageError(f"environment '{name}': bins must be at least 1 along each dimension, got {counts}")
    if math.prod(counts) > np.iinfo(np.int32).max:
        raise UsageError(f"environment '{name}': {math.prod(counts):,} bins in total are too many; use fewer")
    lows, highs = _bounds(name, "low", low, begin), _bounds(name, "high", high, end)
    for d, (first, last) in enumerate(zip(lows, highs)):
        if not (abs(first) < UNBOUNDED and abs(last) < UNBOUNDED):
            raise UsageError(
                f"environment '{name}': dimension {d} of the observation has no finite bounds "
                f"({_format(first)} to {_format(last)}); give low and high for its bins "
                "(settings bins_low and bins_high)"
            )
        if first >= last:
            raise UsageError(
                f"environment '{name}': the lower bound of dimension {d} must be below its upper bound, "
                f"got {first:g} to {last:g}"
            )
        if counts[d] > _MAX_COUNT:
            raise _too_narrow(name, d, counts[d], first, last)
    made = Bins(counts, lows, highs)
    for d, (count, first, last) in enumerate(zip(counts, lows, highs)):
        between = np.array([first, *made.edges[d, : count - 1], last], np.float32)
        if not (np.diff(between) > 0).all():
            raise _too_narrow(name, d, count, first, last)
    return made


def _too_narrow(name: str, d: int, count: int, first: float, last: float) -> UsageError:
    return UsageError(
        f"environment '{name}': {count:,} bins from {first:g} to {last:g} in dimension {d} are narrower than "
        "observations in float32 can tell apart; use fewer bins, or a wider range"
    )


def _bounds(name: str, which: str, own: np.ndarray, given: Bound) -> np.ndarray:
    bounds = np.array(own, float)
    if given is None:
        return bounds
    values = list(given) if isinstance(given, Sequence | np.ndarray) else [given] * len(bounds)
    if len(values) != len(bounds):
        raise UsageError(
            f"environment '{name}' has observations of {len(bounds)} numbers, got {len(values)} for {which}"
        )
    for d, value in enumerate(values):
        if value is not None:
            bounds[d] = value
    return bounds


def _without_subnormals(x: Any, xp: Any) -> Any:
    """Return numbers of which those that compiled programs take for 0 are 0 in NumPy too."""
    return xp.where(xp.abs(x) < np.finfo(np.float32).tiny, np.float32(0), x)


def _format(bound: float) -> str:
    return f"{bound:g}" if abs(bound) < UNBOUNDED else "-inf" if bound < 0 else "inf"
