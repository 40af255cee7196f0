"""The scan over time, whose derivative is written by hand: padding, derivatives, and what its loops carry."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from populace.nn.recurrent.scan import recur
from tests.nn.draws import draw, weigh
from tests.nn.recurrent.formulas import KINDS, make


@pytest.mark.parametrize("kind", KINDS)
def test_a_padded_batch_gives_what_each_sequence_alone_gives(kind):
    """Values, and the gradients of weights and inputs, with NaN in the padding, in both directions."""
    layer, x = make(kind, bidirectional=True)
    lengths = (1, 4)
    alone = [x[:n] * (1 + i) for i, n in enumerate(lengths)]
    padded = np.stack([np.pad(a, ((0, 6 - len(a)), (0, 0)), constant_values=np.nan) for a in alone])

    def together(layer, xs):
        ys, (h, *_) = jax.vmap(layer.scan)(xs, np.array(lengths))
        return sum(weigh(ys[i, :n]) + weigh(h[i]) for i, n in enumerate(lengths)), ys

    def separately(layer, xs):
        pairs = [layer.scan(x) for x in xs]
        return sum(weigh(y) + weigh(h) for y, (h, *_) in pairs), [y for y, _ in pairs]

    @jax.jit
    def both(layer, padded, alone):
        slopes = (jax.value_and_grad(f, argnums=(0, 1), has_aux=True) for f in (together, separately))
        return [slope(layer, xs) for slope, xs in zip(slopes, (padded, alone))]

    found, expected = jax.tree.map(np.asarray, both(layer, padded, alone))
    (_, ys), (by_weights, by_input) = found
    (_, ys_alone), (by_weights_alone, by_input_alone) = expected
    for i, n in enumerate(lengths):
        np.testing.assert_allclose(ys[i, :n], ys_alone[i], rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(by_input[i, :n], by_input_alone[i], rtol=1e-4, atol=1e-4)
        np.testing.assert_array_equal(ys[i, n:], 0)
        np.testing.assert_array_equal(by_input[i, n:], 0)
    for a, b in zip(jax.tree.leaves(by_weights), jax.tree.leaves(by_weights_alone)):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_forward_derivative_and_second_derivative(kind):
    """Products with the Jacobian, and with the Hessian, agree with the gradient."""
    with jax.enable_x64(True):
        layer, x = jax.tree.map(np.float64, make(kind, steps=4))
        direction = np.float64(draw(*x.shape, seed=3))

        @jax.jit
        def slopes(x):
            loss = lambda x: weigh(layer(x, 3) ** 2)  # noqa: E731
            gradient, curve = jax.jvp(jax.grad(loss), (x,), (direction,))
            return jax.jvp(loss, (x,), (direction,))[1], gradient, curve

        slope, gradient, curve = map(np.asarray, slopes(x))
        np.testing.assert_allclose(slope, np.vdot(gradient, direction), rtol=1e-10)
        step = 1e-5
        ahead, behind = (np.asarray(slopes(x + s * step * direction)[1]) for s in (1, -1))
        np.testing.assert_allclose(curve, (ahead - behind) / (2 * step), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("kind", KINDS)
def test_weight_gradients_are_not_added_up_in_the_loop(kind, monkeypatch):
    """No loop of the compiled gradient carries an array of the shape of the recurrent weights."""
    monkeypatch.setattr("populace.nn.recurrent.layers.recur", recur)  # whether there are kernels or not
    layer, x = make(kind)

    def loss(W_h):
        changed = eqx.tree_at(lambda n: n.cells[0][0].W_h, layer, W_h)
        return jnp.sum(jax.vmap(changed)(np.stack([x, x])) ** 2)

    program = jax.make_jaxpr(jax.grad(loss))(layer.cells[0][0].W_h)
    loops = [e for e in equations(program.jaxpr) if e.primitive.name == "scan"]
    assert len(loops) == 2
    for loop in loops:
        constants, carried = loop.params["num_consts"], loop.params["num_carry"]
        shapes = [v.aval.shape for v in loop.invars[constants : constants + carried]]
        assert shapes
        assert all(s == (2, 4) for s in shapes), shapes


def equations(jaxpr):
    for equation in jaxpr.eqns:
        yield equation
        for inner in jax.tree.leaves(equation.params, is_leaf=lambda p: hasattr(p, "jaxpr")):
            if hasattr(inner, "jaxpr") and equation.primitive.name != "scan":
                yield from equations(inner.jaxpr)


@pytest.mark.parametrize("kind", KINDS)
def test_the_state_carries_on(kind):
    layer, x = make(kind, layers=2, steps=7)

    @jax.jit
    def run(layer, x):
        first, middle = layer.scan(x[:3])
        second, end = layer.scan(x[3:], initial=middle)
        return layer.scan(x), (jnp.concatenate([first, second]), end)

    whole, parts = run(layer, x)
    for found, expected in zip(jax.tree.leaves(parts), jax.tree.leaves(whole)):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
