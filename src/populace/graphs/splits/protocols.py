"""The result of a cross-validation by the protocol of Xu et al. 2019."""

from dataclasses import dataclass

import numpy as np

from populace.core.errors import UsageError
from populace.runs.run import Run
from populace.statistics import Interval, mean_interval, with_worst


@dataclass(frozen=True)
class BestEpoch:
    """Result of the best-epoch protocol of Xu et al. 2019.

    Attributes:
        step: step at which the mean over folds is highest.
        accuracy: accuracy of each fold at that step.
        mean: mean over folds.
        deviation: standard deviation over folds, the number after the plus-minus in the paper's tables.
        interval: 95 % interval of the mean over folds, corrected for the training graphs that folds share;
            of fewer than 5 folds their range.
        diverged: number of folds whose training had diverged by that step.

    """

    step: int
    accuracy: np.ndarray
    mean: float
    deviation: float
    interval: Interval
    diverged: int


def best_epoch(run: Run, setting: int = 0) -> BestEpoch:
    """Return the highest mean accuracy over folds at a single epoch.

    `max_t mean_f accuracy_f(t)`, over the evaluations of the run. With `protocol = gin` the epoch is chosen
    on the test folds themselves, as in the paper: the result is optimistic. A fold whose training has
    diverged counts in every mean, with the lowest accuracy that any fold had at any epoch.

    Args:
        run: a cross-validation by `GraphClassifier`.
        setting: index of the setting.

    Raises:
        UsageError: a run without evaluations of that setting, without accuracies, or of which every fold
            diverged before the first evaluation.

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
    if not np.isfinite(values).any():
        raise UsageError(f"'{run.path}' has no accuracy of setting {setting}: every fold diverged")
    counted, epochs = with_worst(values), np.unique(steps)
    means = [counted[steps == step].mean() for step in epochs]
    step = int(epochs[int(np.argmax(means))])
    shared = run.recipe.population().plain_learner_of(setting).test_to_train
    chosen, diverged = counted[steps == step], ~np.isfinite(values[steps == step])
    return BestEpoch(
        step, chosen, float(chosen.mean()), float(chosen.std()),
        mean_interval(chosen, test_to_train=shared), int(diverged.sum()),
    )  # fmt: skip
