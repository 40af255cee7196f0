"""Protocols: what a cross-validation came to, by the two rules that papers use."""

from dataclasses import dataclass

import numpy as np

from populace.core.errors import UsageError
from populace.runs.run import Run
from populace.statistics import Interval, bootstrap_interval


@dataclass(frozen=True)
class BestEpoch:
    """The outcome of the protocol of Xu et al. 2019.

    Attributes:
        step: at which the mean over folds was highest.
        accuracy: of each fold there.
        mean: over folds.
        deviation: standard deviation over folds, as the paper's tables have it behind the plus-minus.
        interval: 95 % bootstrap interval of the mean over folds.

    """

    step: int
    accuracy: np.ndarray
    mean: float
    deviation: float
    interval: Interval


def best_epoch(run: Run, setting: int = 0) -> BestEpoch:
    """Return the highest mean over folds at one and the same epoch.

    `max_t mean_f accuracy_f(t)`, over the evaluations of the run. With `protocol = gin` these are on the
    tested fold itself: the number is the paper's, and optimistic, for nothing was held out to choose by.

    Args:
        run: a cross-validation by `GraphClassifier`.
        setting: index of the setting.

    Raises:
        UsageError: the run has no evaluations of that setting, or no accuracies.

    Source: K. Xu, W. Hu, J. Leskovec, S. Jegelka (2019), How Powerful are Graph Neural Networks?

    """
    table = run.metrics("evaluation").to_pydict()
    rows = [i for i, s in enumerate(table["setting"]) if s == setting]
    if not rows:
        raise UsageError(f"'{run.path}' has no evaluations of setting {setting}")
    if "accuracy" not in table:
        raise UsageError(f"'{run.path}' has no accuracies to choose an epoch by; its learner has no classes")
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
