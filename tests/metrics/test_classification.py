"""Metrics against scikit-learn's, and calibration against a loop."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn import metrics as theirs

from populace.metrics import classification as ours

RNG = np.random.default_rng(0)
LOGITS = (RNG.normal(size=(200, 5)) * 2).astype(np.float32)
LABELS = RNG.integers(0, 5, size=200)


def test_accuracy_and_top_k():
    assert ours.correct(LOGITS, LABELS).mean() == pytest.approx(
        theirs.accuracy_score(LABELS, LOGITS.argmax(1))
    )
    for k in (1, 2, 4):
        expected = theirs.top_k_accuracy_score(LABELS, LOGITS, k=k)
        assert ours.in_top(jnp.asarray(LOGITS), LABELS, k).mean() == pytest.approx(expected)


def test_confusion_matrix():
    said = LOGITS.argmax(1)
    found = ours.confusion_matrix(said, LABELS, 5)
    np.testing.assert_array_equal(found, theirs.confusion_matrix(LABELS, said))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy(smoothing):
    p = np.exp(LOGITS) / np.exp(LOGITS).sum(1, keepdims=True)
    q = (1 - smoothing) * np.eye(5)[LABELS] + smoothing / 5
    np.testing.assert_allclose(
        ours.cross_entropy(LOGITS, LABELS, smoothing), -(q * np.log(p)).sum(1), rtol=1e-5
    )
    if not smoothing:
        mean = float(jnp.mean(ours.cross_entropy(LOGITS, LABELS)))
        assert mean == pytest.approx(theirs.log_loss(LABELS, p), rel=1e-5)


def test_calibration_error_is_that_of_a_loop_over_bins():
    probabilities = np.asarray(jax.nn.softmax(LOGITS))
    confidence, hit = probabilities.max(1), probabilities.argmax(1) == LABELS
    expected = 0.0
    for b in range(15):
        inside = (confidence >= b / 15) & (confidence < (b + 1) / 15)
        if inside.any():
            expected += inside.mean() * abs(hit[inside].mean() - confidence[inside].mean())
    sums = ours.calibration_sums(LOGITS, LABELS, jnp.ones(200))
    assert float(ours.calibration_error(sums)) == pytest.approx(expected, rel=1e-4)
