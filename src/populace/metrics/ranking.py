"""What rankings are worth: ROC-AUC and average precision, of several yes-or-no columns with gaps.

Both are exact with ties and defined as scikit-learn defines them, and run inside a compiled program.
"""

import jax
import jax.numpy as jnp


def roc_auc(scores: jax.Array, truth: jax.Array, known: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return the area under the curve of each column, (K,), and for which columns it is defined.

    It is the share of pairs, of a yes and a no, in which the yes has the higher score; a tie counts half.
    A column with a score of NaN has NaN.

    Args:
        scores: (N, K); higher is surer of a yes.
        truth: (N, K), 1 for yes and 0 for no.
        known: (N, K) bool, False where the truth is not known. A column has an area if a yes and a no are.

    Source: J. A. Hanley, B. J. McNeil (1982), The meaning and use of the area under a ROC curve.

    """
    yes, no = _split(truth, known)
    below, upto = _counts(scores, no, known)
    won = (below + upto) / 2 / jnp.maximum(jnp.sum(no, 0), 1)
    return _ranked(scores, known, _mean_over(yes, won)), (jnp.sum(yes, 0) > 0) & (jnp.sum(no, 0) > 0)


def average_precision(scores: jax.Array, truth: jax.Array, known: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return the average precision of each column, (K,), and for which columns it is defined.

    `sum_n (R_n - R_(n-1)) P_n` over thresholds, which is the mean over the yeses of the precision at their
    score. Arguments, and which columns have one, as in
    [`roc_auc`][populace.metrics.ranking.roc_auc].
    """
    yes, no = _split(truth, known)
    above_yes = jnp.sum(yes, 0) - _counts(scores, yes, known)[0]
    above_no = jnp.sum(no, 0) - _counts(scores, no, known)[0]
    precision = above_yes / jnp.maximum(above_yes + above_no, 1)
    return _ranked(scores, known, _mean_over(yes, precision)), (jnp.sum(yes, 0) > 0) & (jnp.sum(no, 0) > 0)


def _split(truth: jax.Array, known: jax.Array) -> tuple[jax.Array, jax.Array]:
    said = truth > 0.5
    return known & said, known & ~said


def _counts(scores: jax.Array, of: jax.Array, known: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return of how many rows of a kind, (N, K), the score is lower, and of how many it is not higher.

    Counts are whole numbers: sums of ranks in float32 would round from a few thousand rows on.
    """

    def column(score: jax.Array, of: jax.Array, known: jax.Array) -> tuple[jax.Array, jax.Array]:
        score = jnp.where(known, score, jnp.inf)  # behind all that are known
        order = jnp.argsort(score)
        ranked = score[order]
        before = jnp.append(0, jnp.cumsum(of[order].astype(jnp.int32)))
        ends = (jnp.searchsorted(ranked, score, side=side, method="sort") for side in ("left", "right"))
        below, upto = (before[end] for end in ends)
        return below, upto

    return jax.vmap(column, in_axes=1, out_axes=1)(scores, of, known)


def _ranked(scores: jax.Array, known: jax.Array, values: jax.Array) -> jax.Array:
    """Return the values (K,), NaN where a score that counts is NaN, which has no rank."""
    return jnp.where(jnp.any(known & jnp.isnan(scores), 0), jnp.nan, values)


def _mean_over(rows: jax.Array, values: jax.Array) -> jax.Array:
    """Return the mean of the values (N, K) in the rows of each column; 0 where there are none."""
    return jnp.sum(jnp.where(rows, values, 0.0), 0) / jnp.maximum(jnp.sum(rows, 0), 1)
