"""Recurrent layers against loops in NumPy: all shapes of network, ragged sequences, given states."""

import equinox as eqx
import jax
import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.nn.recurrent.layers import GRU, LSTM, Elman, LinearRecurrence
from tests.nn.draws import quick_key
from tests.nn.harness import check_layer
from tests.nn.recurrent.formulas import KINDS, make, reference, state_of


class Scan(eqx.Module):
    """A layer called for outputs and state, so that the harness sees both."""

    inner: eqx.Module

    def __call__(self, x, mask, initial):
        return self.inner.scan(x, mask=mask, initial=initial)


@pytest.mark.parametrize("kind", KINDS)
def test_every_step_follows_the_formula(kind):
    layer, x = make(kind, **({"outputs": 2} if kind is LinearRecurrence else {}))
    check_layer(layer, (x,), lambda n, x: reference(n, x)[0], eager=True)


def test_stacked_ragged_last():
    layer, x = make(Elman, layers=2, last=True)
    check_layer(layer, (x, np.int32(4)), lambda n, x, length: reference(n, x, length)[2])


@pytest.mark.parametrize(("kind", "both"), [(LSTM, False), (Elman, True)])
def test_mask_and_initial_state(kind, both):
    layer, x = make(kind, bidirectional=both)
    mask = np.array([False, True, True, False, True, False])
    check_layer(
        Scan(layer),
        (x, mask, state_of(layer)),
        lambda n, x, mask, initial: reference(n.inner, x, mask=mask, initial=initial)[:2],
    )


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (LinearRecurrence, {"layers": 2, "bidirectional": True, "outputs": 2}),
        (Elman, {"layers": 3, "bidirectional": True}),
        (LSTM, {"layers": 2, "bidirectional": True, "last": True}),
        (GRU, {"inputs": 1, "hidden": 1, "steps": 1}),
    ],
)
def test_outputs_and_state_of_any_shape_of_network(kind, options):
    layer, x = make(kind, **options)
    length = max(1, len(x) - 1)
    found = jax.jit(lambda n, x: (*n.scan(x, length), n(x, length)))(layer, x)
    outputs, state, last = reference(*jax.tree.map(np.float64, (layer, x)), length)
    expected = (outputs, state, last if layer.last else outputs)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_last_output_is_that_of_the_last_real_step(kind):
    layer, x = make(kind, layers=2)
    short, _ = make(kind, layers=2, last=True)
    ragged, whole, outputs = jax.jit(lambda x: (short(x, 4), short(x), layer(x)))(x)
    np.testing.assert_allclose(ragged, outputs[3], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(whole, outputs[-1], rtol=1e-5, atol=1e-6)


def test_no_real_step_leaves_the_state():
    layer, x = make(LSTM, layers=2)
    start = state_of(layer)
    outputs, end = jax.jit(lambda x, start: layer.scan(x, 0, initial=start))(x, start)
    np.testing.assert_array_equal(outputs, 0)
    for a, b in zip(end, start, strict=True):
        np.testing.assert_array_equal(a, b)


def test_directions_and_layers_have_weights_of_their_own():
    layer = jax.jit(lambda: GRU(4, 4, layers=2, bidirectional=True, key=quick_key()))()
    cells = [cell for row in layer.cells for cell in row]
    assert [c.W_u.shape for c in cells] == [(4, 12), (4, 12), (8, 12), (8, 12)]
    for i, a in enumerate(cells):
        for b in cells[:i]:
            assert not np.allclose(a.W_h, b.W_h)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda n: n(np.zeros(6)), "input has shape (6,), expected (time, 3)"),
        (lambda n: n(np.zeros((6, 4))), "input has shape (6, 4), expected (time, 3)"),
        (lambda n: n(np.zeros((2, 6, 3))), "input has shape (2, 6, 3), expected (time, 3)"),
        (lambda n: n(np.zeros((0, 3))), "input has shape (0, 3), expected (time, 3)"),
        (lambda n: n(np.zeros((6, 3)), 7), "length must be in [0, 6], got 7"),
        (lambda n: n(np.zeros((6, 3)), -1), "length must be in [0, 6], got -1"),
        (lambda n: n(np.zeros((6, 3)), 2.5), "length must be one whole number, got float32 of shape ()"),
        (
            lambda n: n(np.zeros((6, 3)), np.array([2, 3], np.int32)),
            "length must be one whole number, got int32 of",
        ),
        (lambda n: n(np.zeros((6, 3)), mask=np.ones(5, bool)), "mask is bool of shape (5,), expected bool"),
        (
            lambda n: n(np.zeros((6, 3)), mask=np.ones(6, np.float32)),
            "mask is float32 of shape (6,), expected bool",
        ),
        (lambda n: n(np.zeros((6, 3)), 2, mask=np.ones(6, bool)), "give length or mask, not both"),
        (
            lambda n: n(np.zeros((6, 3)), initial=(np.zeros(4),)),
            "initial state has shapes ((4,),), expected ((1, 1, 4), (1, 1, 4))",
        ),
        (
            lambda n: LSTM(3, 0, key=jax.random.key(0)),
            "hidden must be a whole number of at least 1, got 0",
        ),
        (lambda n: LSTM(0, 4, key=jax.random.key(0)), "inputs must be a whole number of at least 1, got 0"),
        (
            lambda n: LSTM(3, 2.5, key=jax.random.key(0)),
            "hidden must be a whole number of at least 1, got 2.5",
        ),
        (lambda n: LSTM(3, 4, layers=0, key=jax.random.key(0)), "layers must be a whole number"),
    ],
)
def test_bad_input_is_refused_in_one_line(call, message):
    layer, _ = make(LSTM)
    with pytest.raises(UsageError) as caught:
        call(layer)
    assert str(caught.value).startswith("LSTM: " + message)
    assert "\n" not in str(caught.value)


def test_bad_output_size_is_refused():
    with pytest.raises(
        UsageError, match="LinearRecurrence: outputs must be a whole number of at least 1, got 0"
    ):
        LinearRecurrence(3, 4, 0, key=jax.random.key(0))
