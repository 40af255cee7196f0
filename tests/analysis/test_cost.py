"""Cost profile: counts that are known on paper, exponents in their intervals, and no clock."""

import functools
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from populace.analysis import compiled, cost, plots
from populace.analysis.compiled import Counts, Program
from populace.analysis.cost import Cost, Profile
from populace.analysis.fit import exponent, slope
from populace.analysis.graph_profile_cases import edges_of
from populace.analysis.profile_cases import ALIASES, names, profile_case
from populace.analysis.units import quantity
from populace.core.errors import UsageError
from populace.nn.conv.convolution import convolve
from populace.nn.recurrent.layers import GRU, LSTM
from populace.nn.recurrent.scan import recur


class Square(eqx.Module):
    """A product of two square matrices, one of which is a weight."""

    W: jax.Array

    def __call__(self, x):
        return self.W @ x


@eqx.filter_jit
def _square(n, *, key):
    return Square(jax.random.normal(key, (n, n))), (jnp.ones((n, n)),)


# -- counts --------------------------------------------------------------------------------------------


def test_matrix_product_is_counted_as_on_paper():
    n = 48
    counts = Program(jnp.matmul, np.ones((n, n), np.float32), np.ones((n, n), np.float32)).counts()
    assert counts.flops == 2 * n**3
    assert counts.bytes == 3 * 4 * n**2
    assert counts.memory == 3 * 4 * n**2
    assert counts.uncounted == ()


def test_exponents_of_a_matrix_product():
    found = cost.profile("product", _square, (64, 16, 32), repeats=1)
    assert found.sizes == (16, 32, 64)
    for which, products in (("forward", 1), ("gradient", 3)):
        expected = [products * 2 * n**3 for n in found.sizes]
        assert found.values(which, "flops") == pytest.approx(expected, rel=0.01)
        assert found.exponent(which, "flops").value == pytest.approx(3.0, abs=0.01)
        assert found.exponent(which, "bytes").value == pytest.approx(2.0, abs=0.01)
        assert found.exponent(which, "memory").value == pytest.approx(2.0, abs=0.01)
    assert all(seconds > 0 for seconds in found.values("gradient", "seconds"))


def _loop(w, xs, *, unroll=1, scan=True):
    body = lambda h, x: (jnp.tanh(w @ h + x),) * 2  # noqa: E731
    if scan:
        return jax.lax.scan(body, xs[0], xs, unroll=unroll)[1]
    h, hs = xs[0], []
    for x in xs:
        h, _ = body(h, x)
        hs.append(h)
    return jnp.stack(hs)


@pytest.mark.parametrize("unroll", [1, 3, 20])
@pytest.mark.parametrize("gradient", [False, True])
def test_loops_are_counted_as_often_as_they_run(unroll, gradient):
    w, xs = np.full((24, 24), 0.1, np.float32), np.ones((11, 24), np.float32)
    flops = []
    for scan in (True, False):
        f = functools.partial(_loop, unroll=unroll, scan=scan)
        g = jax.grad(lambda w, xs, f=f: jnp.sum(f(w, xs) ** 2), argnums=(0, 1)) if gradient else f
        flops.append(Program(g, w, xs).counts().flops)
    # Out of the loop XLA counts an outer product, which the gradient adds up, twice as dear.
    assert flops[0] == pytest.approx(flops[1], rel=0.25 if gradient else 0.03)


def test_loops_within_loops():
    def f(x):
        inner = lambda h: jax.lax.scan(lambda h, _: (h @ h, None), h, length=7)[0]  # noqa: E731
        return jax.lax.scan(lambda h, _: (jax.jit(inner)(h), None), x, length=5)[0]

    assert Program(f, np.eye(16, dtype=np.float32)).counts().flops == pytest.approx(
        5 * 7 * 2 * 16**3, rel=0.02
    )


@pytest.mark.parametrize("gradient", [False, True])
@pytest.mark.parametrize("looped", [False, True])
def test_convolution_is_counted_whatever_computes_it(gradient, looped):
    """XLA sees products, and not what the native kernel does; what nobody uses is in neither."""
    x, weight = np.ones((5, 12, 12, 16), np.float32), np.ones((3, 3, 16, 16), np.float32)

    def layer(weight, x, lowering):
        one = lambda x: convolve(x, weight, padding="same", lowering=lowering)  # noqa: E731
        if not looped:
            return jax.vmap(one)(x)
        return jax.lax.scan(lambda h, _: (jax.vmap(one)(h), None), x, length=4)[0]

    def flops(lowering):
        f = functools.partial(layer, lowering=lowering)
        g = jax.grad(lambda w, x: jnp.sum(f(w, x)), argnums=1) if gradient else f
        return Program(g, weight, x).counts().flops

    exact = 2 * 5 * 12 * 12 * 9 * 16 * 16 * (4 if looped else 1)
    assert flops("auto") == pytest.approx(exact, rel=0.02)
    # Products of patches come with moves, which cost XLA a few operations; with zeros at the border, too.
    assert flops("patches") == pytest.approx(exact, rel=0.1)
    found = Program(lambda w, x: layer(w, x, "auto"), weight, x).counts()
    assert not found.uncounted


@pytest.mark.parametrize("kind", [LSTM, GRU])
def test_a_recurrent_layer_is_counted_whatever_computes_it(kind, monkeypatch):
    """Products of the native kernel, of which XLA sees none, and those of a loop."""
    layer = eqx.filter_eval_shape(kind, 96, 128, key=jax.random.key(0))
    layer, xs = jax.tree.map(stand_ins, layer), np.zeros((3, 5, 96), np.float32)
    gates = layer.cells[0][0].gates

    def flops(gradient):
        f = lambda n, xs: jnp.sum(jax.vmap(n)(xs) ** 2)  # noqa: E731
        g = (lambda *a: jax.grad(lambda both: f(*both))(a)) if gradient else f
        found = Program(g, layer, xs).counts()
        assert not found.uncounted
        return found.flops

    def both():
        return [flops(gradient) for gradient in (False, True)]

    once = 2 * 3 * 5 * gates * 128 * (96 + 128)
    found = both()
    monkeypatch.setattr("populace.nn.recurrent.layers.recur", recur)
    for here in (found, both()):
        np.testing.assert_allclose(here, [once, 3 * once], rtol=0.16)  # a loop of GRUs multiplies zeros too


def test_of_two_branches_the_dearer_is_counted():
    def f(p, x):
        powers = lambda n: lambda x: jax.lax.scan(lambda h, _: (h @ h, None), x, length=n)[0]  # noqa: E731
        return jax.lax.cond(p, powers(9), powers(4), x)

    flops = Program(f, np.asarray(True), np.eye(16, dtype=np.float32)).counts().flops
    assert flops == pytest.approx(9 * 2 * 16**3, rel=0.2)


def test_what_is_not_counted_is_said():
    found = Program(jnp.linalg.svd, np.eye(4, dtype=np.float32)).counts()
    assert any("gesdd" in call for call in found.uncounted)
    loop = lambda x: jax.lax.while_loop(lambda x: x.sum() < 9, lambda x: x + 1, x)  # noqa: E731
    assert Program(loop, np.ones(3, np.float32)).counts().uncounted == (
        "all iterations but one of a while loop",
    )


def test_a_timing_lasts_a_while():
    program = Program(jnp.sin, np.ones(3, np.float32))
    assert program.seconds() > 0
    assert program._timer._calls > 1


# -- gradient ------------------------------------------------------------------------------------------


def test_the_gradient_that_is_measured_is_that_of_weights_and_inputs():
    x, weights = np.array([1.0, 2.0, 3.0], np.float32), np.array([1.0, -2.0], np.float32)

    @eqx.filter_jit
    def computed(x, weights):
        layer = eqx.nn.Linear(3, 2, key=jax.random.key(0))
        return layer, cost._gradient(layer, (x,), weights)

    layer, (out, (of_layer, of_inputs)) = computed(x, weights)
    W = np.asarray(layer.weight)
    np.testing.assert_allclose(out, W @ x + np.asarray(layer.bias), rtol=1e-6)
    np.testing.assert_allclose(of_layer.weight, np.outer(weights, x), rtol=1e-6)
    np.testing.assert_allclose(of_layer.bias, weights, rtol=1e-6)
    np.testing.assert_allclose(of_inputs[0], W.T @ weights, rtol=1e-6)


# -- exponents -----------------------------------------------------------------------------------------


def test_slope_agrees_with_scipy():
    draws = np.random.default_rng(0)
    x, y = draws.normal(size=9), draws.normal(size=9)
    found, line = slope(x, y), scipy.stats.linregress(x, y)
    half = scipy.stats.t.ppf(0.975, 7) * line.stderr
    np.testing.assert_allclose([found.value, found.low, found.high],
                               [line.slope, line.slope - half, line.slope + half], rtol=1e-10)  # fmt: skip


def test_exponent_of_a_noisy_curve_lies_in_its_interval():
    draws, sizes, inside = np.random.default_rng(0), np.asarray([64, 128, 256, 512, 1024]), 0
    for _ in range(300):
        seconds = 3e-9 * sizes**1.7 * np.exp(0.1 * draws.normal(size=5))
        p = exponent(sizes, seconds)
        inside += p.low <= 1.7 <= p.high
    assert 270 <= inside <= 297


def _synthetic(seconds):
    costs = tuple(Cost((s, 2 * s, s / 2), Counts(0.0, 1.0, 1)) for s in seconds)
    return Profile("synthetic", tuple(2 ** (i + 3) for i in range(len(costs))), costs, costs)


def test_profile_takes_the_median_and_fits_it():
    found = _synthetic([1e-3 * 4.0**i for i in range(4)])
    assert found.values("forward", "seconds")[0] == 1e-3
    p = found.exponent("forward", "seconds")
    np.testing.assert_allclose([p.low, p.value, p.high], 2.0, rtol=1e-9)


def test_every_quantity_is_its_own():
    one = Cost((3.0, 1.0, 2.0), Counts(4.0, 5.0, 6))
    assert [getattr(one, name) for name in cost.QUANTITIES] == [2.0, 4.0, 5.0, 6]


def test_what_costs_nothing_has_no_exponent():
    assert math.isnan(_synthetic([1e-3, 2e-3, 4e-3]).exponent("forward", "flops").value)
    assert math.isnan(_synthetic([1e-3, 2e-3]).exponent("forward", "seconds").value)
    assert slope([1, 2], [1, 3]).as_list()[0] == 2.0
    assert slope([1, 2], [1, 3]).high == math.inf
    with pytest.raises(ValueError, match="two points"):
        slope([1, 1], [1, 3])


def test_an_exponent_that_does_not_tell_one_power_from_the_next_is_useless():
    clean, noisy = _synthetic([1e-3 * 4.0**i for i in range(4)]), _synthetic([1e-3, 5e-3, 1e-3, 8e-3])
    assert clean.scales("forward", "seconds")
    assert not noisy.scales("forward", "seconds")
    assert not clean.scales("forward", "flops"), "what costs nothing has none"


# -- profiles ------------------------------------------------------------------------------------------


def test_profile_grows_size_by_size():
    grown = list(cost.profiled("product", _square, (4, 6, 8), repeats=3))
    assert [p.sizes for p in grown] == [(4,), (4, 6), (4, 6, 8), (4, 6, 8), (4, 6, 8)]
    assert [[len(c.times) for c in p.gradient] for p in grown[2:]] == [[1] * 3, [2] * 3, [3] * 3]


def test_a_size_beyond_the_memory_is_left_out_and_said(monkeypatch):
    monkeypatch.setattr(cost, "memory_here", lambda: 10_000)
    found = cost.profile("product", _square, (8, 16, 64), repeats=1)
    assert found.sizes == (8, 16)
    assert "64 needs" in found.missing[0]


def test_arguments_beyond_the_memory_are_not_even_made():
    found = cost.profile("product", _square, (2, 3, 10**7), repeats=1)
    assert found.sizes == (2, 3)
    assert "10,000,000 needs 745,058.1 GiB of memory" in found.missing[0]


def test_memory_of_this_machine():
    assert compiled.memory_here() > 2**28


@pytest.mark.parametrize("sizes", [(), (4, 8), (4, 4, 8), (0, 4, 8), (-1, 4, 8)])
def test_sizes_that_give_no_exponent_are_refused(sizes):
    with pytest.raises(UsageError, match="at least 3 different positive integers"):
        cost.profile("product", _square, sizes)


def test_no_repeats_are_refused():
    with pytest.raises(UsageError, match="repeats must be at least 1, got 0"):
        cost.profile("product", _square, (2, 3, 4), repeats=0)


def test_pictures_of_one_and_of_many():
    found = _synthetic([1e-3 * 4.0**i for i in range(4)])
    for image in (plots.costs([found], {"synthetic": 2}), plots.costs([found] * 9)):
        assert image.dtype == np.uint8
        assert image.ndim == 3
        assert 0.01 < (image < 250).any(-1).mean() < 0.5


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0 s"), (1.234e-3, "1.23 ms"), (999.9e-6, "1 ms"), (5e-12, "0.005 ns"), (math.nan, "-"),
     (2.5e9, "2.5 Gs")],
)  # fmt: skip
def test_units(value, text):
    assert quantity(value, "s") == text


# -- cases ------------------------------------------------------------------------------------------


def stand_ins(shape):
    """Return an array of zeros for a shape: what a program costs does not depend on values."""
    if not isinstance(shape, jax.ShapeDtypeStruct):
        return shape
    if jax.dtypes.issubdtype(shape.dtype, jax.dtypes.prng_key):
        return jax.random.key(0)
    return np.zeros(shape.shape, shape.dtype)


@pytest.mark.parametrize("name", names())
def test_every_subject_does_the_work_that_is_documented(name):
    one = profile_case(name)
    assert one.name == name
    assert len(one.sizes) >= 4
    sizes = np.asarray(one.sizes[:2])
    counts = []
    for size in sizes:
        shapes = eqx.filter_eval_shape(one.build, int(size), key=jax.random.key(0))
        counts.append(Program(cost._forward, *jax.tree.map(stand_ins, shapes)).counts())
    if any("lapack" in call for found in counts for call in found.uncounted):
        return
    p = slope(np.log(sizes), np.log([c.flops for c in counts])).value
    assert p == pytest.approx(one.order, abs=0.2)


@pytest.mark.parametrize("name", ["embedding", "gcn", "graphsage", "gin", "sgc", "gat", "gatv2"])
def test_weights_are_among_what_a_gradient_is_taken_by(name):
    @eqx.filter_jit
    def computed(key):
        layer, inputs = profile_case(name).build(16, key=key)
        return layer, cost._gradient(layer, inputs, jnp.ones((16, 64)))

    layer, (_, slopes) = computed(jax.random.key(0))
    arrays = jax.tree.leaves(eqx.filter(layer, eqx.is_inexact_array))
    assert sum(a.size for a in arrays) >= 64 * 64
    found = jax.tree.leaves(slopes[0])
    assert len(found) == len(arrays)
    assert all(np.any(np.asarray(slope) != 0) for slope in found)


def test_every_node_hears_from_eight_others():
    edges = edges_of(20)
    matrix = np.zeros((20, 20), int)
    np.add.at(matrix, (np.asarray(edges.targets), np.asarray(edges.sources)), 1)
    assert (matrix.sum(1) == 8).all()
    assert matrix.max() == 1
    assert not np.diagonal(matrix).any()


def test_other_names_lead_to_subjects():
    for other, name in ALIASES.items():
        assert profile_case(other).name == name
    with pytest.raises(UsageError, match="unknown layer 'atention'; did you mean 'attention'"):
        profile_case("atention")
