"""The largest over edges: its derivatives, and what counts where some are equal or no number."""

from typing import Any

import jax
import numpy as np
import pytest

from populace.nn.graph.aggregate import aggregate
from tests.nn.draws import weigh
from tests.nn.graph.formulas import BACKENDS, SQUARE, check_derivatives, draw, graph


@pytest.mark.parametrize("backend", BACKENDS)
def test_derivatives_are_those_of_finite_differences(backend: str) -> None:
    with jax.enable_x64(True):
        check_derivatives(lambda x: weigh(aggregate(SQUARE, x, "max", backend=backend) ** 2), draw(9, 2, 3))


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_first_of_equal_ones_has_the_gradient_and_a_nan_before_all(backend: str) -> None:
    edges = graph([0, 1, 2], [0, 0, 0], (2, 3))

    @jax.jit
    @jax.value_and_grad
    def largest(x: Any) -> Any:
        return aggregate(edges, x, "max", backend=backend).sum()

    np.testing.assert_array_equal(largest(np.float32([[1], [2], [2]]))[1], [[0.0], [1.0], [0.0]])
    value, gradient = largest(np.float32([[1], [np.nan], [2]]))
    assert np.isnan(value)
    np.testing.assert_array_equal(gradient, [[0.0], [1.0], [0.0]])
    np.testing.assert_array_equal(largest(np.float32([[1], [np.nan], [np.nan]]))[1], [[0.0], [1.0], [0.0]])
