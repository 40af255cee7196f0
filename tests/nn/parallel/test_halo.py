"""The arithmetic of halos: who computes, reads and owns which rows, and what is exchanged."""

from itertools import pairwise

import jax
import numpy as np
from hypothesis import given, settings

from populace.nn.parallel.halo import blocks, decompose, exchange, joined, messages, shares


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


@given(problems(most_parts=9))
@settings(max_examples=300, derandomize=True, database=None)
def test_every_part_reads_what_its_outputs_need_and_gets_it_from_who_owns_it(problem):
    (*sizes, channels), (*kernel, _, _), options, count = problem
    geometry = {k: v for k, v in options.items() if k != "groups"}
    axis = options["axis"]
    parts = decompose(sizes, kernel, count, **geometry)
    size, stride, dilation = sizes[axis], options["stride"][axis], options["dilation"][axis]
    low = convolution_low(options["padding"], size, kernel[axis], stride, dilation, axis)
    for of in ("outputs", "owns"):
        ranges = [getattr(part, of) for part in parts]
        assert ranges[0][0] == 0
        assert all(a[1] == b[0] for a, b in pairwise(ranges))
        lengths = [stop - start for start, stop in ranges]
        assert max(lengths) - min(lengths) <= 1
    assert parts[-1].owns[1] == size
    for part in parts:
        touched = [j * stride - low + t * dilation for j in range(*part.outputs) for t in range(kernel[axis])]
        wanted = [i for i in range(min(touched), max(touched) + 1) if 0 <= i < size]
        assert list(range(*part.reads)) == wanted
        assert part.length == max(touched) - min(touched) + 1
        assert min(part.padding) >= 0
        if wanted:
            assert part.padding[0] == wanted[0] - min(touched)
        assert sum(part.halo) == len(set(wanted) - set(range(*part.owns)))
    got: dict[int, list[int]] = {p: [] for p in range(count)}
    for message in messages(parts):
        for receiver, (start, stop) in message.needs.items():
            owned = parts[receiver + message.distance].owns
            assert owned[0] <= start < stop <= owned[1]
            got[receiver] += range(start, stop)
    assert all(sorted(rows) == list(range(*part.reads)) for rows, part in zip(got.values(), parts))
    volume = exchange((*sizes, channels), kernel, count, dtype=np.float64, **geometry)
    row = int(np.prod(sizes)) // size * channels * 8
    assert volume.halo == sum(sum(part.halo) for part in parts) * row <= volume.sent


def convolution_low(padding, size, kernel, stride, dilation, axis):
    """Zeros before the axis, from the definitions of the named paddings."""
    if padding == "causal":
        return (kernel - 1) * dilation
    if padding == "same":
        outputs = -(-size // stride)
        return max((outputs - 1) * stride + (kernel - 1) * dilation + 1 - size, 0) // 2
    return padding[axis][0]


def test_the_volume_is_a_halo_per_cut_however_large_the_input():
    for size in (64, 4096):
        volume = exchange((size, 10, 3), (5, 5), 8, padding="same", dilation=(2, 1))
        assert volume == (7 * 8 * 10 * 3 * 4, 7 * 8 * 10 * 3 * 4, 14, 1)
    assert exchange((64, 3), 3, 1, padding="same") == (0, 0, 0, 0)
    assert exchange((64, 3), 4, 4, stride=4) == (0, 0, 0, 0)


def test_the_first_shares_are_the_longer_ones_as_blocks_take_them():
    assert shares(7, 3) == [(0, 3), (3, 5), (5, 7)]
    assert shares(2, 3) == [(0, 1), (1, 2), (2, 2)]
    x = jnp.arange(11.0)[:, None]
    for block, (start, stop) in zip(blocks(x, 4)[:, 0].reshape(4, 3), shares(11, 4)):
        np.testing.assert_array_equal(block[: stop - start], np.arange(start, stop))


def test_blocks_are_as_long_as_the_longest_and_join_again():
    x = np.arange(11.0, dtype=np.float32)[:, None]
    four, three, again = jax.jit(lambda x: (blocks(x, 4), blocks(x[:2], 3), joined(blocks(x, 4), 11, 4)))(x)
    np.testing.assert_array_equal(four[:, 0], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0])
    np.testing.assert_array_equal(three[:, 0], [0, 1, 0])
    np.testing.assert_array_equal(again, x)
