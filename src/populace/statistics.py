"""What a population of scores says, and how sure one can be of it.

Scores have the shape `(runs,)`, or `(runs, tasks)` where the runs of one task are independent of
those of another. Every function draws from its own generator: the same seed gives the same numbers,
and NumPy's global state stays as it was.

Sources: Agarwal et al. 2021, "Deep Reinforcement Learning at the Edge of the Statistical Precipice"
(https://arxiv.org/abs/2108.13264); Efron and Tibshirani 1993, "An Introduction to the Bootstrap".
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

# Values held at a time (32 MiB), so that 2,000 resamples of 10,000 members do not fill the memory.
_BLOCK = 2**22


@dataclass(frozen=True)
class Interval:
    """A statistic and the confidence interval around it."""

    value: float
    low: float
    high: float

    def as_list(self) -> list[float | None]:
        """Return `[value, low, high]` for JSON, with None for NaN."""
        return _json(self.value, self.low, self.high)


@dataclass(frozen=True)
class Summary:
    """The scores of n members, one per member, and their aggregates with 95 % intervals."""

    n: int
    diverged: int
    scores: tuple[float, ...]
    iqm: Interval
    median: Interval
    mean: Interval

    def as_dict(self) -> dict[str, Any]:
        """Return the summary as it stands in `results.json`, with None for NaN."""
        aggregates = {"iqm": self.iqm, "median": self.median, "mean": self.mean}
        counts = {"n": self.n, "diverged": self.diverged, "scores": _json(*self.scores)}
        return counts | {name: interval.as_list() for name, interval in aggregates.items()}


def interquartile_mean(scores: ArrayLike, axis: int | None = None) -> Any:
    """Return the mean of the middle half, `mean(sorted(scores)[floor(n/4) : n - floor(n/4)])`.

    Robust to outliers like the median, and less noisy on few runs. `floor(n/4)` scores are cut from
    each end, so where 4 does not divide n a little more than half is kept (3 of 5, 5 of 7); fewer
    than 4 scores are not cut at all: it is then the plain mean.

    `scores` has any shape; `axis` is reduced, None takes all scores as one sample. Raises
    ValueError for no scores, and for NaN, which has no rank. Source: Agarwal et al. 2021.
    """
    values = np.asarray(scores, dtype=np.float64)
    if values.size == 0:
        raise ValueError(f"scores must hold at least one score, got shape {values.shape}")
    _refuse("scores", "NaN", np.isnan(values))
    if axis is None:
        values, axis = values.ravel(), 0
    count = values.shape[axis]
    # scipy.stats.trim_mean gives the same (a test), but its import would delay the start of every run.
    middle = np.sort(values, axis=axis).take(range(count // 4, count - count // 4), axis=axis)
    return middle.mean(axis=axis)


def bootstrap_interval(
    scores: ArrayLike,
    statistic: Callable[..., Any] = interquartile_mean,
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Interval:
    """Return a statistic of all scores with its stratified percentile-bootstrap interval.

    A resample draws within each task (column), independently of the other tasks, as many runs as
    there are, with replacement. The interval lies between the quantiles `(1 - confidence) / 2` and
    `(1 + confidence) / 2` of the statistic over the resamples. One run gives an interval of zero
    width: it says nothing about the spread.

    `scores` is `(runs,)` or `(runs, tasks)`. `statistic` is called as `statistic(batch, axis=-1)`
    on a batch `(b, runs * tasks)`, one resample per row, and must return `(b,)`, as `numpy.mean`
    does. Raises ValueError for scores that are empty, not finite or of more than 2 dimensions, a
    `confidence` outside (0, 1), `resamples` below 1, and a statistic that ignores `axis`.
    Source: Efron and Tibshirani 1993, chapter 13; stratified as in Agarwal et al. 2021.
    """
    table = _table("scores", scores)
    _refuse("scores", "infinite", np.isinf(table))
    generator = np.random.default_rng(seed)

    def evaluate(batch: Floats) -> Floats:
        values = np.asarray(statistic(batch.reshape(len(batch), -1), axis=-1), dtype=np.float64)
        if values.shape != (len(batch),):
            raise ValueError(f"statistic must return shape {(len(batch),)}, got {values.shape}")
        return values

    def replicate(count: int) -> Floats:
        drawn = generator.integers(len(table), size=(count, *table.shape))
        return evaluate(np.take_along_axis(table[None], drawn, axis=1))

    low, high = _percentiles(replicate, table.size, confidence, resamples)
    return Interval(float(evaluate(table[None])[0]), float(low), float(high))


def summarize(
    scores: ArrayLike,
    diverged: ArrayLike | None = None,
    *,
    worst: float | None = None,
    mode: Literal["max", "min"] = "max",
    seed: int = 0,
) -> Summary:
    """Summarize one score per member; one that diverged is never dropped, but scored as `worst`.

    A member diverged where the boolean mask `diverged` says so or its score is not finite. `worst`
    defaults to the worst finite score given, also if a diverged member has it: the lowest, or with
    `mode="min"` the highest. If no score is finite and no `worst` is given, there is nothing to
    score by: scores and intervals are NaN, which is None in `as_dict`.

    `scores` and `diverged` are `(members,)`; the intervals are those of `bootstrap_interval`.
    Raises ValueError for no scores, other shapes, a mask that is not boolean, a `worst` that is not
    finite, and an unknown `mode`.
    """
    given = np.asarray(scores, dtype=np.float64)
    if given.ndim != 1 or given.size == 0:
        raise ValueError(f"scores must have shape (members,), at least one, got {given.shape}")
    mask = np.zeros(given.shape, dtype=bool) if diverged is None else np.asarray(diverged)
    if mask.dtype != np.bool_ or mask.shape != given.shape:
        raise ValueError(f"diverged must be {given.shape} bool, got {mask.shape} {mask.dtype}")
    if mode not in ("max", "min"):
        raise ValueError(f"mode must be 'max' or 'min', got {mode!r}")
    finite = np.isfinite(given)
    if worst is None:
        pick = np.min if mode == "max" else np.max
        worst = float(pick(given[finite])) if finite.any() else math.nan
    elif not math.isfinite(worst):
        raise ValueError(f"worst must be finite, or None to take it from the scores, got {worst}")
    bad = mask | ~finite
    scored = np.where(bad, worst, given)
    aggregates = [Interval(math.nan, math.nan, math.nan)] * 3
    if not math.isnan(worst):
        statistics = (interquartile_mean, np.median, np.mean)
        aggregates = [bootstrap_interval(scored, each, seed=seed) for each in statistics]
    return Summary(given.size, int(bad.sum()), tuple(scored.tolist()), *aggregates)


def performance_profile(
    scores: ArrayLike,
    thresholds: ArrayLike,
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> tuple[Floats, Floats, Floats]:
    """Return the fraction of runs above each threshold, `mean_tasks mean_runs [score > threshold]`.

    `scores` is `(runs,)` or `(runs, tasks)`, infinite ones are welcome; `thresholds` is `(k,)`.
    Returns `(fraction, low, high)`, each `(k,)`. The stratified-bootstrap band is pointwise: each
    threshold is covered with the given confidence, not the whole curve at once.
    Raises ValueError for scores or thresholds that are empty, NaN or of another shape, and as
    `bootstrap_interval` for its options. Source: Agarwal et al. 2021.
    """
    table = _table("scores", scores)
    levels = np.asarray(thresholds, dtype=np.float64)
    if levels.ndim != 1 or levels.size == 0:
        raise ValueError(f"thresholds must have shape (k,), at least one, got {levels.shape}")
    _refuse("thresholds", "NaN", np.isnan(levels))
    generator = np.random.default_rng(seed)
    above = (table.reshape(-1, 1) > levels).astype(np.float64)

    def replicate(count: int) -> Floats:
        return _draws(generator, count, *table.shape).reshape(count, -1) @ above / table.size

    low, high = _percentiles(replicate, table.size + levels.size, confidence, resamples)
    return above.mean(axis=0), low, high


def probability_of_improvement(
    x: ArrayLike, y: ArrayLike, *, confidence: float = 0.95, resamples: int = 2000, seed: int = 0
) -> Interval:
    """Return how likely a run of X beats a run of Y, `mean_tasks (P(X > Y) + P(X = Y) / 2)`.

    Per task this is the Mann-Whitney `U / (n m)` of n runs of X and m of Y; 0.5 says no difference.
    The bootstrap resamples x and y independently of each other, each within its tasks.

    `x` is `(n,)` or `(n, tasks)`, `y` is `(m,)` or `(m, tasks)`; infinite scores are welcome.
    Raises ValueError for scores that are empty, NaN or of more than 2 dimensions, for different
    numbers of tasks, and as `bootstrap_interval` for its options. Source: Agarwal et al. 2021.
    """
    x_table, y_table = _table("x", x), _table("y", y)
    if x_table.shape[1] != y_table.shape[1]:
        raise ValueError(f"x and y must have the same tasks, got {x_table.shape}, {y_table.shape}")
    generator = np.random.default_rng(seed)
    y_sorted = np.sort(y_table, axis=0)

    def evaluate(x_draws: Floats, y_draws: Floats) -> Floats:
        wins = np.zeros(len(x_draws))
        for task, column in enumerate(y_sorted.T):
            # By rank a resample costs O(n + m), not the n m comparisons of the definition:
            # #(y < x) + #(y = x) / 2 is halfway between #(y < x) and #(y <= x).
            drawn_below = np.pad(np.cumsum(y_draws[:, :, task], axis=1), ((0, 0), (1, 0)))
            less = drawn_below[:, np.searchsorted(column, x_table[:, task], side="left")]
            not_more = drawn_below[:, np.searchsorted(column, x_table[:, task], side="right")]
            wins += np.sum(x_draws[:, :, task] * (less + not_more) / 2, axis=1)
        return wins / (len(x_table) * y_table.size)

    def replicate(count: int) -> Floats:
        x_draws = _draws(generator, count, *x_table.shape)
        return evaluate(x_draws, _draws(generator, count, *y_table.shape))

    low, high = _percentiles(replicate, x_table.size + y_table.size, confidence, resamples)
    value = evaluate(np.ones((1, *x_table.shape)), np.ones((1, *y_table.shape)))
    return Interval(float(value[0]), float(low), float(high))


def _draws(generator: np.random.Generator, count: int, runs: int, tasks: int) -> Floats:
    """Return how often each of `count` resamples holds each run, `(count, runs, tasks)`."""
    drawn = generator.integers(runs, size=(count, runs, tasks))
    cell = (np.arange(count)[:, None, None] * runs + drawn) * tasks + np.arange(tasks)
    return np.bincount(cell.ravel(), minlength=cell.size).reshape(cell.shape).astype(np.float64)


def _percentiles(replicate: Callable[[int], Floats], size: int, confidence: float, resamples: int) -> Floats:
    """Return the two quantiles of `replicate(b) -> (b, ...)`, called for blocks of b resamples."""
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, like 0.95, got {confidence}")
    if resamples < 1:
        raise ValueError(f"resamples must be at least 1, got {resamples}")
    block = max(1, _BLOCK // size)
    counts = [min(block, resamples - start) for start in range(0, resamples, block)]
    replicates = np.concatenate([replicate(count) for count in counts])
    return np.quantile(replicates, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)


def _table(name: str, scores: ArrayLike) -> Floats:
    table = np.asarray(scores, dtype=np.float64)
    if table.size == 0 or table.ndim not in (1, 2):
        raise ValueError(f"{name} must be (runs,) or (runs, tasks), not empty, got {table.shape}")
    _refuse(name, "NaN", np.isnan(table))
    return table.reshape(len(table), -1)


def _refuse(name: str, what: str, found: NDArray[np.bool_]) -> None:
    if found.any():
        raise ValueError(f"{name} must not be {what}, got {found.sum()} of {found.size}")


def _json(*values: float) -> list[float | None]:
    return [None if math.isnan(value) else value for value in values]
