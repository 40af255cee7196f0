"""R2 against scikit-learn's."""

import jax
import numpy as np
import pytest
from sklearn import metrics as theirs

from populace.metrics import regression as ours

RNG = np.random.default_rng(0)


def test_r2():
    y = RNG.normal(size=(50, 3))
    f = y + 0.3 * RNG.normal(size=(50, 3))
    r2 = jax.jit(ours.r2)
    found = r2(((f - y) ** 2).sum(0), y)
    assert float(found) == pytest.approx(theirs.r2_score(y, f), rel=1e-5)
    for error in (0, 1):  # of a constant there is nothing to explain
        assert float(r2(np.full(1, error, np.float32), np.ones((4, 1), np.float32))) == 0
