"""The native kernel of convolution, at every size where its inside takes another way."""

import hashlib
import itertools
import os
import subprocess
import sys
from typing import Any, NamedTuple

import jax
import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from populace.core import native
from populace.nn.conv import lowering
from populace.nn.conv.lowering import INPUT, KERNEL, OUTPUT, Geometry
from populace.nn.conv.window import Window

pytestmark = pytest.mark.skipif(bool(native.missing()), reason="no native kernels")

CHANNELS = (1, 3, 8, 9, 16, 17, 31)  # in vectors of 8: less than one, one, more, two, more


def operands(window: Window, sizes: Any, ins: int, outs: int, groups: int, members: int, batch: int) -> Any:
    """Input, kernel and output, drawn."""
    draws = np.random.default_rng(0)
    x = draws.normal(size=(members, batch, *sizes, ins))
    kernel = draws.normal(size=(members, *window.size, ins // groups, outs))
    y = draws.normal(size=(members, batch, *window.outputs(sizes), outs))
    return {OUTPUT: (x, kernel), INPUT: (kernel, y), KERNEL: (x, y)}


class Problem(NamedTuple):
    """What the kernel is asked for: all three of input, kernel and output from the two others."""

    geometry: Geometry
    members: int
    batch: int


def check(problems: list[Problem], dtype: Any = np.float32) -> None:
    """Compare with sums over taps in NumPy's float64. All of it is one program: to compile takes longest."""
    drawn = [operands(*problem.geometry[:5], problem.members, problem.batch) for problem in problems]

    @jax.jit
    def compute(drawn: Any) -> Any:
        return [
            {wanted: lowering.by_kernel(a, b, wanted, problem.geometry) for wanted, (a, b) in pairs.items()}
            for problem, pairs in zip(problems, drawn)
        ]

    computed = compute(jax.tree.map(lambda x: x.astype(dtype), drawn))
    close = 1e-12 if dtype == np.float64 else 2e-5
    for problem, pairs, results in zip(problems, drawn, computed):
        for wanted, (a, b) in pairs.items():
            expected, found = by_numpy(a, b, wanted, problem.geometry), np.asarray(results[wanted])
            assert found.dtype == dtype
            assert found.shape == expected.shape, f"{wanted} of {problem}"
            scale = abs(expected).max(initial=1.0)
            np.testing.assert_allclose(
                found, expected, rtol=close, atol=close * scale, err_msg=f"{wanted} of {problem}"
            )


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


def test_any_number_of_channels() -> None:
    pairs = itertools.product(CHANNELS, CHANNELS)
    check([
        Problem(geometry_of((5, 4), (3, 2), ins, outs, padding="same"), members=2, batch=3)
        for ins, outs in pairs
    ])  # fmt: skip


def test_any_number_of_places() -> None:
    """Fewer than a tile, a tile, a block that stays in the cache, and more than one."""
    each = itertools.product((1, 5, 6, 7, 8, 9, 11, 12, 13, 15, 16, 17, 383, 384, 385, 1000), (8, 16, 32))
    check([
        Problem(geometry_of((places + 2,), (3,), 2, outs), members=1, batch=2) for places, outs in each
    ])  # fmt: skip


def test_any_number_of_examples() -> None:
    """Few: one is shared out in parts. Many: each thread sums a part of them."""
    geometry = geometry_of((9, 10), 3, 4, 10, padding="same", stride=2)
    check([Problem(geometry, *sizes) for sizes in ((1, 1), (1, 7), (1, 40), (3, 9), (12, 1))])


def test_kernels_larger_than_the_room_for_partial_sums() -> None:
    """A member's alone are, and so many members' together that they are computed some at a time."""
    check([
        Problem(geometry_of((3, 3), 3, 160, 900, padding="same"), members=1, batch=9),
        Problem(geometry_of((2,), 2, 500, 900, padding="same"), members=20, batch=1),
    ])  # fmt: skip


def test_wide_vectors_leave_no_channel_out() -> None:
    check([
        Problem(geometry_of((5, 4), (3, 2), ins, outs, padding="same"), members=2, batch=3)
        for ins, outs in itertools.product((20, 64), (23, 24, 25, 32, 33, 40, 47, 48, 64, 65))
    ])  # fmt: skip


def test_float64() -> None:
    with jax.enable_x64(True):
        check(
            [
                Problem(geometry_of((9, 7), (3, 2), 6, outs, stride=(2, 1)), members=2, batch=2)
                for outs in (3, 4, 5, 8, 11)
            ],
            dtype=np.float64,
        )


@st.composite
def geometries(draw: Any) -> Problem:
    """Strides beyond the kernel, taps that see nothing but zeros, entries that no tap sees, no examples."""
    spatial = draw(st.integers(1, 3))

    def each(low: int, high: int) -> list[int]:
        return draw(st.lists(st.integers(low, high), min_size=spatial, max_size=spatial))

    taps, stride, dilation = each(1, 4), each(1, 4), each(1, 3)
    sides = st.tuples(st.integers(0, 5), st.integers(0, 5))
    numbers = st.lists(sides, min_size=spatial, max_size=spatial)
    padding: Any = draw(st.sampled_from(["valid", "same", "causal"]) | numbers)
    sizes = [(k - 1) * d + n for k, d, n in zip(taps, dilation, each(1, 7))]
    groups = draw(st.integers(1, 3))
    ins, outs = groups * draw(st.integers(1, 4)), groups * draw(st.integers(1, 10))
    geometry = geometry_of(sizes, taps, ins, outs, groups, stride=stride, dilation=dilation, padding=padding)
    return Problem(geometry, draw(st.integers(1, 3)), draw(st.integers(0, 5)))


# Many geometries make one example, for they are one program. The message names the one that fails, so
# there is nothing to shrink, which would compile for minutes.
@settings(max_examples=6, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(st.lists(geometries(), min_size=20, max_size=20))
def test_any_geometry(problems: list[Problem]) -> None:
    check(problems)


def four_members() -> tuple[Any, Any]:
    """Operands of four members with twenty examples, and the compiled function of them."""
    geometry = geometry_of((12, 12), 3, 16, 24, padding="same")
    drawn = {w: [np.float32(a) for a in pair] for w, pair in operands(*geometry[:5], 4, 20).items()}
    return drawn, jax.jit(lambda d: {w: lowering.by_kernel(*pair, w, geometry) for w, pair in d.items()})


def sums(found: dict[str, jax.Array]) -> str:
    """A checksum of every result."""
    each = {wanted: hashlib.sha256(np.asarray(y).tobytes()).hexdigest() for wanted, y in found.items()}
    return " ".join(f"{wanted} {each[wanted]}" for wanted in sorted(each))


def test_a_member_is_the_same_alone_and_whatever_the_threads() -> None:
    """Bit for bit: the order of every sum follows from the shapes of one member."""
    drawn, compute = four_members()
    together = jax.tree.map(np.asarray, compute(drawn))
    for m in range(4):
        alone = compute({wanted: [a[m : m + 1] for a in pair] for wanted, pair in drawn.items()})
        assert sums(alone) == sums({wanted: y[m : m + 1] for wanted, y in together.items()})
    code = (
        "import os; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])\n"
        "from tests.native.test_correlation import four_members, sums\n"
        "drawn, compute = four_members()\n"
        "print(sums(compute(drawn)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300
    )
    assert done.stdout.strip() == sums(together)


@pytest.mark.parametrize("kind", [kind for kind in native.KINDS if kind not in (native.kind(), "baseline")])
def test_processors_that_multiply_and_add_at_once_agree_in_every_bit(kind: str) -> None:
    code = (
        "from tests.native.test_correlation import four_members, native, sums\n"
        "drawn, compute = four_members()\n"
        "print(native.kind(), sums(compute(drawn)))\n"
    )
    with_kind = os.environ | {native.CHOICE: kind}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=300, env=with_kind
    )
    if f"{native.CHOICE}={kind}: this processor runs" in done.stderr:
        pytest.skip(f"this processor has no {kind}")
    drawn, compute = four_members()
    assert done.stdout.strip() == f"{kind} {sums(compute(drawn))}"


def test_memory_that_runs_out_ends_no_process_and_a_task_takes_what_it_sees() -> None:
    """Threads of the pool fail as well as the caller's; afterwards the kernels go on."""
    code = (
        "import resource, jax, numpy as np\n"
        "from populace.nn.conv.convolution import convolve\n"
        "x, w = np.ones((8, 8, 1), np.float32), np.ones((1, 1, 1, 1), np.float32)\n"
        "def seen(zeros, stride):\n"
        "    pad = [(zeros, zeros)] * 2\n"
        "    options = dict(stride=stride, padding=pad, lowering='native')\n"
        "    return jax.jit(lambda x, w: convolve(x, w, **options).sum())\n"
        "near, far, farther = seen(0, 1), seen(10_000, 10), seen(60_000, 60)\n"
        "print(near(x, w))\n"
        "pages = int(open('/proc/self/statm').read().split()[0])\n"
        "resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + (1 << 30),) * 2)\n"
        "print(far(x, w))  # 1.6 GB in all, an eighth of it in a task\n"
        "try:\n"
        "    farther(x, w).block_until_ready()  # 58 GB\n"
        "except Exception as error:\n"
        "    print(str(error).splitlines()[0])\n"
        "print(near(x, w))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    *computed, error, last = done.stdout.splitlines()
    assert [*computed, last] == ["64.0", "1.0", "64.0"]
    assert "RESOURCE_EXHAUSTED: memory ran out in a kernel of populace" in error
