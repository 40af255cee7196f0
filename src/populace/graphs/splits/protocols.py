"""The result of a cross-validation by the protocol of Xu et al. 2019."""

from dataclasses import dataclass

import numpy as np

from populace.core.errors import UsageError
from populace.runs.run import Run
from populace.statistics import Interval, bootstrap_interval


@dataclass(frozen=True)
class BestEpoch:
    """Result of the best-epoch protocol of Xu et al. 2019.

    Attributes:
        step: step at which the mean over folds is highest.
        accuracy: accuracy of each fold at that step.
        mean: mean over folds.
        deviation: standard deviation over folds, the number after the plus-minus in the paper's tables.
        interval: 95 % bootstrap interval of the mean over folds.

    """

    step: int
    accuracy: np.ndarray
    mean: float
    deviation: float
    interval: Interval


def best_epoch(run: Run, setting: int = 0) -> BestEpoch:
    """Return the highest mean accuracy over folds at a single epoch.

    `max_t mean_f accuracy_f(t)`, over the evaluations of the run. With `protocol = gin` the epoch is chosen
    on the test folds themselves, as in the paper: the result is optimistic.

    Args:
        run: a cross-validation by `GraphClassifier`.
        setting: index of the setting.

    Raises:
        UsageError: a run without evaluations of that setting, or without accuracies.

    Source: K. Xu, W. Hu, J. Leskovec, S. Jegelka (2019), How Powerful are Graph Neural Networks?

    """
    table = run.metrics("evaluation").to_pydict()
    rows = [i for i, s in enumerate(table["setting"]) if s == setting]
    if not rows:
        raise UsageError(f"'{run.path}' has no evaluations of setting {setting}")
    if "accuracy" not in table:
        raise UsageError(f"'{run.path}' has no accuracies to choose an epoch by; use a run of a classifier")
    steps = np.asarray(table["step"])[rows]
    values = np.asarray([table["accuracy"][i] for i in rows], np.float64)
    epochs = np.unique(steps)
    means = [np.nanmean(values[steps == step]) for step in epochs]
    step = int(epochs[int(np.argmax(means))])
    chosen = values[steps == step]
    return BestEpoch(
        step, chosen, float(chosen.mean()), float(chosen.std()),
        bootstrap_interval(chosen, np.mean),
    )  # fmt: skip
