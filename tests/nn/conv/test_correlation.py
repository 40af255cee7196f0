"""The native kernel of convolution, at every size where its inside takes another way."""

import os
import subprocess
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from populace.core.errors import UsageError
from populace.nn.conv import lowering
from populace.nn.conv.convolution import Conv2d, convolve
from populace.nn.conv.lowering import INPUT, KERNEL, OUTPUT, Geometry
from populace.nn.conv.window import Window
from populace.nn.primitives import native

pytestmark = pytest.mark.skipif(bool(native.missing()), reason="no native kernels")

CHANNELS = (1, 3, 8, 9, 16, 17, 31)  # in vectors of 8: less than one, one, more, two, more


def operands(window: Window, sizes: Any, ins: int, outs: int, groups: int, members: int, batch: int) -> Any:
    """Input, kernel and output, drawn."""
    draws = np.random.default_rng(0)
    x = draws.normal(size=(members, batch, *sizes, ins))
    kernel = draws.normal(size=(members, *window.size, ins // groups, outs))
    y = draws.normal(size=(members, batch, *window.outputs(sizes), outs))
    return {OUTPUT: (x, kernel), INPUT: (kernel, y), KERNEL: (x, y)}


def check(geometry: Geometry, members: int, batch: int, dtype: Any = np.float32) -> None:
    """Compare all three with sums over taps in NumPy's float64."""
    window, sizes, ins, outs, groups, _ = geometry
    for wanted, (a, b) in operands(window, sizes, ins, outs, groups, members, batch).items():
        expected = by_numpy(a, b, wanted, geometry)
        found = np.asarray(lowering.by_kernel(jnp.asarray(a, dtype), jnp.asarray(b, dtype), wanted, geometry))
        assert found.dtype == dtype
        assert found.shape == expected.shape
        close = 1e-12 if dtype == np.float64 else 2e-5
        np.testing.assert_allclose(found, expected, rtol=close, atol=close * abs(expected).max(initial=1.0))


def by_numpy(a: np.ndarray, b: np.ndarray, wanted: str, geometry: Geometry) -> np.ndarray:
    """One product of matrices per tap and group, on what the tap sees of a padded input."""
    window, sizes, ins, outs, groups, _ = geometry
    pads, places = window.pads(sizes), window.outputs(sizes)
    x, kernel, y = {OUTPUT: (a, b, None), INPUT: (None, a, b), KERNEL: (a, None, b)}[wanted]
    front = b.shape[:2] if wanted == INPUT else a.shape[:2]
    around = [(0, 0), (0, 0), *((low, high + span) for (low, high), span in zip(pads, window.span)), (0, 0)]
    padded = np.pad(x if x is not None else np.zeros((*front, *sizes, ins)), around)
    result_y = np.zeros((*front, *places, outs))
    result_kernel = np.zeros((front[0], *window.size, ins // groups, outs))
    for taps in np.ndindex(*window.size):
        steps = zip(taps, window.dilation, places, window.stride)
        seen = tuple(slice(k * d, k * d + (p - 1) * s + 1, s) for k, d, p, s in steps)
        for g in range(groups):
            i, o = (slice(g * c // groups, (g + 1) * c // groups) for c in (ins, outs))
            at = (slice(None), slice(None), *seen, i)
            mine = (slice(None), *taps, slice(None), o)
            seen_by, w = rows(padded[at]), kernel[mine] if kernel is not None else None
            if wanted == OUTPUT:
                result_y[..., o] += (seen_by @ w).reshape(result_y[..., o].shape)
            elif wanted == INPUT:
                padded[at] += (rows(y[..., o]) @ w.swapaxes(1, 2)).reshape(padded[at].shape)
            else:
                result_kernel[mine] = seen_by.swapaxes(1, 2) @ rows(y[..., o])
    inside = tuple(slice(low, low + size) for (low, _), size in zip(pads, sizes))
    result_x = padded[(slice(None), slice(None), *inside)]
    return {OUTPUT: result_y, INPUT: result_x, KERNEL: result_kernel}[wanted]


def rows(x: np.ndarray) -> np.ndarray:
    """(members, ..., channels) -> (members, rows, channels)."""
    return x.reshape(len(x), -1, x.shape[-1])


def geometry_of(sizes: Any, kernel: Any, ins: int, outs: int, groups: int = 1, **options: Any) -> Geometry:
    return Geometry(
        Window.of("test", len(sizes), kernel, **options), tuple(sizes), ins, outs, groups, "native"
    )


@pytest.mark.parametrize("outs", CHANNELS)
@pytest.mark.parametrize("ins", CHANNELS)
def test_any_number_of_channels(ins: int, outs: int) -> None:
    check(geometry_of((5, 4), (3, 2), ins, outs, padding="same"), members=2, batch=3)


@pytest.mark.parametrize("places", [1, 5, 6, 7, 8, 9, 383, 384, 385, 1000])
@pytest.mark.parametrize("outs", [8, 16])
def test_any_number_of_places(places: int, outs: int) -> None:
    """Fewer than a tile, a tile, a block that stays in the cache, and more than one."""
    check(geometry_of((places + 2,), (3,), 2, outs), members=1, batch=2)


@pytest.mark.parametrize(("members", "batch"), [(1, 1), (1, 7), (1, 40), (3, 9), (12, 1)])
def test_any_number_of_examples(members: int, batch: int) -> None:
    """Few: one is shared out in parts. Many: each thread sums a part of them."""
    check(geometry_of((9, 10), 3, 4, 10, padding="same", stride=2), members, batch)


def test_a_kernel_larger_than_its_partial_sums() -> None:
    check(geometry_of((3, 3), 3, 160, 900, padding="same"), members=1, batch=9)


def test_float64() -> None:
    for outs in (3, 4, 5, 8, 11):
        with jax.enable_x64(True):
            check(geometry_of((9, 7), (3, 2), 6, outs, stride=(2, 1)), members=2, batch=2, dtype=np.float64)


@settings(max_examples=60)
@given(st.data())
def test_any_geometry(data: st.DataObject) -> None:
    """Strides beyond the kernel, taps that see nothing but zeros, entries that no tap sees."""
    spatial = data.draw(st.integers(1, 3))

    def each(low: int, high: int) -> list[int]:
        return data.draw(st.lists(st.integers(low, high), min_size=spatial, max_size=spatial))

    taps, stride, dilation = each(1, 4), each(1, 4), each(1, 3)
    sides = st.tuples(st.integers(0, 5), st.integers(0, 5))
    numbers = st.lists(sides, min_size=spatial, max_size=spatial)
    padding: Any = data.draw(st.sampled_from(["valid", "same", "causal"]) | numbers)
    sizes = [(k - 1) * d + n for k, d, n in zip(taps, dilation, each(1, 7))]
    groups = data.draw(st.integers(1, 3))
    ins, outs = groups * data.draw(st.integers(1, 4)), groups * data.draw(st.integers(1, 10))
    options = {"stride": stride, "dilation": dilation, "padding": padding}
    check(
        geometry_of(sizes, taps, ins, outs, groups, **options),
        *data.draw(sides.map(lambda p: (1 + p[0] % 3, p[1]))),
    )


def test_a_member_is_the_same_alone_and_whatever_the_threads() -> None:
    """Bit for bit: the order of every sum follows from the shapes of one member."""
    geometry = geometry_of((12, 12), 3, 16, 24, padding="same")
    compute = jax.jit(lowering.by_kernel, static_argnums=(2, 3))
    for wanted, (a, b) in operands(*geometry[:5], 4, 20).items():
        a, b = jnp.asarray(a, jnp.float32), jnp.asarray(b, jnp.float32)
        together = np.asarray(compute(a, b, wanted, geometry))
        for m in range(4):
            alone = np.asarray(compute(a[m : m + 1], b[m : m + 1], wanted, geometry))
            assert alone.tobytes() == together[m : m + 1].tobytes()
    code = (
        "import hashlib, jax, numpy as np\n"
        "from tests.nn.conv.test_correlation import geometry_of, lowering, operands\n"
        "g = geometry_of((12, 12), 3, 16, 24, padding='same')\n"
        "for w, (a, b) in operands(*g[:5], 4, 20).items():\n"
        "    y = lowering.by_kernel(jax.numpy.float32(a), jax.numpy.float32(b), w, g)\n"
        "    print(hashlib.sha256(np.asarray(y).tobytes()).hexdigest())\n"
    )
    said = set()
    for cores in ({0}, set(os.sched_getaffinity(0))):
        child = [sys.executable, "-c", f"import os; os.sched_setaffinity(0, {cores})\n{code}"]
        done = subprocess.run(child, capture_output=True, text=True, check=True, timeout=300)
        said.add(done.stdout)
    assert len(said) == 1


def step_of(ins: int, outs: int, name: str = "auto", dtype: Any = jnp.float32) -> str:
    """The program of a training step's gradients, two members with kernels of their own."""
    layer = Conv2d(ins, outs, 3, padding="same", key=jax.random.key(0))

    def loss(weight: jax.Array, xs: jax.Array) -> jax.Array:
        one = lambda x: convolve(x, weight, padding="same", lowering=name)  # noqa: E731
        return jnp.sum(jax.vmap(one)(xs) ** 2)

    weights = jnp.stack([layer.weight] * 2).astype(dtype)
    members = jax.jit(jax.vmap(jax.grad(loss, (0, 1)), (0, None)))
    return (
        members.trace(weights, jnp.ones((2, 6, 6, ins), dtype)).lower(lowering_platforms=("cpu",)).as_text()
    )


@pytest.mark.skipif(not native.wide(), reason="products are quicker on this processor")
def test_auto_takes_it_where_it_pays() -> None:
    assert step_of(16, 32).count("populace_correlation") == 3  # forward, by the input, by the kernel
    assert "dot_general" not in step_of(16, 32)
    # One channel to write in a vector of eight: the gradient by such an input is a product.
    assert step_of(1, 16).count("populace_correlation") == 2
    assert "populace_correlation" not in step_of(16, 32, "patches")
    assert "populace_correlation" not in step_of(16, 32, dtype=jnp.float16)


def test_what_it_cannot_do_is_refused() -> None:
    with pytest.raises(
        UsageError, match="lowering 'native' computes float32 and float64, got float16; use 'auto'"
    ):
        step_of(3, 4, "native", jnp.float16)
    weight = jnp.ones((3, 3, 3, 4))
    run = jax.jit(lambda x: convolve(x, weight, lowering="native"))
    with pytest.raises(UsageError, match="lowering 'native' computes on CPU only; use 'auto'"):
        run.trace(jnp.ones((6, 6, 3))).lower(lowering_platforms=("cuda",))
