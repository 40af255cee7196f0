"""Windows of history and future: where they begin, and what is done to their level and scale."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from populace.core.errors import UsageError
from populace.forecasting.data.panel import Panel

CENTERS = ("last", "mean", "none")
"""What a window's history is centered by: its last observation (NLinear), its mean, or nothing."""

SCALES = ("none", "deviation", "difference")
"""What it is divided by: nothing, its deviation, or the mean difference of observations a season apart."""


@dataclass(frozen=True)
class Windows:
    """Runs of `length` steps of a panel's series, by the places in `values` where they begin.

    Attributes:
        values: observations of all series, (total,).
        begins: (N,) where each window begins.
        series: (N,) the series it is of.
        length: steps of a window.

    """

    values: np.ndarray
    begins: np.ndarray
    series: np.ndarray
    length: int

    def __len__(self) -> int:
        return len(self.begins)

    def take(self, chosen: Any) -> np.ndarray:
        """Return some windows, (n, length)."""
        return self.values[self.begins[chosen][:, None] + np.arange(self.length)]

    def parts(self, size: int = 4096) -> Iterator[slice]:
        """Return the places of all windows, some thousand at a time."""
        return (slice(i, i + size) for i in range(0, len(self), size))


def windows(panel: Panel, length: int) -> Windows:
    """Return every run of `length` steps without a missing observation."""
    count = np.maximum(panel.lengths - length + 1, 0)
    series = np.repeat(np.arange(len(panel)), count)
    begins = np.arange(int(count.sum())) - np.repeat(np.cumsum(count) - count, count) + panel.offsets[series]
    missing = panel.missing
    if missing.any():
        gaps = np.concatenate([[0], np.cumsum(missing)])
        whole = gaps[begins + length] == gaps[begins]
        begins, series = begins[whole], series[whole]
    return Windows(panel.values, begins, series, length)


def enough(panel: Panel, window: int, horizon: int) -> Windows:
    """Return the windows of history and future.

    Raises:
        UsageError: there is none, or no number can be a window; with the longest series.

    """
    for name, value in (("window", window), ("horizon", horizon)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
            raise UsageError(f"the {name} must be a whole number of steps, at least 1, got {value!r:.40}")
    found = windows(panel, window + horizon)
    if len(found):
        say_short(panel, found.series, window + horizon)
        return found
    longest = int(np.argmax(panel.lengths))
    gaps = " without a gap" if panel.missing.any() else ""
    raise UsageError(
        f"a window of {window} and a horizon of {horizon} need {window + horizon} observations{gaps}, and "
        f"the longest series, {panel.ids[longest]!r}, has {panel.lengths[longest]}; give a shorter window "
        "or horizon"
    )


def say_short(panel: Panel, trained: np.ndarray, length: int, stacklevel: int = 4) -> None:
    """Warn of the series that are too short to be learned from; the others are.

    Args:
        panel: all series.
        trained: series that have windows, each at least once.
        length: steps of a window and a horizon.
        stacklevel: as of `warnings.warn`.

    """
    count = np.bincount(trained, minlength=len(panel))
    left = np.flatnonzero(count == 0)
    if left.size:
        shown = ", ".join(f"{panel.ids[i]!r} ({panel.lengths[i]:,})" for i in left[:5])
        warnings.warn(
            f"{left.size:,} of {len(panel):,} series are not learned from, as they have no {length:,} "
            f"observations in a row: {shown}{', ...' if left.size > 5 else ''}; the others are",
            stacklevel=stacklevel,
        )


def last_window(panel: Panel, window: int) -> np.ndarray:
    """Return the last steps of each series, (n, window).

    Raises:
        UsageError: a series is shorter, or has a gap there; it is named.

    """
    short = np.flatnonzero(panel.lengths < window)
    if short.size:
        worst = int(short[0])
        raise UsageError(
            f"series {panel.ids[worst]!r} has {panel.lengths[worst]:,} observations, fewer than the window "
            f"of {window} ({short.size:,} of {len(panel):,} series are too short); give a shorter window, "
            "or leave them out"
        )
    places = panel.offsets[1:, None] - window + np.arange(window)
    history = panel.values[places]
    gaps = np.flatnonzero(panel.missing[places].any(1))
    if gaps.size:
        raise UsageError(
            f"series {panel.ids[gaps[0]]!r} misses observations within its last {window} steps "
            f"({gaps.size:,} series do); fill them, or give a shorter window"
        )
    return history


def centered(history: Any, center: str, scale: str = "none", season: int = 1) -> tuple[Any, Any, Any]:
    """Return histories (..., window) less their level, and over their scale; and level and scale, (..., 1).

    The level is the last observation, the mean, or 0. The scale is 1, the standard deviation, or the mean
    absolute difference of observations a season apart, which scales errors in the MASE; it is at least a
    hundredth of the deviation. Both are of the history alone. A constant history has the scale 1. Arrays of
    NumPy or JAX.

    Sources: A. Zeng et al. (2023), Are transformers effective for time series forecasting? (NLinear);
        T. Kim et al. (2022), Reversible instance normalization (mean and deviation).

    """
    xp = history.__array_namespace__()
    level = {
        "last": history[..., -1:],
        "mean": history.mean(-1, keepdims=True),
        "none": xp.zeros_like(history[..., :1]),
    }[center]
    if scale == "none":
        return history - level, level, xp.ones_like(level)
    deviation = history.std(-1, keepdims=True)
    size = xp.abs(history).max(-1, keepdims=True)
    rounding = 1e-7 if history.dtype == np.float64 else 1e-5
    constant = deviation <= rounding * xp.maximum(size, 1e-30)
    if scale == "difference":
        apart = season if season < history.shape[-1] else 1
        difference = xp.abs(history[..., apart:] - history[..., :-apart])
        deviation = xp.maximum(
            difference.sum(-1, keepdims=True) / max(difference.shape[-1], 1), 0.01 * deviation
        )
    found = xp.where(constant, 1.0, deviation)
    return (history - level) / found, level, found
