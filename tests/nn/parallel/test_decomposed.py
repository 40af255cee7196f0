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
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from jax.sharding import Mesh

from populace.core.errors import UsageError
from populace.nn.conv.convolution import convolve
from populace.nn.parallel.decomposed import convolve_decomposed, gradient_decomposed
from tests.nn.conv.formula import assert_close, correlate, draw
from tests.nn.harness import check_layer
from tests.nn.parallel.problems import agree, close, mesh_of, on_mesh, problems
from tests.places import ROOT


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


def reference(layer, x):
    """The formula, place by place and tap by tap, in NumPy; it knows of no parts."""
    undivided = {name: value for name, value in layer.items if name not in ("parts", "axis")}
    return correlate(x, layer.weight, **undivided) + layer.bias


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


def layer_of(name: str, **more: Any) -> tuple[Decomposed, np.ndarray]:
    shape, kernel, options = CONFIGURATIONS[name]
    items = tuple((options | more).items())
    return Decomposed(draw(*kernel, seed=1), draw(*kernel[-1:], seed=2), items), draw(*shape)


def test_it_is_the_formula():
    layers = {name: layer_of(name) for name in CONFIGURATIONS}
    found = jax.jit(lambda layers: {name: layer(x) for name, (layer, x) in layers.items()})(layers)
    for name, (layer, x) in layers.items():
        assert_close(found[name], reference(layer, x), name)


def test_it_is_a_layer_in_one_process():
    layer, x = layer_of("2d, groups", parts=3)
    check_layer(layer, (x,), reference)


def test_it_is_a_layer_on_a_mesh():
    layer, x = layer_of("2d, second axis", parts=mesh_of(2))
    check_layer(layer, (x,), reference)


# -- drawn at random -----------------------------------------------------------------------------------


# Several problems make one example, for they are one program; to shrink them would compile for minutes.
@given(st.lists(problems(), min_size=6, max_size=6))
@settings(max_examples=2, derandomize=True, database=None, phases=[Phase.generate])
def test_any_geometry_in_one_process(several):
    agree(several)


def test_any_geometry_on_a_mesh_of_this_process():
    on_mesh(len(jax.devices()))


def test_any_geometry_on_meshes_of_forced_devices():
    code = """
import populace
populace.setup(8)
from tests.nn.parallel.problems import on_mesh
on_mesh(3)
on_mesh(8)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=os.environ | {"JAX_PLATFORMS": "cpu"},
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]


# -- gradients -----------------------------------------------------------------------------------------


def test_the_weights_are_the_numbers_of_outputs():
    # 10 outputs in 4 parts: 3, 3, 2, 2. Part by part by hand; the plain average is another number.
    @jax.jit
    def gradients(x, weight, target):
        def loss(weight, start, stop):
            return jnp.mean((convolve(x[start : stop + 2], weight) - target[start:stop]) ** 2)

        each = [jax.grad(loss)(weight, *r) for r in ((0, 3), (3, 6), (6, 8), (8, 10), (0, 10))]
        return each, gradient_decomposed(optax.squared_error, x, target, weight, parts=4)

    (*each, whole), (_, (gradient, bias)) = gradients(
        draw(12, 1, seed=1), draw(3, 1, 1, seed=2), draw(10, 1, seed=3)
    )
    by_hand = sum(n * np.asarray(g) for n, g in zip((3, 3, 2, 2), each)) / 10
    assert bias is None
    close(gradient, by_hand)
    close(gradient, whole)
    assert not np.allclose(gradient, sum(np.asarray(g) for g in each) / 4, rtol=1e-2)


def test_a_surplus_row_cannot_spoil_the_loss():
    # 3 outputs on 2 devices: the second computes one too many, whose target of zero has no logarithm.
    x, weight, target = (np.full(s, v, np.float32) for s, v in (((3, 1), 1), ((1, 1, 1), 1), ((3, 1), 2)))

    def relative(outputs, target):
        return (jnp.log(outputs) - jnp.log(target)) ** 2

    compute = jax.jit(partial(gradient_decomposed, relative, parts=mesh_of(2)))
    value, (gradient, _) = compute(x, target, weight)
    np.testing.assert_allclose(value, np.log(2) ** 2, rtol=1e-6)
    np.testing.assert_allclose(gradient, [[[-2 * np.log(2)]]], rtol=1e-6)


def test_the_loss_sees_the_outputs_as_they_lie():
    x, weight, target = draw(4, 9, 2, seed=1), draw(1, 3, 2, 3, seed=2), draw(4, 7, seed=3)

    def loss(outputs, target):  # over the channels, with the axes in their order
        return jnp.abs(outputs.sum(-1) - target) * np.arange(4, dtype=np.float32)[:, None]

    def decomposed(weight, parts):
        value, (gradient, _) = gradient_decomposed(loss, x, target, weight, parts=parts, axis=1)
        return value, gradient

    whole = jax.value_and_grad(lambda weight: jnp.mean(loss(convolve(x, weight), target)))
    expected, in_turn = jax.jit(lambda weight: (whole(weight), decomposed(weight, 3)))(weight)
    close(in_turn, expected)
    close(jax.jit(lambda weight: decomposed(weight, mesh_of(2)))(weight), expected)


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
        convolve_decomposed(draw(*shape), draw(*kernel), **options)
    assert "convolve_decomposed" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_mesh_that_does_not_fit_is_told():
    x, weight = draw(3, 1), draw(3, 1, 1)
    with pytest.raises(UsageError, match="got 2 parts, expected 1 to 1"):
        convolve_decomposed(x, weight, parts=mesh_of(2))
    square = Mesh(np.asarray(jax.devices()[:2]).reshape(2, 1), ("rows", "members"))
    with pytest.raises(UsageError, match="the mesh has the axes rows, members; say which with `over`"):
        convolve_decomposed(x, weight, parts=square)
    with pytest.raises(
        UsageError, match="unknown mesh axis 'row' of convolve_decomposed; did you mean 'rows'"
    ):
        convolve_decomposed(x, weight, parts=square, over="row")
    # Outside of jit, where it is compiled in every call, but the same.
    y = convolve_decomposed(draw(9, 1), weight, parts=square, over="rows")
    close(y, correlate(draw(9, 1), weight))


def test_a_target_of_another_length_is_told():
    with pytest.raises(UsageError, match=r"target has shape \(5, 1\), expected 6 entries along axis 0"):
        gradient_decomposed(optax.squared_error, draw(8, 1), draw(5, 1), draw(3, 1, 1), parts=2)
