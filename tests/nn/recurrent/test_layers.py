from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.nn.recurrent.layers import GRU, LSTM, Elman, LinearRecurrence
from tests.nn.harness import check_layer

KINDS = [LinearRecurrence, Elman, LSTM, GRU]


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def linear_step(cell, x, state):
    return (state[0] @ cell.W_h + x @ cell.W_u + cell.b_h,)


def elman_step(cell, x, state):
    return (np.tanh(x @ cell.W_u + cell.b_h + state[0] @ cell.W_h),)


def lstm_step(cell, x, state):
    h, c = state
    H = h.size
    gate = lambda k: (x @ cell.W_u + cell.b_h + h @ cell.W_h)[k * H : (k + 1) * H]  # noqa: E731
    i, f, candidate, o = sigmoid(gate(0)), sigmoid(gate(1)), np.tanh(gate(2)), sigmoid(gate(3))
    c = f * c + i * candidate
    return (o * np.tanh(c), c)


def gru_step(cell, x, state):
    (h,) = state
    H = h.size
    u, p, b_n = x @ cell.W_u + cell.b_h[: 3 * H], h @ cell.W_h, cell.b_h[3 * H :]
    r, z = sigmoid(u[:H] + p[:H]), sigmoid(u[H : 2 * H] + p[H : 2 * H])
    n = np.tanh(u[2 * H :] + r * (p[2 * H :] + b_n))
    return ((1 - z) * n + z * h,)


STEPS = dict(zip(KINDS, [linear_step, elman_step, lstm_step, gru_step]))


def reference(layer, x, length=None, mask=None, initial=None):
    """Outputs and end states by plain loops over layers, directions and the real steps alone."""
    T, H = len(x), layer.hidden
    real = [t for t in range(T) if (length is None or t < length) and (mask is None or mask[t])]
    arrays = 2 if isinstance(layer, LSTM) else 1
    ends = [np.zeros((len(layer.cells), len(layer.cells[0]), H)) for _ in range(arrays)]
    for depth, row in enumerate(layer.cells):
        columns, last = [], []
        for direction, cell in enumerate(row):
            state = tuple(
                np.zeros(H) if initial is None else initial[k][depth, direction] for k in range(arrays)
            )
            output = (lambda h, c=cell: c.W_o @ h + c.b_o) if hasattr(cell, "W_o") else (lambda h: h)
            y = np.zeros((T, output(state[0]).size))
            for t in real[::-1] if direction else real:
                state = STEPS[type(layer)](cell, x[t], state)
                y[t] = output(state[0])
            columns.append(y)
            for k in range(arrays):
                ends[k][depth, direction] = state[k]
            last.append(output(state[0]))
        x = np.concatenate(columns, axis=1)
    return x, tuple(ends), np.concatenate(last)


class Scan(eqx.Module):
    """A layer called for outputs and state, so that the harness sees both."""

    inner: eqx.Module

    def __call__(self, x, mask, initial):
        return self.inner.scan(x, mask=mask, initial=initial)


def noisy(layer, scale=0.3):
    """Biases that start at zero would hide an error in them."""
    leaves, tree = jax.tree.flatten(layer)
    keys = jax.random.split(jax.random.key(7), len(leaves))
    return jax.tree.unflatten(tree, [w + scale * jax.random.normal(k, w.shape) for w, k in zip(leaves, keys)])


def make(kind, inputs=3, hidden=4, steps=6, **options):
    layer = noisy(kind(inputs, hidden, key=jax.random.key(0), **options))
    return layer, jax.random.normal(jax.random.key(1), (steps, inputs))


def state_of(layer, seed=2):
    keys = jax.random.split(jax.random.key(seed), len(layer.initial_state()))
    return tuple(jax.random.normal(k, s.shape) for k, s in zip(keys, layer.initial_state()))


@pytest.mark.parametrize("kind", KINDS)
def test_every_step_follows_the_formula(kind):
    layer, x = make(kind, **({"outputs": 2} if kind is LinearRecurrence else {}))
    check_layer(layer, (x,), lambda n, x: reference(n, x)[0])


def test_stacked_ragged_last():
    layer, x = make(LSTM, layers=2, last=True)
    check_layer(layer, (x, jnp.int32(4)), lambda n, x, length: reference(n, x, length)[2])


@pytest.mark.parametrize(("kind", "both"), [(LSTM, False), (GRU, True)])
def test_mask_and_initial_state(kind, both):
    layer, x = make(kind, bidirectional=both)
    mask = jnp.array([False, True, True, False, True, False])
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
    double = lambda tree: jax.tree.map(lambda a: np.asarray(a, np.float64), tree)  # noqa: E731
    found = jax.jit(lambda n, x: (*n.scan(x, length), n(x, length)))(layer, x)
    outputs, state, last = reference(double(layer), double(x), length)
    expected = (outputs, state, last if layer.last else outputs)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected)):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_padded_batch_gives_what_each_sequence_alone_gives(kind):
    """Values, and the gradients of weights and inputs, with NaN in the padding, in both directions."""
    layer, x = make(kind, bidirectional=True)
    lengths = (6, 1, 4)
    alone = [x[:n] * (1 + i) for i, n in enumerate(lengths)]
    padded = jnp.stack([jnp.pad(a, ((0, 6 - len(a)), (0, 0)), constant_values=jnp.nan) for a in alone])

    @jax.jit
    @partial(jax.value_and_grad, argnums=(0, 1), has_aux=True)
    def together(layer, xs):
        ys, (h, *_) = jax.vmap(layer.scan)(xs, jnp.array(lengths))
        return sum(_weigh(ys[i, :n]) + _weigh(h[i]) for i, n in enumerate(lengths)), ys

    @jax.jit
    @partial(jax.value_and_grad, argnums=(0, 1), has_aux=True)
    def separately(layer, xs):
        pairs = [layer.scan(x) for x in xs]
        return sum(_weigh(y) + _weigh(h) for y, (h, *_) in pairs), [y for y, _ in pairs]

    (_, found), (by_weights, by_input) = together(layer, padded)
    (_, expected), (by_weights_alone, by_input_alone) = separately(layer, alone)
    for i, n in enumerate(lengths):
        np.testing.assert_allclose(found[i, :n], expected[i], rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(by_input[i, :n], by_input_alone[i], rtol=1e-4, atol=1e-4)
        np.testing.assert_array_equal(found[i, n:], 0)
        np.testing.assert_array_equal(by_input[i, n:], 0)
    for a, b in zip(jax.tree.leaves(by_weights), jax.tree.leaves(by_weights_alone)):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


def _weigh(y):
    return jnp.sum(y * jnp.cos(jnp.arange(y.size)).reshape(y.shape))


@pytest.mark.parametrize("kind", KINDS)
def test_last_output_is_that_of_the_last_real_step(kind):
    layer, x = make(kind, layers=2)
    short, _ = make(kind, layers=2, last=True)
    np.testing.assert_allclose(short(x, 4), layer(x)[3], atol=1e-6)
    np.testing.assert_allclose(short(x), layer(x)[-1], atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_the_state_carries_on(kind):
    layer, x = make(kind, layers=2, steps=7)
    whole, end = layer.scan(x)
    first, middle = layer.scan(x[:3])
    second, found = layer.scan(x[3:], initial=middle)
    np.testing.assert_allclose(jnp.concatenate([first, second]), whole, atol=1e-6)
    for a, b in zip(found, end):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_no_real_step_leaves_the_state():
    layer, x = make(LSTM, layers=2)
    start = state_of(layer)
    outputs, end = layer.scan(x, 0, initial=start)
    np.testing.assert_array_equal(outputs, 0)
    for a, b in zip(end, start):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("kind", KINDS)
def test_forward_derivative_and_second_derivative(kind):
    """The derivative is written by hand; Jacobian products and Hessians must agree with it."""
    with jax.enable_x64(True):
        layer, x = make(kind, steps=4)
        direction = jax.random.normal(jax.random.key(3), x.shape)

        @jax.jit
        def slopes(x):
            loss = lambda x: _weigh(layer(x, 3) ** 2)  # noqa: E731
            gradient, curve = jax.jvp(jax.grad(loss), (x,), (direction,))
            return jax.jvp(loss, (x,), (direction,))[1], gradient, curve

        slope, gradient, curve = slopes(x)
        np.testing.assert_allclose(slope, jnp.vdot(gradient, direction), rtol=1e-10)
        step = 1e-5
        ahead, behind = (slopes(x + s * step * direction)[1] for s in (1, -1))
        np.testing.assert_allclose(curve, (ahead - behind) / (2 * step), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("kind", KINDS)
def test_weight_gradients_are_not_added_up_in_the_loop(kind):
    """No loop of the compiled gradient carries an array of the shape of the recurrent weights."""
    layer, x = make(kind)
    batch = jnp.stack([x, x])
    program = jax.make_jaxpr(jax.grad(lambda w: _loss(eqx.tree_at(_recurrent, layer, w), batch)))(
        _recurrent(layer)
    )
    loops = [e for e in _equations(program.jaxpr) if e.primitive.name == "scan"]
    assert len(loops) == 2
    for loop in loops:
        constants, carried = loop.params["num_consts"], loop.params["num_carry"]
        shapes = [v.aval.shape for v in loop.invars[constants : constants + carried]]
        assert shapes
        assert all(s == (2, 4) for s in shapes), shapes


def _recurrent(layer):
    return layer.cells[0][0].W_h


def _loss(layer, batch):
    return jnp.sum(jax.vmap(layer)(batch) ** 2)


def _equations(jaxpr):
    for equation in jaxpr.eqns:
        yield equation
        for inner in jax.tree.leaves(equation.params, is_leaf=lambda p: hasattr(p, "jaxpr")):
            if hasattr(inner, "jaxpr") and equation.primitive.name != "scan":
                yield from _equations(inner.jaxpr)


@pytest.mark.parametrize("kind", KINDS)
def test_initial_weights(kind):
    layer = kind(60, 50, key=jax.random.key(4))
    cell = layer.cells[0][0]
    for block in jnp.split(cell.W_h, type(cell).gates, axis=1):
        np.testing.assert_allclose(block.T @ block, np.eye(50), atol=1e-5)
    bound = np.sqrt(6 / 110)
    assert 0.95 * bound < np.abs(cell.W_u).max() <= bound
    biases = np.zeros(cell.b_h.size)
    if kind is LSTM:
        biases[50:100] = 1
    np.testing.assert_array_equal(cell.b_h, biases)
    other = kind(60, 50, key=jax.random.key(5)).cells[0][0]
    assert not np.allclose(cell.W_u, other.W_u)


def test_directions_and_layers_have_weights_of_their_own():
    layer = GRU(4, 4, layers=2, bidirectional=True, key=jax.random.key(0))
    cells = [cell for row in layer.cells for cell in row]
    assert [c.W_u.shape for c in cells] == [(4, 12), (4, 12), (8, 12), (8, 12)]
    for i, a in enumerate(cells):
        for b in cells[:i]:
            assert not np.allclose(a.W_h, b.W_h)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda n: n(jnp.zeros(6)), "input has shape (6,), expected (time, 3)"),
        (lambda n: n(jnp.zeros((6, 4))), "input has shape (6, 4), expected (time, 3)"),
        (lambda n: n(jnp.zeros((2, 6, 3))), "input has shape (2, 6, 3), expected (time, 3)"),
        (lambda n: n(jnp.zeros((0, 3))), "input has shape (0, 3), expected (time, 3)"),
        (lambda n: n(jnp.zeros((6, 3)), 7), "length must be in [0, 6], got 7"),
        (lambda n: n(jnp.zeros((6, 3)), -1), "length must be in [0, 6], got -1"),
        (lambda n: n(jnp.zeros((6, 3)), 2.5), "length must be one whole number, got float32 of shape ()"),
        (lambda n: n(jnp.zeros((6, 3)), jnp.array([2, 3])), "length must be one whole number, got int32 of"),
        (lambda n: n(jnp.zeros((6, 3)), mask=jnp.ones(5, bool)), "mask is bool of shape (5,), expected bool"),
        (lambda n: n(jnp.zeros((6, 3)), mask=jnp.ones(6)), "mask is float32 of shape (6,), expected bool"),
        (lambda n: n(jnp.zeros((6, 3)), 2, mask=jnp.ones(6, bool)), "give length or mask, not both"),
        (
            lambda n: n(jnp.zeros((6, 3)), initial=(jnp.zeros(4),)),
            "initial state has shapes ((4,),), expected ((1, 1, 4), (1, 1, 4))",
        ),
        (
            lambda n: LSTM(3, 0, key=jax.random.key(0)),
            "hidden_sizes must be a whole number of at least 1, got 0",
        ),
        (lambda n: LSTM(0, 4, key=jax.random.key(0)), "inputs must be a whole number of at least 1, got 0"),
        (
            lambda n: LSTM(3, 2.5, key=jax.random.key(0)),
            "hidden_sizes must be a whole number of at least 1, got 2.5",
        ),
        (lambda n: LSTM(3, 4, layers=0, key=jax.random.key(0)), "layers must be a whole number"),
    ],
)
def test_bad_input_is_refused_in_one_line(call, message):
    layer = LSTM(3, 4, key=jax.random.key(0))
    with pytest.raises(UsageError) as caught:
        call(layer)
    assert str(caught.value).startswith("LSTM: " + message)
    assert "\n" not in str(caught.value)


def test_bad_output_size_is_refused():
    with pytest.raises(
        UsageError, match="LinearRecurrence: outputs must be a whole number of at least 1, got 0"
    ):
        LinearRecurrence(3, 4, 0, key=jax.random.key(0))
