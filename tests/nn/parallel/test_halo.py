"""The arithmetic of halos: who computes, reads and owns which rows, and what is exchanged."""

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given, settings

from populace.nn.parallel.halo import blocks, decompose, exchange, joined, messages, shares
from tests.nn.parallel.problems import problems


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


def test_blocks_are_as_long_as_the_longest_and_join_again():
    x = np.arange(11.0, dtype=np.float32)[:, None]
    four, three, again = jax.jit(lambda x: (blocks(x, 4), blocks(x[:2], 3), joined(blocks(x, 4), 11, 4)))(x)
    np.testing.assert_array_equal(four[:, 0], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0])
    np.testing.assert_array_equal(three[:, 0], [0, 1, 0])
    np.testing.assert_array_equal(again, x)


def test_the_first_shares_are_the_longer_ones_as_blocks_take_them():
    assert shares(7, 3) == [(0, 3), (3, 5), (5, 7)]
    assert shares(2, 3) == [(0, 1), (1, 2), (2, 2)]
    x = jnp.arange(11.0)[:, None]
    for block, (start, stop) in zip(blocks(x, 4)[:, 0].reshape(4, 3), shares(11, 4)):
        np.testing.assert_array_equal(block[: stop - start], np.arange(start, stop))
