"""How a convolution becomes a program: which products, which kernel, and where."""

import itertools
from typing import Any

import jax
import jax.numpy as jnp
import pytest

from populace.core import native
from populace.core.errors import UsageError
from populace.nn.conv import lowering
from populace.nn.conv.convolution import convolve
from populace.nn.conv.window import Window
from tests.nn.conv.formula import assert_close, draw

KERNELS = pytest.mark.skipif(bool(native.missing()), reason="no native kernels")
WIDE = pytest.mark.skipif(not native.wide(), reason="no native kernels for this processor")


def test_plans() -> None:
    """What is gathered follows from the shape; all plans are among those that other tests run."""

    def plan(sizes: Any, kernel: Any, ins: int, outs: int, name: str = "auto") -> tuple[bool, ...]:
        window = Window.of("test", len(sizes), kernel, padding="same")
        return lowering._plan(lowering.Geometry(window, sizes, ins, outs, 1, name))

    assert plan((28, 28), 5, 1, 16) == (True, True)  # few channels in: patches are small
    assert plan((28, 28), 5, 64, 1) == (False, False)  # few channels out: so is what is spread
    assert sum(plan((14, 14), 5, 16, 32)) == 1  # in between: one axis each
    assert 0 < sum(plan((8, 8, 8), 3, 8, 8)) < 3
    assert plan((28, 28), 5, 1, 16, "taps") == (False, False)
    assert plan((28, 28), 5, 64, 1, "patches") == (True, True)


def test_every_plan_is_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    window = Window.of("test", 3, (2, 2, 3), (2, 1, 1), (1, 2, 1), "same")
    geometry = lowering.Geometry(window, (5, 4, 3), 4, 4, 2, "auto")
    x, weight = draw(2, 3, 5, 4, 3, 4), draw(2, 2, 2, 3, 2, 4)  # two members, three examples each
    y = draw(2, 3, *window.outputs((5, 4, 3)), 4)
    plans = list(itertools.product((False, True), repeat=3))

    @jax.jit
    def by_all(x: jax.Array, weight: jax.Array, y: jax.Array) -> Any:
        operands = {"output": (x, weight), "input": (weight, y), "kernel": (x, y)}
        found: dict[Any, Any] = {}
        for gathered in plans:
            monkeypatch.setattr(lowering, "_plan", lambda geometry, gathered=gathered: gathered)
            found[gathered] = {k: lowering.by_products(*ab, k, geometry) for k, ab in operands.items()}
        return found, {k: lowering.by_xla(*ab, k, geometry) for k, ab in operands.items()}

    found, expected = by_all(x, weight, y)
    assert len(found) == 8
    for (gathered, results), wanted in itertools.product(found.items(), expected):
        assert_close(results[wanted], expected[wanted], f"{wanted}, gathered {gathered}")


def training_step(
    ins: int = 3, outs: int = 4, name: str = "auto", dtype: Any = jnp.float32, *, platform: str = "cpu"
) -> str:
    """The program of the gradients of two members, each with weights of its own."""

    def loss(weight: jax.Array, bias: jax.Array, xs: jax.Array) -> jax.Array:
        one = lambda x: convolve(x, weight, bias, padding="same", lowering=name)  # noqa: E731
        return jnp.sum(jax.vmap(one)(xs) ** 2)

    members = jax.jit(jax.vmap(jax.grad(loss, (0, 2)), (0, 0, None)))
    shapes = (2, 3, 3, ins, outs), (2, outs), (2, 6, 6, ins)
    traced = members.trace(*(jax.ShapeDtypeStruct(shape, dtype) for shape in shapes))
    return traced.lower(lowering_platforms=(platform,)).as_text()


@pytest.mark.parametrize("wide", [False, pytest.param(True, marks=WIDE)])
def test_no_convolution_and_no_scatter_on_cpu(wide: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """XLA's convolution is slow in loops on CPU, and grouped under `vmap`; so are gathers by index."""
    monkeypatch.setattr(lowering, "wide", lambda: wide)
    program = training_step()
    assert ("populace_correlation" if wide else "dot_general") in program
    for slow in ("stablehlo.convolution", "gather", "scatter", "while"):
        assert slow not in program
    assert "stablehlo.convolution" in training_step(name="xla")


@pytest.mark.parametrize("platform", ["cuda", "tpu"])
def test_accelerators_get_their_own_convolution(platform: str) -> None:
    assert "stablehlo.convolution" in training_step(platform=platform)
    assert "stablehlo.convolution" not in training_step(name="patches", platform=platform)


@WIDE
def test_auto_takes_the_native_kernel_where_it_pays() -> None:
    program = training_step(16, 32)
    assert program.count("populace_correlation") == 3  # forward, by the input, by the kernel
    assert "dot_general" not in program
    # One channel to write in a vector of eight: the gradient by such an input is a product.
    assert training_step(1, 16).count("populace_correlation") == 2
    assert "populace_correlation" not in training_step(16, 32, "patches")
    assert "populace_correlation" not in training_step(16, 32, dtype=jnp.float16)


@KERNELS
def test_what_the_native_kernel_cannot_do_is_refused() -> None:
    with pytest.raises(
        UsageError, match="lowering 'native' computes float32 and float64, got float16; use 'auto'"
    ):
        training_step(3, 4, "native", jnp.float16)
    with pytest.raises(UsageError, match="lowering 'native' computes on CPU only; use 'auto'"):
        training_step(3, 4, "native", platform="cuda")


def test_products_of_half_precision_are_added_up_in_float32():
    """bfloat16 counts no further than 256: a window of 20 x 20 ones, by taps and by patches."""
    x, weight = jnp.ones((20, 20, 1), jnp.bfloat16), jnp.ones((20, 20, 1, 1), jnp.bfloat16)
    for y in jax.jit(lambda x, w: [convolve(x, w, lowering=name) for name in ("taps", "patches")])(x, weight):
        assert y.dtype == jnp.bfloat16
        assert float(y[0, 0, 0]) == 400
