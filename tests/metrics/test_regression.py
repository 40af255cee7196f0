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


@pytest.mark.parametrize("constant", [1.0, 0.3, 97.3])
@pytest.mark.parametrize("error", [0.0, 1.0])
def test_of_a_constant_there_is_nothing_to_explain(constant, error):
    # The mean of 77 float32 numbers 0.3 is another number.
    assert float(jax.jit(ours.r2)(np.float32([error]), np.full((77, 1), constant, np.float32))) == 0
