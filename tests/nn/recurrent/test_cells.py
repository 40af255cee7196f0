"""One step of every cell, its derivative, and the weights it starts with."""

from functools import partial

import jax
import numpy as np
import pytest

from populace.nn.recurrent.cells import ElmanCell, GRUCell, LinearCell, LSTMCell
from tests.nn.draws import draw, filled, quick_key
from tests.nn.recurrent.formulas import STEPS

CELLS = [partial(LinearCell, outputs=2), ElmanCell, LSTMCell, GRUCell]
names = pytest.mark.parametrize("make", CELLS, ids=["linear", "elman", "lstm", "gru"])


@names
def test_a_step_is_its_formula_and_push_its_derivative(make):
    cell = filled(lambda key: make(3, 4, key=key))
    x, state = draw(3, seed=1), tuple(draw(4, seed=2 + k) for k in range(cell.arrays))
    change = jax.tree.map(lambda a: draw(*a.shape, seed=a.size), (cell, x, state))

    @jax.jit
    def run(cell, x, state, change):
        def driven(cell, x, state):
            return cell.join(x @ cell.W_u, state[0] @ cell.W_h) + cell.b_h

        def whole(cell, x, state):
            return cell.step(state, driven(cell, x, state))[0]

        after, dafter = jax.jvp(whole, (cell, x, state), change)
        a, da = jax.jvp(driven, (cell, x, state), change)
        return after, dafter, cell.push(cell.step(state, a)[1], change[2], da)

    after, dafter, pushed = run(cell, x, state, change)
    expected = STEPS[type(cell)](*jax.tree.map(np.float64, (cell, x, state)))
    assert len(after) == len(expected) == len(pushed) == cell.arrays
    for found, exact in zip(after, expected):
        np.testing.assert_allclose(found, exact, rtol=1e-5, atol=1e-6)
    for found, exact in zip(pushed, dafter):
        np.testing.assert_allclose(found, exact, rtol=1e-4, atol=1e-5)


@names
def test_initial_weights(make):
    """Glorot-uniform from the input, orthogonal blocks from the past, and biases of zero but the LSTM's."""
    start = jax.jit(lambda seed: make(60, 50, key=quick_key(seed)))
    cell, other = start(4), start(5)
    for block in np.split(np.asarray(cell.W_h), type(cell).gates, axis=1):
        np.testing.assert_allclose(block.T @ block, np.eye(50), atol=1e-5)
    bound = np.sqrt(6 / 110)
    assert 0.95 * bound < np.abs(cell.W_u).max() <= bound
    biases = np.zeros(cell.b_h.size)
    if isinstance(cell, LSTMCell):
        biases[50:100] = 1
    np.testing.assert_array_equal(cell.b_h, biases)
    assert not np.allclose(cell.W_u, other.W_u)
    if isinstance(cell, LinearCell):
        bound = np.sqrt(6 / 52)
        assert cell.W_o.shape == (2, 50)
        assert 0.9 * bound < np.abs(cell.W_o).max() <= bound
        assert not np.any(cell.b_o)
