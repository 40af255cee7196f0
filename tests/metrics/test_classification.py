"""Metrics against scikit-learn's, and calibration against a loop."""

import jax
import numpy as np
import pytest
import scipy.special
from sklearn import metrics as theirs

from populace.metrics import classification as ours

RNG = np.random.default_rng(0)
LOGITS = (RNG.normal(size=(200, 5)) * 2).astype(np.float32)
LABELS = RNG.integers(0, 5, size=200)


def test_accuracy_and_top_k():
    ks = (1, 2, 4)
    both = jax.jit(lambda logits, y: (ours.correct(logits, y), [ours.in_top(logits, y, k) for k in ks]))
    correct, in_top = jax.device_get(both(LOGITS, LABELS))
    assert correct.mean() == pytest.approx(theirs.accuracy_score(LABELS, LOGITS.argmax(1)))
    for k, found in zip(ks, in_top):
        assert found.mean() == pytest.approx(theirs.top_k_accuracy_score(LABELS, LOGITS, k=k))


def test_ties_go_to_the_lower_class_and_nan_is_no_success_in_every_accuracy():
    inf, nan = np.inf, np.nan
    logits = np.float32([
        [0, 0, 0], [0, 0, 0], [0, 0, 0], [1, 2, 2], [1, 2, 2], [-inf, -inf, 3], [-inf, -inf, 3],
        [nan, nan, nan], [nan, 1, 0], [nan, 1, 0], [2, nan, 0],
    ])  # fmt: skip
    labels = np.array([0, 1, 2, 1, 2, 0, 1, 0, 0, 1, 0])
    both = jax.jit(lambda x, y: (ours.correct(x, y), ours.in_top(x, y, 1), ours.in_top(x, y, 2)))
    correct, first, second = jax.device_get(both(logits, labels))
    finite = ~np.isnan(logits).any(1)
    np.testing.assert_array_equal(correct, np.where(finite, logits.argmax(1) == labels, 0))
    np.testing.assert_array_equal(first, correct)
    np.testing.assert_array_equal(second, [1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 1])


def test_confusion_matrix():
    said = LOGITS.argmax(1)
    np.testing.assert_array_equal(
        ours.confusion_matrix(said, LABELS, 5), theirs.confusion_matrix(LABELS, said)
    )
    weight = RNG.random(200)
    found = ours.confusion_matrix(said, LABELS, 5, weight)
    np.testing.assert_allclose(found, theirs.confusion_matrix(LABELS, said, sample_weight=weight))


def test_calibration_error_is_that_of_a_loop_over_bins():
    probabilities = scipy.special.softmax(LOGITS, axis=1)
    confidence, hit = probabilities.max(1), probabilities.argmax(1) == LABELS
    expected = 0.0
    for b in range(15):
        inside = (confidence >= b / 15) & (confidence < (b + 1) / 15)
        if inside.any():
            expected += inside.mean() * abs(hit[inside].mean() - confidence[inside].mean())
    error = jax.jit(lambda *given: ours.calibration_error(ours.calibration_sums(*given)))
    assert float(error(LOGITS, LABELS, np.ones(200, np.float32))) == pytest.approx(expected, rel=1e-4)
