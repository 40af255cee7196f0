"""How often intervals cover the truth, equal settings differ significantly, and how lucky winners are.

    python benchmarks/coverage.py            # everything, some twenty minutes of one core
    python benchmarks/coverage.py intervals  # or: peers, improvement, families, luck, confirmed

Every trial draws n scores from a known distribution and asks the functions of `populace.statistics`
themselves; the peers are written out here. The standard error of a coverage of 95 % is 0.3 % over 4,000
trials, 0.5 % over 2,000, 0.6 % over 1,500, and 1.3 % over the 300 of bootstrap-t.
"""

import sys
from collections.abc import Callable

import numpy as np
from scipy import stats

from populace.statistics import (
    bootstrap_interval,
    interquartile_mean,
    mean_interval,
    median_interval,
    multiple_comparisons,
    probability_of_improvement,
    winner_bias,
    worth_pairing,
)

Draw = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]
SHAPES: dict[str, Draw] = {
    "normal": lambda r, s: r.normal(size=s),
    "heavy tails (t, 2 degrees)": lambda r, s: r.standard_t(2, size=s),
    "skewed (lognormal)": lambda r, s: r.lognormal(size=s),
    "ceiling, 70 % near it": lambda r, s: np.where(
        r.random(s) < 0.7, 1 - 0.05 * r.random(s), 0.95 * r.random(s)
    ),
    "two clusters, 50 : 50": lambda r, s: (r.random(s) < 0.5) + 0.1 * r.normal(size=s),
    "two clusters, 30 : 70": lambda r, s: (r.random(s) < 0.7) + 0.1 * r.normal(size=s),
    "discrete (of 10 tasks, 60 %)": lambda r, s: r.binomial(10, 0.6, size=s) / 10,
    "15 % of seeds fail": lambda r, s: np.where(
        r.random(s) < 0.15, 100 * r.random(s), 480 + 15 * r.normal(size=s)
    ),
    "ceiling, 70 % exactly on it": lambda r, s: np.where(r.random(s) < 0.7, 1.0, 0.95 * r.random(s)),
}
SYMMETRIC = {"normal": 0.0, "heavy tails (t, 2 degrees)": 0.0, "two clusters, 50 : 50": 0.5}
COUNTS = (3, 4, 5, 6, 7, 8, 10, 12, 16, 20, 30, 50, 100)
TRIALS = 4000
FAMILIES = (
    ("normal", 8, 0.0), ("ceiling, 70 % near it", 8, 0.0), ("skewed (lognormal)", 8, 0.0),
    ("normal", 8, 1.5), ("normal", 16, 0.0), ("normal", 16, 1.5),
)  # fmt: skip


def truth(name: str, statistic: Callable[..., float]) -> float:
    """Return the statistic of the distribution itself, from four million draws where it is not known."""
    if name in SYMMETRIC:
        return SYMMETRIC[name]
    return float(statistic(SHAPES[name](np.random.default_rng(99), (4_000_000,))))


def covered(bounds: np.ndarray, value: float) -> float:
    """Return the share of intervals (trials, 2) that hold a value, give or take rounding."""
    slack = 1e-9 * max(1.0, abs(value))
    return float(np.mean((bounds[:, 0] <= value + slack) & (value <= bounds[:, 1] + slack)))


def table(title: str, counts: tuple[int, ...], rows: dict[str, list[float]]) -> None:
    """Print a table of shares as Markdown."""
    print(f"\n{title}\n\n| scores | " + " | ".join(map(str, counts)) + " |")
    print("|---|" + "---|" * len(counts))
    for name, values in rows.items():
        print(f"| {name} | " + " | ".join(f"{v:.3f}".lstrip("0") for v in values) + " |", flush=True)


def intervals() -> None:
    """Print the coverage of the intervals of interquartile mean, median and mean."""
    chosen = {
        "Interquartile mean (`bootstrap_interval`)": (interquartile_mean, bootstrap_interval, COUNTS, TRIALS),
        "Median (`median_interval`)": (np.median, median_interval, (4, 5, 6, 8, 10, 16, 30, 100), 2000),
        "Mean (`mean_interval`)": (np.mean, mean_interval, (4, 5, 6, 8, 10, 16, 30, 100), 2000),
    }
    for title, (statistic, interval, counts, trials) in chosen.items():
        rows = {}
        for place, (name, draw) in enumerate(SHAPES.items()):
            value, rows[name] = truth(name, statistic), []
            for n in counts:
                found = [interval(row) for row in draw(np.random.default_rng([place, n]), (trials, n))]
                rows[name].append(covered(np.array([[i.low, i.high] for i in found]), value))
        table(title, counts, rows)


def _counts(n: int, resamples: int) -> np.ndarray:
    drawn = np.random.default_rng(n).integers(n, size=(resamples, n))
    return np.stack([np.bincount(row, minlength=n) for row in drawn]).astype(float)


def _middle(counts: np.ndarray) -> np.ndarray:
    """Return the weights of sorted scores in the interquartile mean of each resample."""
    n = counts.shape[1]
    cut = n // 4
    above = np.clip(np.cumsum(counts, axis=1), cut, n - cut)
    return np.diff(above, axis=1, prepend=cut) / (n - 2 * cut)


def _winsorized(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the interquartile mean of sorted rows and its standard error by Tukey and McLaughlin."""
    n = x.shape[1]
    cut = n // 4
    kept = n - 2 * cut
    clipped = np.clip(x, x[:, [cut]], x[:, [n - cut - 1]])
    return x[:, cut : n - cut].mean(1), np.sqrt(clipped.var(1, ddof=1) * (n - 1) / (kept * (kept - 1)))


def _by_percentile(replicates: np.ndarray, low: np.ndarray | float, high: np.ndarray | float) -> np.ndarray:
    """Return the quantiles of sorted replicates (trials, resamples), at levels that may differ by trial."""
    last = replicates.shape[1] - 1
    at = [
        np.clip(np.round(np.broadcast_to(q, len(replicates)) * last), 0, last).astype(int)
        for q in (low, high)
    ]
    return np.stack([replicates[np.arange(len(replicates)), place] for place in at], axis=1)


def _bca(x: np.ndarray, replicates: np.ndarray, middle: np.ndarray) -> np.ndarray:
    shift = stats.norm.ppf(np.clip((replicates < middle[:, None]).mean(1), 1e-4, 1 - 1e-4))
    left_out = np.stack(
        [interquartile_mean(np.delete(x, i, axis=1), axis=1) for i in range(x.shape[1])], axis=1
    )
    off = left_out.mean(1, keepdims=True) - left_out
    bend = (off**3).sum(1) / np.maximum(6 * (off**2).sum(1) ** 1.5, 1e-12)
    levels = []
    for z in stats.norm.ppf([0.025, 0.975]):
        levels.append(stats.norm.cdf(shift + (shift + z) / (1 - bend * (shift + z))))
    return _by_percentile(replicates, *levels)


def _studentized(x: np.ndarray, counts: np.ndarray) -> np.ndarray:
    middle, error = _winsorized(x)
    bounds = []
    for row, center, scale in zip(x, middle, error):
        drawn = np.repeat(np.tile(row, (len(counts), 1)).ravel(), counts.astype(int).ravel()).reshape(
            counts.shape
        )
        again, spread = _winsorized(drawn)
        t = (again - center) / np.maximum(spread, 1e-9 * max(scale, 1e-9))
        low, high = np.quantile(t, [0.025, 0.975])
        bounds.append((center - high * scale, center - low * scale))
    return np.array(bounds)


def peers() -> None:
    """Print the coverage of other intervals of the interquartile mean."""
    counts, trials, resamples = (4, 5, 8, 10, 16, 30), 1500, 2000
    methods = (
        "percentile bootstrap",
        "Hesterberg's expanded percentile",
        "BCa",
        "Tukey-McLaughlin",
        "bootstrap-t",
    )
    rows: dict[str, dict[str, list[float]]] = {m: {name: [] for name in SHAPES} for m in methods}
    for place, (name, draw) in enumerate(SHAPES.items()):
        value = truth(name, interquartile_mean)
        for n in counts:
            x = np.sort(draw(np.random.default_rng([place, n]), (trials, n)), axis=1)
            drawn = _counts(n, resamples)
            replicates = np.sort(x @ _middle(drawn).T, axis=1)
            middle, error = _winsorized(x)
            wide = stats.norm.cdf(-((n / (n - 1)) ** 0.5) * stats.t.ppf(0.975, n - 1))
            half = stats.t.ppf(0.975, n - 2 * (n // 4) - 1) * error
            few = 300  # the bootstrap of a studentized statistic has one of its own to sort per trial
            found = (
                _by_percentile(replicates, 0.025, 0.975),
                _by_percentile(replicates, wide, 1 - wide),
                _bca(x, replicates, middle),
                np.stack([middle - half, middle + half], axis=1),
                _studentized(x[:few], drawn[:1000]),
            )
            for method, bounds in zip(methods, found):
                rows[method][name].append(covered(bounds, value))
    for method in methods:
        table(method, counts, rows[method])


def improvement() -> None:
    """Print the coverage of the probability of improvement between shifted distributions."""
    counts, trials = (3, 4, 5, 8, 12, 20), 800
    for shift in (0.0, 0.8, 1.6):
        rows = {}
        for place, (name, draw) in enumerate(SHAPES.items()):
            generator = np.random.default_rng(place)
            one, other = draw(generator, (100_000,)), draw(generator, (100_000,))
            by = shift * (np.quantile(one, 0.84) - np.quantile(one, 0.16)) / 2
            value, rows[name] = probability_of_improvement(one + by, other).value, []
            for n in counts:
                pairs = zip(draw(generator, (trials, n)) + by, draw(generator, (trials, n)))
                found = [probability_of_improvement(x, y) for x, y in pairs]
                rows[name].append(covered(np.array([[i.low, i.high] for i in found]), value))
        table(f"Probability of improvement, shifted by {shift} half-widths of the middle 68 %", counts, rows)


def families() -> None:
    """Print how often any of 16 equal settings differs significantly from the best of them."""
    runs = 1000
    for name, seeds, shared in FAMILIES:
        generator, false = np.random.default_rng(seeds), 0
        for _ in range(runs):
            rows = SHAPES[name](generator, (16, seeds)) + shared * generator.normal(size=seeds)
            best = int(interquartile_mean(rows, axis=1).argmax())
            others = [row for i, row in enumerate(rows) if i != best]
            found = multiple_comparisons(rows[best], others, chosen=True, paired=worth_pairing(rows))
            false += any(comparison.significant for comparison in found)
        print(f"{name}, {seeds} seeds, seed effect {shared}: {false} of {runs} runs", flush=True)


def luck() -> None:
    """Print the luck of the winner of 16 equal settings, and what `winner_bias` says of it."""
    for name in ("normal", "skewed (lognormal)", "ceiling, 70 % near it"):
        for seeds in (4, 8, 16):
            generator, said, found = np.random.default_rng(seeds), [], []
            center = truth(name, interquartile_mean)
            for trial in range(1000):
                rows = SHAPES[name](generator, (16, seeds))
                found.append(float(interquartile_mean(rows, axis=1).max()) - center)
                if trial < 100 and (bias := winner_bias(list(rows), list(rows))):
                    said.append(bias.at_most)
            print(f"{name}, {seeds} seeds: luck {np.mean(found):.3f}, said {np.mean(said):.3f}", flush=True)


def confirmed() -> None:
    """Print the bias of the winner of 16 equal settings, at first and on 16 new seeds, in deviations."""
    runs = 4000
    for name, draw in SHAPES.items():
        center = truth(name, interquartile_mean)
        spread = float(draw(np.random.default_rng(98), (1_000_000,)).std())  # of t, the sample's: it has none
        for seeds in (4, 8):
            generator = np.random.default_rng([97, seeds])
            won = interquartile_mean(draw(generator, (runs, 16, seeds)), axis=2).max(axis=1)
            again = draw(generator, (runs, 16))
            anew = interquartile_mean(again, axis=1)
            found = [bootstrap_interval(row) for row in again[:1000]]
            share = covered(np.array([[i.low, i.high] for i in found]), center)
            before, after = ((x.mean() - center) / spread for x in (won, anew))
            print(
                f"{name}, {seeds} seeds: winner {before:+.3f}, confirmed {after:+.3f}, covered {share:.3f}",
                flush=True,
            )


if __name__ == "__main__":
    parts = {f.__name__: f for f in (intervals, peers, improvement, families, luck, confirmed)}
    for part in sys.argv[1:] or parts:
        parts[part]()
