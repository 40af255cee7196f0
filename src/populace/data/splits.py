"""Splits of examples: some held out, by class where there are classes, and folds."""

import numpy as np

from populace.core.errors import UsageError


def hold_out(labels: np.ndarray | None, examples: int, share: float, seed: int) -> tuple[np.ndarray, ...]:
    """Return the rows to train on and the rows held out, drawn at random, class by class if labeled.

    `round(share N)` rows are held out. Each class has its share of them, rounded by the largest remainder, so
    that the total is kept; what remainders tie for is drawn. Every class keeps an example to train on.

    Raises:
        UsageError: a share above 0 that holds out no row, or so many that a class could not be trained on.

    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(examples).astype(np.int32)
    take = round(share * examples)
    if share > 0 and not take:
        raise UsageError(
            f"validation {share:g} of {examples} examples is none; hold out more, give examples and labels, "
            "or set validation = 0 for none"
        )
    if labels is None:
        return np.sort(order[take:]), np.sort(order[:take])
    drawn = labels[order]
    counts = np.bincount(drawn)
    held = np.zeros(examples, bool)
    held[order[first_of_each_class(drawn, _by_class(counts, take, share, rng))]] = True
    rows = np.arange(examples, dtype=np.int32)
    return rows[~held], rows[held]


def _by_class(counts: np.ndarray, take: int, share: float, rng: np.random.Generator) -> np.ndarray:
    """Return how many of each class to hold out, `take` in all, at least one less than there are."""
    most, quota = np.maximum(counts - 1, 0), share * counts
    if take > most.sum():
        raise UsageError(
            f"validation {share:g} holds out {take} of {counts.sum()} examples, which leaves some of the "
            f"{np.count_nonzero(counts)} classes none to train on; hold out at most {most.sum()}"
        )
    held = np.minimum(np.floor(quota + 1e-9).astype(int), most)
    while missing := take - int(held.sum()):
        order = np.lexsort((rng.random(len(counts)), held - quota))
        held[order[held[order] < most[order]][:missing]] += 1
    return held


def first_of_each_class(labels: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return a mask (N,) of the first `counts[c]` examples of every class c."""
    chosen = np.zeros(len(labels), bool)
    for c, count in enumerate(counts):
        chosen[np.flatnonzero(labels == c)[:count]] = True
    return chosen


def fold_of(labels: np.ndarray, folds: int = 10, seed: int = 0) -> np.ndarray:
    """Return in which fold each example is tested, (G,) int32, every class spread evenly.

    They are the folds of scikit-learn's `StratifiedKFold(folds, shuffle=True, random_state=seed)`, by which
    graph classification is compared; for targets (G, K) those of its `KFold` with the same arguments.

    Raises:
        UsageError: there are fewer examples, or fewer of a class, than folds.

    Source: K. Xu, W. Hu, J. Leskovec, S. Jegelka (2019), How Powerful are Graph Neural Networks?,
    arXiv:1810.00826.

    """
    from sklearn.model_selection import KFold, StratifiedKFold

    labels = np.asarray(labels)
    found = np.full(len(labels), -1, np.int32)
    if labels.ndim == 2:
        if not 2 <= folds <= len(labels):
            raise UsageError(f"cannot draw {folds} folds of {len(labels)} examples")
        for fold, (_, test) in enumerate(KFold(folds, shuffle=True, random_state=seed).split(labels)):
            found[test] = fold
        return found
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise UsageError(
            f"folds are drawn by class; expected whole numbers (G,), got {labels.dtype} {labels.shape}"
        )
    classes, counts = np.unique(labels, return_counts=True)
    if folds < 2 or counts.min(initial=folds) < folds:
        few = (
            f"class {classes[counts.argmin()]} has {counts.min()} examples" if len(counts) else "no examples"
        )
        raise UsageError(f"cannot draw {folds} folds; {few}, and there must be from 2 to that many folds")
    splitter = StratifiedKFold(folds, shuffle=True, random_state=seed)
    for fold, (_, test) in enumerate(splitter.split(np.zeros(len(labels)), labels)):
        found[test] = fold
    return found
