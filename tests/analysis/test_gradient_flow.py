"""Gradient flow: chains with known singular values, the textbook bounds, and Lanczos against all values."""

import math
from itertools import pairwise

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from populace.analysis import plots
from populace.analysis.gradient_flow import Flow, analytic_bound, scientific, through_depth, through_time
from populace.analysis.spectrum import golub_kahan
from populace.core.errors import UsageError
from populace.nn.graph.edges import EdgeIndex
from populace.nn.graph.graph_attention import GATConv


class Linear(eqx.Module):
    """One matrix and an activation, so that all layers of a chain share one compiled program."""

    W: jax.Array
    activation: str = eqx.field(static=True, default="identity")

    def __init__(self, W, activation="identity"):
        self.W, self.activation = jnp.asarray(W, jnp.float32), activation

    def __call__(self, x):
        y = self.W @ x
        return y if self.activation == "identity" else getattr(jax.nn, self.activation)(y)


def _orthogonal(n, seed):
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(n, n)))[0]


def _chain(scale, n, links):
    return [Linear(scale * _orthogonal(n, i)) for i in range(links)]


# -- known answers -------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["exact", "iterative"])
@pytest.mark.parametrize(
    ("scale", "verdict"), [(1.0, "stable"), (0.5, "vanishing"), (2.0, "exploding"), (0.95, "stable")]
)
def test_scaled_orthogonal_chain(scale, verdict, method):
    flow = through_depth(_chain(scale, 6, 12), jnp.ones(6), method=method)
    expected = math.log10(scale) * np.arange(1, 13)
    np.testing.assert_allclose(flow.log_largest, expected, atol=1e-5)
    assert flow.rate.value == pytest.approx(scale, abs=1e-5)
    assert flow.rate.low <= flow.rate.value <= flow.rate.high
    assert flow.rate.high - flow.rate.low < 1e-4
    assert flow.verdict == verdict
    assert flow.converged
    if method == "exact":
        for values, log in zip(flow.log_values, expected):
            np.testing.assert_allclose(values, np.full(6, log), atol=1e-5)


def test_more_links_turn_the_same_rate_into_a_verdict():
    assert through_depth(_chain(0.95, 6, 12), np.ones(6, np.float32)).verdict == "stable"
    assert through_depth(_chain(0.95, 6, 60), np.ones(6, np.float32)).verdict == "vanishing"


@pytest.mark.parametrize("method", ["exact", "iterative"])
@pytest.mark.parametrize("scale", [0.01, 100.0])
def test_values_far_outside_of_floats(scale, method):
    # A state of zeros stays what it is, so only the Jacobian leaves the range.
    step, start = Linear(scale * _orthogonal(5, 0)), np.zeros(5, np.float32)
    flow = through_time(step, start, steps=200, method=method)
    np.testing.assert_allclose(flow.log_largest, math.log10(scale) * np.arange(1, 201), atol=1e-3)
    assert abs(flow.log_largest[-1]) > 399


def test_all_values_of_a_diagonal_chain():
    d = np.asarray([3.0, 2.0, 1.0, 0.5, 0.25, 0.0])
    flow = through_depth([Linear(np.diag(d))] * 4, np.ones(6, np.float32))
    np.testing.assert_allclose(10 ** flow.log_values[2], d**3, rtol=1e-6)
    assert flow.log_values[2][-1] == -math.inf


def test_rectangular_layers_against_the_product_of_their_jacobians():
    draws = np.random.default_rng(3)
    sizes = (7, 12, 5, 9)
    weights = [draws.normal(size=(m, n)) / math.sqrt(n) for n, m in pairwise(sizes)]
    x, product, expected = draws.normal(size=7), np.eye(7), []
    start = jnp.asarray(x, jnp.float32)
    for W in weights:
        x = np.tanh(W @ x)
        product = np.diag(1 - x**2) @ W @ product
        expected.append(np.linalg.svd(product, compute_uv=False))
    layers = [Linear(W, "tanh") for W in weights]
    flow = through_depth(layers, start)
    for values, wanted in zip(flow.log_values, expected):
        np.testing.assert_allclose(10**values, wanted, rtol=1e-3, atol=1e-6)
    largest = through_depth(layers, start, method="iterative").log_largest
    np.testing.assert_allclose(10**largest, [e[0] for e in expected], rtol=1e-4)


def test_layers_of_any_shape():
    @eqx.filter_jit
    def built(key):
        keys = jax.random.split(key, 3)
        layers = [
            eqx.nn.Conv2d(2, 4, 3, key=keys[0]), jax.nn.relu, jnp.ravel, eqx.nn.Linear(64, 3, key=keys[1]),
        ]  # fmt: skip
        x = jax.random.normal(keys[2], (2, 6, 6))
        return layers, x, jax.jacobian(lambda x: layers[3](layers[2](layers[1](layers[0](x)))))(x)

    layers, x, whole = built(jax.random.key(0))
    expected = np.linalg.svd(np.asarray(whole, np.float64).reshape(3, -1), compute_uv=False)
    np.testing.assert_allclose(10 ** through_depth(layers, x).log_values[-1], expected, rtol=1e-4)
    iterative = through_depth(layers, x, method="iterative")
    assert 10 ** iterative.log_largest[-1] == pytest.approx(expected[0], rel=1e-4)


@pytest.mark.parametrize("method", ["exact", "iterative"])
def test_state_of_two_arrays_with_inputs_through_time(method):
    cell = eqx.filter_jit(eqx.nn.LSTMCell)(3, 4, key=jax.random.key(0))
    inputs = np.random.default_rng(1).normal(size=(6, 3)).astype(np.float32)
    state = (np.zeros(4, np.float32), np.full(4, 0.1, np.float32))
    flow = through_time(lambda s, x: cell(x, s), state, inputs, method=method)

    def run(flat):
        s = (flat[:4], flat[4:])
        for x in inputs:
            s = cell(x, s)
        return jnp.concatenate(s)

    J = np.asarray(jax.jit(jax.jacobian(run))(np.concatenate(state)), np.float64)
    assert 10 ** flow.log_largest[-1] == pytest.approx(np.linalg.norm(J, 2), rel=1e-4)
    assert flow.through == "time"
    assert flow.links == 6


def test_large_layers_are_not_multiplied_out():
    assert through_depth(_chain(0.9, 6, 3), np.ones(6, np.float32)).method == "exact"
    assert through_depth([jnp.tanh] * 3, np.ones(200, np.float32)).method == "iterative"


# -- bounds --------------------------------------------------------------------------------------------


def test_relu_chain_with_known_weights():
    weights = [2.0, 0.5, 3.0, 1.5]
    active = through_depth(
        [Linear([[w]], "relu") for w in weights], jnp.ones(1), bound=analytic_bound(weights)
    )
    np.testing.assert_allclose(10**active.log_largest, np.cumprod(weights), rtol=1e-6)
    np.testing.assert_allclose(active.log_largest, active.log_bound, atol=1e-6)
    weights[2] = -3.0  # the unit dies: the derivative is 0 from there, and the bound is as before
    dead = through_depth([Linear([[w]], "relu") for w in weights], jnp.ones(1), bound=analytic_bound(weights))
    np.testing.assert_allclose(10**dead.log_largest, [2.0, 1.0, 0.0, 0.0], rtol=1e-6)
    np.testing.assert_allclose(dead.log_bound, active.log_bound, atol=1e-12)
    assert dead.verdict == "vanishing"
    assert dead.rate.value == 0.0
    iterative = through_depth([Linear([[w]], "relu") for w in weights], jnp.ones(1), method="iterative")
    np.testing.assert_allclose(10**iterative.log_largest, [2.0, 1.0, 0.0, 0.0], rtol=1e-5)


@pytest.mark.parametrize("seed", range(5))
def test_relu_network_stays_under_its_bound(seed):
    draws = np.random.default_rng(seed)
    weights = [draws.normal(size=(8, 8)) * draws.uniform(0.2, 1.0) for _ in range(6)]
    layers = [Linear(w, "relu") for w in weights]
    flow = through_depth(layers, jnp.ones(8), bound=analytic_bound(weights))
    assert (flow.log_largest <= flow.log_bound + 1e-5).all()


@pytest.mark.parametrize("scale", [0.5, 2.0, 6.0])
def test_sigmoid_recurrence_stays_under_its_bound(scale):
    W = scale * np.random.default_rng(0).normal(size=(5, 5))
    steps = 12
    bound = analytic_bound([W] * steps, "sigmoid")
    by_hand = [math.log10((np.linalg.norm(W, 2) / 4) ** t) for t in range(1, steps + 1)]
    np.testing.assert_allclose(bound, by_hand, rtol=1e-12)
    flow = through_time(Linear(W, "sigmoid"), np.zeros(5, np.float32), steps=steps, bound=bound)
    assert (flow.log_largest <= flow.log_bound + 1e-6).all()
    # The bound's first step is met where all units stand at the steepest point, which zeros do.
    assert flow.log_largest[0] == pytest.approx(bound[0], abs=1e-5)


# -- Golub and Kahan -----------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(40, 40), (60, 20), (20, 60), (1, 5), (5, 1)])
def test_golub_kahan_finds_the_largest_value_and_its_vector(shape):
    draws = np.random.default_rng(0)
    J = draws.normal(size=shape)
    value, vector, converged = golub_kahan(lambda v: J @ v, lambda u: J.T @ u, draws.normal(size=shape[1]))
    assert converged
    assert value == pytest.approx(np.linalg.norm(J, 2), rel=1e-5)
    assert np.linalg.norm(J @ vector) == pytest.approx(value, rel=1e-5)
    assert np.linalg.norm(vector) == pytest.approx(1.0)


def test_golub_kahan_of_few_directions_and_of_none():
    draws = np.random.default_rng(0)
    a, b, start = draws.normal(size=30), draws.normal(size=20), draws.normal(size=20)
    J = np.outer(a, b)
    value, _, converged = golub_kahan(lambda v: J @ v, lambda u: J.T @ u, start)
    assert converged
    assert value == pytest.approx(np.linalg.norm(a) * np.linalg.norm(b), rel=1e-9)
    assert golub_kahan(lambda v: 0 * v, lambda u: 0 * u, start)[0] == 0.0


def test_golub_kahan_says_when_it_has_not_converged():
    draws = np.random.default_rng(0)
    J = draws.normal(size=(300, 300))
    value, _, converged = golub_kahan(
        lambda v: J @ v, lambda u: J.T @ u, draws.normal(size=300), tolerance=1e-9, most=5
    )
    assert not converged
    assert value < np.linalg.norm(J, 2)


# -- rate and verdict ----------------------------------------------------------------------------------


def _curve(logs):
    return Flow("depth", "exact", tuple(np.asarray([x]) for x in logs))


def test_rate_of_a_noisy_curve_lies_in_its_interval():
    draws = np.random.default_rng(0)
    x = np.arange(1, 31)
    inside = 0
    for _ in range(200):
        rate = _curve(x * math.log10(0.8) + 0.3 * draws.normal(size=30)).rate
        inside += rate.low <= 0.8 <= rate.high
    assert 180 <= inside <= 199


@pytest.mark.parametrize("sign", [-1, 1])
def test_a_rate_that_noise_hides_is_stable(sign):
    clean = sign * 0.3 * np.arange(1, 9)
    noise = np.asarray([3.0, -3.0, -3.0, 3.0, 3.0, -3.0, -3.0, 3.0])  # which has no slope of its own
    noisy = _curve(clean + noise)
    assert noisy.rate.value == pytest.approx(10 ** (sign * 0.3))
    assert noisy.rate.low < 1 < noisy.rate.high
    assert noisy.verdict == "stable"
    assert _curve(clean).verdict == ("vanishing" if sign < 0 else "exploding")


def test_verdict_in_words():
    text = str(through_depth(_chain(0.01, 6, 10), np.ones(6, np.float32), bound=[-2.0] * 10))
    assert text == "vanishing: x 0.01 per layer (0.01 to 0.01), 1.0e-20 over 10 layers (bound 0.01)"


@pytest.mark.parametrize(
    ("log10", "text"),
    [
        (-math.inf, "0"),
        (math.inf, "inf"),
        (0.0, "1"),
        (2.0, "100"),
        (-400.3, "5.0e-401"),
        (19.9999, "1.0e+20"),
    ],
)
def test_scientific(log10, text):
    assert scientific(log10) == text


# -- pictures ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["exact", "iterative"])
def test_picture(method):
    flow = through_depth(_chain(0.5, 6, 5), np.ones(6, np.float32), method=method, bound=np.zeros(5))
    image = plots.flow(flow, title="orthogonal")
    assert image.dtype == np.uint8
    assert image.ndim == 3
    assert image.shape[2] == 3
    assert 0.01 < (image < 250).any(-1).mean() < 0.5


def test_picture_of_a_gradient_that_died():
    assert plots.flow(through_depth([Linear([[0.0]])] * 3, jnp.ones(1))).shape[2] == 3


# -- links that only have a derivative in reverse --------------------------------------------------------


@jax.custom_vjp
def halved(x):
    return 0.5 * x


halved.defvjp(lambda x: (0.5 * x, None), lambda _, g: (0.5 * g,))


def test_links_without_forward_mode_are_followed_in_reverse():
    for flow in (through_depth([halved] * 3, jnp.ones(2)), through_time(halved, jnp.ones(2), steps=3)):
        np.testing.assert_allclose(flow.log_values, np.log10(0.5) * np.array([[1, 1], [2, 2], [3, 3]]), 1e-6)


class Attentive(eqx.Module):
    """Attention over fixed edges, of which all layers of a chain share one compiled program."""

    conv: GATConv
    edges: EdgeIndex

    def __call__(self, x):
        return self.conv(x, self.edges)


def test_graph_attention_is_followed_through_depth():
    edges, _ = EdgeIndex.of([0, 1, 2, 0, 1, 2], [1, 2, 0, 0, 1, 2], (3, 3))
    build = eqx.filter_jit(lambda key: Attentive(GATConv(2, 2, key=key), edges))
    layers = [build(jax.random.key(i)) for i in range(3)]
    x = np.random.default_rng(9).normal(size=(3, 2)).astype(np.float32)
    product, found = np.eye(6), through_depth(layers, x).log_values
    for layer, values in zip(layers, found):
        # Central differences: a derivative that shares no code with the one of the layer.
        steps = np.float32(1e-2) * np.eye(6, dtype=np.float32).reshape(6, 3, 2)
        run = lambda x, layer=layer: np.asarray(eqx.filter_jit(layer)(x))  # noqa: E731
        rows = [(run(x + step) - run(x - step)).ravel() / 2e-2 for step in steps]
        product, x = np.stack(rows, axis=1) @ product, run(x)
        np.testing.assert_allclose(10.0 ** values[:3], np.linalg.svd(product)[1][:3], rtol=2e-2)


# -- bad input -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: through_depth([jnp.tanh] * 2, jnp.ones(2)), "at least 3 layers for a rate, got 2"),
        (lambda: through_depth([jnp.tanh] * 3, jnp.arange(2)), "the input is of type int32, expected floats"),
        (lambda: through_depth([jnp.tanh] * 3, jnp.asarray([1.0, jnp.nan])), "the input contains NaN"),
        (lambda: through_depth([jnp.tanh, jnp.argmax, jnp.tanh], jnp.ones(2)), "layer 1 is of type int32"),
        (lambda: through_depth([jnp.tanh, jnp.log, jnp.log], jnp.zeros(2)), "output of layer 1 contains NaN"),
        (lambda: through_depth([jnp.tanh] * 3, jnp.ones(2), bound=[1.0]), r"shape \(1,\), expected \(3,\)"),
        (lambda: through_depth([jnp.tanh] * 3, jnp.ones(2), method="exat"), "did you mean 'exact'"),
        (lambda: through_time(jnp.tanh, jnp.ones(2)), "either inputs or steps"),
        (lambda: through_time(jnp.tanh, jnp.ones(2), jnp.ones((4, 1)), steps=4), "either inputs or steps"),
        (lambda: through_time(jnp.tanh, jnp.ones(2), steps=2), "at least 3 steps for a rate, got 2"),
        (lambda: through_time(jnp.add, jnp.ones(2), (jnp.ones(3), jnp.ones(4))), r"\[3, 4\] steps"),
        (lambda: through_time(jnp.sum, jnp.ones(2), steps=3), r"float32\[\], expected .* float32\[2\]"),
        (lambda: through_time(lambda s: 1e30 * s, jnp.ones(2), steps=3), "last state contains NaN"),
        (lambda: through_depth([jnp.tanh, *[halved] * 2], jnp.ones(200)), "layer 1 .* pass method='exact'"),
        (lambda: through_time(halved, jnp.ones(2), steps=3, method="iterative"), "step supports only"),
        (lambda: analytic_bound([np.eye(2)], "sigmod"), "did you mean 'sigmoid'"),
        (lambda: analytic_bound([np.eye(2), np.ones((2, 2, 2))]), "weight 1 has shape"),
    ],
)  # fmt: skip
def test_bad_input_is_one_clear_line(call, said):
    with pytest.raises(UsageError, match=said) as raised:
        call()
    assert "\n" not in str(raised.value)
