"""A convolution in parts: the same outputs and gradients, from exactly the rows that they need."""

import os
import subprocess
import sys
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import Phase, given, seed, settings
from jax.sharding import Mesh

import populace
from populace.core.errors import UsageError
from populace.nn.conv.convolution import convolve
from populace.nn.parallel.decomposed import convolve_decomposed, gradient_decomposed
from populace.nn.parallel.halo import exchange
from tests.nn.harness import check_layer
from tests.nn.parallel.test_halo import problems
from tests.places import ROOT

# Many small programs: to optimise them would take longer than to run them ever does.
QUICK = {"xla_backend_optimization_level": 0}


class Decomposed(eqx.Module):
    weight: jax.Array
    bias: jax.Array | None
    items: tuple[tuple[str, Any], ...] = eqx.field(static=True)

    @property
    def options(self):
        return dict(self.items)

    @eqx.filter_jit  # a loop, or a mesh, that is met outside of it is compiled in every call
    def __call__(self, x):
        return convolve_decomposed(x, self.weight, self.bias, **self.options)


def draw(shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def mesh_of(devices: int) -> Mesh:
    return Mesh(np.asarray(jax.devices()[:devices]), ("parts",))


def reference(layer, x):
    """The formula, place by place and tap by tap, in NumPy."""
    *kernel, inputs, outputs = layer.weight.shape
    n, o = len(kernel), layer.options
    stride, dilation = (np.broadcast_to(o.get(name, 1), n) for name in ("stride", "dilation"))
    groups, pads = o.get("groups", 1), o.get("padding", [(0, 0)] * n)
    x = np.pad(x, [*pads, (0, 0)])
    span = [(k - 1) * d + 1 for k, d in zip(kernel, dilation)]
    places = [(size - s) // t + 1 for size, s, t in zip(x.shape, span, stride)]
    y = np.zeros((*places, outputs))
    for place in np.ndindex(*places):
        for tap in np.ndindex(*kernel):
            entry = x[tuple(p * s + t * d for p, s, t, d in zip(place, stride, tap, dilation))]
            for c in range(outputs):
                g = c // (outputs // groups)
                y[place][c] += entry[g * inputs : (g + 1) * inputs] @ layer.weight[tap][:, c]
    return y if layer.bias is None else y + layer.bias


CONFIGURATIONS = {
    "1d, uneven": ((11, 2), (3, 2, 3), {"parts": 4}),
    "1d, as many parts as outputs": ((7, 1), (4, 1, 2), {"parts": 4}),
    "1d, halo longer than a part": ((12, 1), (4, 1, 2), {"parts": 5, "dilation": 3, "padding": ((6, 2),)}),
    "1d, stride beyond the kernel": ((20, 2), (2, 2, 2), {"parts": 3, "stride": 4}),
    "2d, second axis": (
        (5, 9, 2), (2, 3, 2, 3),
        {"parts": 3, "axis": 1, "stride": (1, 2), "dilation": (2, 1), "padding": ((0, 1), (2, 0))},
    ),
    "2d, groups": ((7, 4, 4), (4, 2, 2, 2), {"parts": 2, "groups": 2, "padding": ((2, 1), (0, 1))}),
    "3d, middle axis": (
        (3, 6, 4, 1), (2, 3, 2, 1, 2), {"parts": 4, "axis": 1, "padding": ((0, 0), (1, 1), (1, 0))},
    ),
}  # fmt: skip


def layer_of(name: str, **more: Any) -> tuple[Decomposed, jax.Array]:
    shape, kernel, options = CONFIGURATIONS[name]
    layer = Decomposed(draw(kernel, 1), draw(kernel[-1:], 2), tuple((options | more).items()))
    return layer, draw(shape)


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_it_is_the_formula(name):
    layer, x = layer_of(name)
    close(layer(x), reference(layer, x))


def test_it_is_a_layer_in_one_process():
    layer, x = layer_of("2d, groups", parts=3)
    check_layer(layer, (x,), reference)


def test_it_is_a_layer_on_a_mesh():
    layer, x = layer_of("2d, second axis", parts=mesh_of(2))
    check_layer(layer, (x,), reference)


# -- drawn at random -----------------------------------------------------------------------------------


def agrees(problem, parts) -> None:
    """Outputs, gradients through them, and averaged gradients of the parts equal the undivided ones."""
    shape, kernel, options, _ = problem
    x, weight, bias = draw(shape, 1), draw(kernel, 2), draw(kernel[-1:], 3)
    undivided = {k: v for k, v in options.items() if k != "axis"}

    def whole(x, weight, bias):
        return convolve(x, weight, bias, **undivided)

    def cut(x, weight, bias):
        return convolve_decomposed(x, weight, bias, parts=parts, **options)

    target = draw(jax.eval_shape(whole, x, weight, bias).shape, 4)

    def gradient(function):
        def loss(x, weight, bias):
            y = function(x, weight, bias)
            return jnp.mean(optax.squared_error(y, target)), y

        return jax.value_and_grad(loss, (0, 1, 2), has_aux=True)

    @partial(jax.jit, compiler_options=QUICK)
    def decomposed(x, weight, bias):
        averaged = gradient_decomposed(optax.squared_error, x, target, weight, bias, parts=parts, **options)
        return gradient(cut)(x, weight, bias), averaged

    # In programs of their own: how one lies on a mesh must not reach into the other.
    expected = jax.jit(gradient(whole), compiler_options=QUICK)(x, weight, bias)
    found, averaged = decomposed(x, weight, bias)
    close(found, expected)
    close(averaged, (expected[0][0], expected[1][1:]))


def close(found, expected):
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=0, atol=2e-5 * max(1.0, float(jnp.max(jnp.abs(b)))))


@given(problems())
@settings(max_examples=6, derandomize=True, database=None, phases=[Phase.generate])  # to shrink takes minutes
def test_any_geometry_in_one_process(problem):
    agrees(problem, problem[-1])


def on_mesh(devices: int) -> None:
    """Check drawn geometries, and the hard ones, on so many devices: called in a process that has them."""
    populace.setup(devices)
    assert len(jax.devices()) == devices
    mesh = mesh_of(devices)

    @seed(devices)
    @given(problems())
    @settings(
        max_examples=3, database=None, deadline=None, phases=[Phase.generate]
    )  # to shrink takes minutes
    def drawn(problem):
        *sizes, _ = problem[0]
        axis = problem[2]["axis"]
        sizes[axis] += 2 * devices * problem[2]["stride"][axis]  # outputs for every device
        agrees(((*sizes, problem[0][-1]), *problem[1:]), mesh)

    drawn()
    sends_what_the_volume_says(mesh)
    # The halo goes over several neighbours; parts own nothing, or read nothing but padding.
    far = {"axis": 0, "padding": ((9, 18),), "dilation": 6}
    agrees(((devices, 2), (4, 2, 2), far, None), mesh)
    reaching = {k: v for k, v in far.items() if k != "axis"}
    assert exchange((devices, 2), 4, devices, **reaching).distance == devices - 1
    alone = {"axis": 0, "padding": ((3 * devices, 0),), "stride": 2}
    agrees(((2, 1), (2, 1, 1), alone, None), mesh)


def test_any_geometry_on_a_mesh_of_this_process():
    on_mesh(len(jax.devices()))


@pytest.mark.parametrize("devices", [3, 8])
def test_any_geometry_on_a_mesh_of_forced_devices(devices):
    environment = os.environ | {"JAX_PLATFORMS": "cpu"}
    code = f"from tests.nn.parallel.test_decomposed import on_mesh; on_mesh({devices})"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]


# -- the exchange --------------------------------------------------------------------------------------


def permuted_bytes(jaxpr) -> int:
    """Bytes of all messages that a program sends."""
    total = 0
    for equation in jaxpr.eqns:
        if equation.primitive.name == "ppermute":
            (sent,) = (v.aval for v in equation.invars)
            total += sent.size * sent.dtype.itemsize * len(equation.params["perm"])
        for value in equation.params.values():
            inner = getattr(value, "jaxpr", value)
            total += permuted_bytes(inner) if hasattr(inner, "eqns") else 0
    return total


def sends_what_the_volume_says(mesh: Mesh) -> None:
    options: dict[str, Any]
    for shape, kernel, options in (
        ((16, 3, 2), (3, 3), {"padding": "same"}),
        ((21, 4), (4,), {"stride": 2}),
        ((9, 1), (3,), {"dilation": 4, "padding": "causal"}),
        ((16, 2), (1,), {}),
    ):
        weight = draw((*kernel, shape[-1], 2))
        program = jax.make_jaxpr(partial(convolve_decomposed, weight=weight, parts=mesh, **options))
        volume = exchange(shape, kernel, mesh.size, **options)
        assert permuted_bytes(program(draw(shape)).jaxpr) == volume.sent
        assert volume.halo <= volume.sent


# -- gradients -----------------------------------------------------------------------------------------


def test_the_weights_are_the_numbers_of_outputs():
    # 10 outputs in 4 parts: 3, 3, 2, 2. Part by part by hand; the plain average is another number.
    x, weight, target = draw((12, 1), 1), draw((3, 1, 1), 2), draw((10, 1), 3)

    def loss(weight, start, stop):
        return jnp.mean((convolve(x[start : stop + 2], weight) - target[start:stop]) ** 2)

    each = [jax.grad(loss)(weight, *r) for r in ((0, 3), (3, 6), (6, 8), (8, 10))]
    by_hand = sum(n * g for n, g in zip((3, 3, 2, 2), each)) / 10
    _, (gradient, bias) = gradient_decomposed(optax.squared_error, x, target, weight, parts=4)
    assert bias is None
    np.testing.assert_allclose(gradient, by_hand, rtol=1e-5)
    np.testing.assert_allclose(gradient, jax.grad(loss)(weight, 0, 10), rtol=1e-5)
    assert not np.allclose(gradient, sum(each) / 4, rtol=1e-2)


def test_a_surplus_row_cannot_spoil_the_loss():
    # 3 outputs on 2 devices: the second computes one too many, whose target of zero has no logarithm.
    x, weight, target = jnp.ones((3, 1)), jnp.ones((1, 1, 1)), jnp.full((3, 1), 2.0)

    def relative(outputs, target):
        return (jnp.log(outputs) - jnp.log(target)) ** 2

    value, (gradient, _) = gradient_decomposed(relative, x, target, weight, parts=mesh_of(2))
    np.testing.assert_allclose(value, np.log(2) ** 2, rtol=1e-6)
    np.testing.assert_allclose(gradient, [[[-2 * np.log(2)]]], rtol=1e-6)


def test_the_loss_sees_the_outputs_as_they_lie():
    x, weight, target = draw((4, 9, 2), 1), draw((1, 3, 2, 3), 2), draw((4, 7), 3)

    def loss(outputs, target):  # over the channels, with the axes in their order
        return jnp.abs(outputs.sum(-1) - target) * jnp.arange(4.0)[:, None]

    whole = jax.value_and_grad(lambda w: jnp.mean(loss(convolve(x, w), target)))(weight)
    for parts in (3, mesh_of(2)):
        value, (gradient, _) = gradient_decomposed(loss, x, target, weight, parts=parts, axis=1)
        close((value, gradient), whole)


# -- bad input -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "kernel", "options", "message"),
    [
        ((8, 1), (3, 1, 1), {"parts": 7}, "got 7 parts, expected 1 to 6, the outputs along axis 0"),
        ((8, 1), (3, 1, 1), {"parts": 0}, "got 0 parts, expected 1 to 6"),
        ((8, 1), (3, 1, 1), {"parts": 1.5}, "got 1.5 parts, expected 1 to 6"),
        ((8, 1), (3, 1, 1), {"parts": 2, "axis": 1}, r"axis must be in \[0, 0\], got 1"),
        ((8, 2), (3, 1, 1), {"parts": 2}, r"input has shape \(8, 2\), expected \(length, 1\)"),
        ((8, 8, 1), (3, 1, 1), {"parts": 2}, r"input has shape \(8, 8, 1\)"),
        ((2, 1), (3, 1, 1), {"parts": 1}, "smaller than its kernel"),
        ((8, 1), (3, 1, 1), {"parts": 2, "stride": 0}, "stride must be at least 1, got 0"),
        ((8, 1), (3, 1, 1), {"parts": 2, "padding": "sam"}, "did you mean 'same'"),
        ((8, 1), (1, 1), {"parts": 2}, "expected at least 1 spatial axis, got 0"),
    ],
)
def test_what_cannot_be_is_told(shape, kernel, options, message):
    with pytest.raises(UsageError, match=message) as raised:
        convolve_decomposed(draw(shape), draw(kernel), **options)
    assert "convolve_decomposed" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_mesh_that_does_not_fit_is_told():
    x, weight = draw((3, 1)), draw((3, 1, 1))
    with pytest.raises(UsageError, match="got 2 parts, expected 1 to 1"):
        convolve_decomposed(x, weight, parts=mesh_of(2))
    square = Mesh(np.asarray(jax.devices()[:2]).reshape(2, 1), ("rows", "members"))
    with pytest.raises(UsageError, match="the mesh has the axes rows, members; say which with `over`"):
        convolve_decomposed(x, weight, parts=square)
    with pytest.raises(
        UsageError, match="unknown mesh axis 'row' of convolve_decomposed; did you mean 'rows'"
    ):
        convolve_decomposed(x, weight, parts=square, over="row")
    y = convolve_decomposed(draw((9, 1)), weight, parts=square, over="rows")
    close(y, convolve(draw((9, 1)), weight))


def test_a_target_of_another_length_is_told():
    with pytest.raises(UsageError, match=r"target has shape \(5, 1\), expected 6 entries along axis 0"):
        gradient_decomposed(optax.squared_error, draw((8, 1)), draw((5, 1)), draw((3, 1, 1)), parts=2)
