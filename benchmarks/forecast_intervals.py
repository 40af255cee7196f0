"""How often the intervals of a backtest's scores cover the truth.

    python benchmarks/forecast_intervals.py  # some three minutes of one core

The score is the mean absolute error of forecasts of 12 steps, whose errors are independent from step to step,
an autoregression of .8, or a random walk; half of their variance may be common to all series. Each cell is
the share of 300 backtests whose 95 % interval holds the mean over 100,000 forecasts: its standard error is
1.3 % at 95 % and 2.3 % at 80 %.
"""

import numpy as np

from populace.forecasting.evaluation.block_bootstrap import BlockBootstrap

HORIZON, TRIALS = 12, 300
KEPT = {"independent": 0.0, "autoregression": 0.8, "random walk": 1.0}


def errors(rng: np.random.Generator, shape: tuple[int, int], kept: float, common: float) -> np.ndarray:
    """Return absolute errors, (series, windows * horizon)."""
    series, windows = shape
    own = rng.normal(size=(series, windows, HORIZON))
    shared = rng.normal(size=(1, windows, HORIZON))
    found = np.sqrt(1 - common) * own + np.sqrt(common) * shared
    for step in range(1, HORIZON):
        found[..., step] += kept * found[..., step - 1]
    return np.abs(found).reshape(series, -1)


def coverage(series: int, windows: int, kept: float, common: float) -> float:
    """Return how often the interval covers."""
    rng = np.random.default_rng(0)
    truth = errors(rng, (2000, 50), kept, 0.0).mean()
    hits = 0
    for seed in range(TRIALS):
        error = errors(rng, (series, windows), kept, common)
        made = BlockBootstrap(series, windows * HORIZON, HORIZON, resamples=1000, seed=seed)
        found = made.interval(error, np.ones_like(error))
        hits += found.low <= truth <= found.high
    return hits / TRIALS


def main() -> None:
    """Print the table."""
    print("| series | windows | common | " + " | ".join(KEPT) + " |")
    for series, counts in ((1, (5, 6, 10, 20)), (20, (3, 10)), (200, (3, 10))):
        for windows in counts:
            for common in (0.0,) if series == 1 else (0.0, 0.5):
                cells = [f"{coverage(series, windows, kept, common):.3f}" for kept in KEPT.values()]
                print(f"| {series} | {windows} | {common:g} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
