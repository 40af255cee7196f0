"""Errors on ETTh1 and the exchange rates as papers report them, with intervals over seeds and over time.

    POPULACE_DATA=DATA python benchmarks/forecast_quality.py [etth1] [exchange] [seeds] [--horizons 96 720]

Series are standardized by their training part; test windows begin at every step, and none is left out; what
is chosen is chosen before the test part. `etth1`: ridge regression, window 336, the penalty of the least
error on the validation part, fitted to the training part. `exchange`: the last value repeated, ridge
regression and means of both, by five rolling folds of training and validation part. `seeds`: NLinear by
gradient as the recipe `etth1-linear` trains it, weights of the best of six validations.

Intervals over time are of a circular bootstrap of blocks of target hours: each hour has the mean squared
error of all forecasts made for it, by all channels. A block of a week is longer than errors at one hour
say much of another's; a block of 576 hours, a fifth of the test part, is the longest that leaves five.
"""

import argparse
from collections.abc import Iterator
from typing import Any

import numpy as np

from populace.forecasting.data.panel import Panel
from populace.forecasting.datasets import dataset
from populace.forecasting.evaluation.block_bootstrap import BlockBootstrap
from populace.forecasting.forecaster import scales, standardized
from populace.forecasting.models.linear import Linear

PENALTIES = tuple(10.0**k for k in range(-4, 4))
BLOCKS = (168, 576)
PARTS = {"etth1": (14_400, 2_880, 2_880), "exchange-rates": (7_588, 760, 1_517)}
"""Steps that are used, of the validation part and of the test part."""
FOLDS = (0.375, 0.5, 0.625, 0.75, 0.875)
"""Where folds of an eighth begin, in shares of what is before the test part."""


def series(name: str) -> Panel:
    """Return a data set in units of its training part."""
    whole, validation, test = PARTS[name]
    panel = dataset(name).until(whole)
    return standardized(panel, scales(panel, validation + test))


def windows(panel: Panel, window: int, horizon: int, begin: int, end: int) -> tuple[np.ndarray, np.ndarray]:
    """Return histories (n, W, window) and targets in [begin, end), less the histories' last observation."""
    taken = np.stack(
        [
            np.lib.stride_tricks.sliding_window_view(row[begin - window : end], window + horizon)
            for row in panel
        ]
    )
    taken = taken - taken[..., window - 1 : window]
    return taken[..., :window], taken[..., window:]


def ridge(panel: Panel, end: int, window: int, horizon: int, penalty: float) -> np.ndarray:
    """Return weights (window + 1, horizon) that are fitted to the first `end` steps."""
    weights = Linear(window=window, horizon=horizon, penalty=penalty).fit(panel.until(end)).weights
    assert weights is not None
    return weights


def moments(panel: Panel, end: int, window: int, horizon: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the sums of x x' and x y' over all windows of the first `end` steps, x with a one behind it."""
    x, y = windows(panel, window, horizon, window, end)
    x = np.concatenate([x, np.ones((*x.shape[:2], 1))], 2).reshape(-1, window + 1)
    return x.T @ x, x.T @ y.reshape(-1, horizon)


def by_hour(errors: np.ndarray) -> np.ndarray:
    """Return sums and counts of squared errors (n, W, horizon) at each step of the targets, (2, 1, T)."""
    _, count, horizon = errors.shape
    sums = np.zeros((2, 1, count + horizon - 1))
    for step in range(horizon):
        sums[0, 0, step : step + count] += np.square(errors[:, :, step]).sum(0)
        sums[1, 0, step : step + count] += len(errors)
    return sums


def over_time(sums: np.ndarray) -> Iterator[str]:
    """Return the 95 % intervals of the mean squared error for both lengths of blocks."""
    for block in BLOCKS:
        found = BlockBootstrap(1, sums.shape[2], block).interval(*sums)
        yield f"{found.low:.4f} to {found.high:.4f}"


def etth1(horizons: list[int]) -> None:
    """Print the errors of the closed form."""
    panel = series("etth1")
    whole, validation, test = PARTS["etth1"]
    learned = whole - validation - test
    print(
        "| horizon | penalty | test MSE | 95 %, blocks of 168 hours | blocks of 576 |\n|---|---|---|---|---|"
    )
    for horizon in horizons:
        tried = {}
        x, y = windows(panel, 336, horizon, learned, learned + validation)
        for penalty in PENALTIES:
            weights = ridge(panel, learned, 336, horizon, penalty)
            tried[penalty] = np.mean((x @ weights[:-1] + weights[-1] - y) ** 2), weights
        penalty = min(tried, key=lambda p: tried[p][0])
        x, y = windows(panel, 336, horizon, whole - test, whole)
        weights = tried[penalty][1]
        sums = by_hour(x @ weights[:-1] + weights[-1] - y)
        error = sums[0].sum() / sums[1].sum()
        print(f"| {horizon} | {penalty:g} | {error:.4f} | {' | '.join(over_time(sums))} |", flush=True)


def exchange(horizon: int = 96) -> None:
    """Print which of many linear forecasters rolling folds choose, and what it does on the test part."""
    panel = series("exchange-rates")
    whole, _, test = PARTS["exchange-rates"]
    before = whole - test
    parts = [(int(before * at), int(before * (at + 0.125))) for at in FOLDS] + [(before, whole)]
    found: dict[Any, list[float]] = {"the last value": []}
    for begin, end in parts:
        found["the last value"].append(float(np.mean(windows(panel, 24, horizon, begin, end)[1] ** 2)))
        for window in (24, 96, 336):
            x, y = windows(panel, window, horizon, begin, end)
            gram, moment = moments(panel, begin, window, horizon)
            for penalty in PENALTIES:  # as `ridge`, with the sums over windows made once
                system = gram + penalty * np.diag(
                    np.append(np.full(window, gram[:-1, :-1].trace() / window), 0)
                )
                weights = np.linalg.solve(system, moment)
                forecast = x @ weights[:-1] + weights[-1]
                for share in (0.25, 0.5, 0.75, 1):
                    error = float(np.mean((share * forecast - y) ** 2))
                    found.setdefault((window, penalty, share), []).append(error)
    last = found["the last value"]
    relative = {key: np.mean([e / n for e, n in zip(errors[:5], last)]) for key, errors in found.items()}
    best = min(relative, key=lambda key: relative[key])
    tests = [errors[-1] for errors in found.values()]
    told = f"test MSE {found[best][-1]:.4f}, the last value's {last[-1]:.4f}"
    print(f"\nOf {len(found)} forecasts the folds choose {best}: {told}.")
    second = min((key for key in found if key != best), key=lambda key: relative[key])
    told = f"{relative[second]:.3f} of the last value's error in the folds, test {found[second][-1]:.4f}"
    print(f"Next is {second} (window, penalty, share): {told}.")
    print(f"All of them have {min(tests):.4f} to {max(tests):.4f} on the test part.")


def seeds(horizons: list[int], members: int, steps: int) -> None:
    """Print the errors of networks that are trained by gradient."""
    import populace as pop
    from populace.core.population import sweep
    from populace.engine.training_loop import Engine
    from populace.forecasting.dataset_forecaster import DatasetForecaster
    from populace.optim.schedules import Cosine
    from populace.statistics import bootstrap_interval

    pop.setup()
    panel = series("etth1")
    whole, validation, test = PARTS["etth1"]
    heads = ("horizon", "seeds", "test MSE", "95 % over seeds", "over blocks of 168 hours", "of 576")
    print(f"\n| {' | '.join(heads)} |\n{'|---' * len(heads)}|")
    for horizon in horizons:
        learner = DatasetForecaster(
            dataset="etth1", length=whole, validation=validation, test=test, window=336, horizon=horizon,
            batch_size=32, learning_rate=1e-3, schedule=Cosine(steps=steps),
        ).load_data()  # fmt: skip
        engine = Engine(sweep(learner, seeds=members), "vmap")
        engine.train(steps, window=steps, evaluate_every=max(1, steps // 6))
        model = engine.group_states[0].best.model
        x, y = windows(panel, 336, horizon, whole - test, whole)
        sums, each = np.zeros((2, 1, test)), []
        for weight, bias in zip(np.asarray(model.weight)[:members], np.asarray(model.bias)):
            one = by_hour(x.astype(np.float32) @ weight.T + bias - y)
            each.append(one[0].sum() / one[1].sum())
            sums = sums + one / members
        centre = bootstrap_interval(np.array(each))
        cells = f"{centre.value:.4f} | {centre.low:.4f} to {centre.high:.4f} | {' | '.join(over_time(sums))}"
        print(f"| {horizon} | {members} | {cells} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("parts", nargs="*", default=["etth1", "exchange", "seeds"])
    parser.add_argument("--horizons", type=int, nargs="+", default=[96, 720])
    parser.add_argument("--members", type=int, default=100, help="seeds")
    parser.add_argument("--steps", type=int, default=3000, help="gradient steps")
    args = parser.parse_args()
    if "etth1" in args.parts:
        etth1(args.horizons)
    if "exchange" in args.parts:
        exchange()
    if "seeds" in args.parts:
        seeds(args.horizons, args.members, args.steps)


if __name__ == "__main__":
    main()
