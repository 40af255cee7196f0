"""Drawn convolutions to divide, and the check that the parts agree with the whole."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from hypothesis import Phase, given, seed, settings
from hypothesis import strategies as st
from jax.sharding import Mesh

from populace.nn.conv.convolution import convolve
from populace.nn.parallel.decomposed import convolve_decomposed, gradient_decomposed
from populace.nn.parallel.halo import decompose, exchange
from tests.nn.conv.formula import draw

# Many small programs: to optimize them would take longer than to run them ever does.
QUICK = {"xla_backend_optimization_level": 0}


def mesh_of(devices: int) -> Mesh:
    return Mesh(np.asarray(jax.devices()[:devices]), ("parts",))


@st.composite
def problems(draw_from, most_parts=6):
    """(shape, kernel shape, options without parts, parts): any geometry with at least one output."""
    n = draw_from(st.integers(1, 3))
    few = [7, 3, 2][n - 1]

    def each(low, high):
        return tuple(draw_from(st.integers(low, high)) for _ in range(n))

    kernel, stride, dilation = each(1, min(few, 5)), each(1, 3), each(1, 3)
    pads = tuple((draw_from(st.integers(0, 4)), draw_from(st.integers(0, 4))) for _ in range(n))
    named = draw_from(st.sampled_from(["pairs", "pairs", "same", "causal"]))
    axis = draw_from(st.integers(0, n - 1))
    span = [(k - 1) * d + 1 for k, d in zip(kernel, dilation)]
    sizes = [max(1, s - sum(p)) + draw_from(st.integers(0, 2)) for s, p in zip(span, pads)]
    sizes[axis] += draw_from(st.integers(0, 12))
    groups = draw_from(st.sampled_from([1, 1, 2]))
    padding = pads if named == "pairs" else named
    options = {"axis": axis, "stride": stride, "dilation": dilation, "padding": padding}
    outputs = decompose(sizes, kernel, 1, **options)[0].outputs[1]
    parts = draw_from(st.integers(1, min(outputs, most_parts)))
    channels = (draw_from(st.integers(1, 2)) * groups, draw_from(st.integers(1, 2)) * groups)
    shape = (*sizes, channels[0])
    weight = (*kernel, channels[0] // groups, channels[1])
    return shape, weight, options | {"groups": groups}, parts


def agree(problems: list[Any]) -> None:
    """Outputs, gradients through them, and averaged gradients of the parts equal the undivided ones.

    All problems make two programs. Whole and in parts are apart: how one lies on a mesh must not reach into
    the other.
    """
    drawn = []
    for shape, kernel, options, _ in problems:
        x, weight, bias = draw(*shape, seed=1), draw(*kernel, seed=2), draw(*kernel[-1:], seed=3)
        target = jax.eval_shape(partial(convolve, **undivided(options)), x, weight, bias).shape
        drawn.append((draw(*target, seed=4), x, weight, bias))

    def gradient(function, target, *arguments):
        def loss(*arguments):
            y = function(*arguments)
            return jnp.mean(optax.squared_error(y, target)), y

        return jax.value_and_grad(loss, (0, 1, 2), has_aux=True)(*arguments)

    @partial(jax.jit, compiler_options=QUICK)
    def whole(drawn):
        return [
            gradient(partial(convolve, **undivided(options)), *arguments)
            for (_, _, options, _), arguments in zip(problems, drawn)
        ]

    @partial(jax.jit, compiler_options=QUICK)
    def decomposed(drawn):
        found = []
        for (_, _, options, parts), (target, x, *weights) in zip(problems, drawn):
            how = options | {"parts": parts}
            averaged = gradient_decomposed(optax.squared_error, x, target, *weights, **how)
            found.append((gradient(partial(convolve_decomposed, **how), target, x, *weights), averaged))
        return found

    for problem, expected, (found, averaged) in zip(problems, whole(drawn), decomposed(drawn)):
        close(found, expected, problem)
        close(averaged, (expected[0][0], expected[1][1:]), problem)


def undivided(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name != "axis"}


def close(found, expected, what=""):
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert a.shape == b.shape, what
        atol = 2e-5 * max(1.0, np.max(np.abs(b)))
        np.testing.assert_allclose(a, b, rtol=0, atol=atol, err_msg=str(what))


def on_mesh(devices: int) -> None:
    """Check drawn geometries, and the hard ones, on so many of the devices."""
    mesh = mesh_of(devices)
    assert mesh.size == devices, "fewer devices than that"
    # The halo goes over several neighbors; parts own nothing, or read nothing but padding.
    far = {"axis": 0, "padding": ((9, 18),), "dilation": 6}
    assert exchange((devices, 2), 4, devices, **undivided(far)).distance == devices - 1
    alone = {"axis": 0, "padding": ((3 * devices, 0),), "stride": 2}
    hard = [((devices, 2), (4, 2, 2), far, mesh), ((2, 1), (2, 1, 1), alone, mesh)]

    @seed(devices)
    @given(st.lists(problems(), min_size=3, max_size=3))
    @settings(max_examples=1, database=None, deadline=None, phases=[Phase.generate])
    def drawn(several):
        agree(hard + [enough(problem) for problem in several])

    def enough(problem):  # outputs for every device
        (*sizes, channels), kernel, options, _ = problem
        axis = options["axis"]
        sizes[axis] += 2 * devices * options["stride"][axis]
        return (*sizes, channels), kernel, options, mesh

    drawn()
    sends_what_the_volume_says(mesh)


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
        weight = draw(*kernel, shape[-1], 2)
        program = jax.make_jaxpr(partial(convolve_decomposed, weight=weight, parts=mesh, **options))
        volume = exchange(shape, kernel, mesh.size, **options)
        assert permuted_bytes(program(draw(*shape)).jaxpr) == volume.sent
        assert volume.halo <= volume.sent
