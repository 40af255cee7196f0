"""Losses of expected returns."""

import numpy as np
import pytest

from populace.rl.targets.td import Expectation
from tests.rl.targets.compared import compared


@pytest.mark.parametrize(("loss", "expected"), [("huber", [0.125, 1.5]), ("mse", [0.25, 4.0])])
def test_the_loss_is_that_of_the_temporal_difference(loss, expected):
    online, target = np.float32([1.0, 0.0]), np.float32([1.0, 5.0])
    reward, bootstrap = np.float32([1.0, 2.0]), np.float32([0.5, 0.0])
    found = compared(Expectation(), online, target, reward, bootstrap, loss)
    np.testing.assert_allclose(found.loss, expected)
    np.testing.assert_allclose(found.priority, [0.5, 2.0])
    np.testing.assert_array_equal(found.expected, online)
    found.assert_no_gradient_through_the_target()
