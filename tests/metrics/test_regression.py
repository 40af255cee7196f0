"""R2 against scikit-learn's."""

import jax.numpy as jnp
import numpy as np
import pytest
from sklearn import metrics as theirs

from populace.metrics import regression as ours

RNG = np.random.default_rng(0)


def test_r2():
    y = RNG.normal(size=(50, 3))
    f = y + 0.3 * RNG.normal(size=(50, 3))
    found = ours.r2(((f - y) ** 2).sum(0), y)
    assert float(found) == pytest.approx(theirs.r2_score(y, f), rel=1e-5)
    assert float(ours.r2(jnp.zeros(1), jnp.ones((4, 1)))) == 0
    assert float(ours.r2(jnp.ones(1), jnp.ones((4, 1)))) == 0
