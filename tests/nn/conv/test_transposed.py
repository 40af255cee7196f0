"""Transposed convolution: adjoint to the convolution, against loops over its formula."""

import itertools
from typing import Any

import equinox as eqx
import jax
import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.nn.conv.convolution import convolve
from populace.nn.conv.transposed import ConvTranspose, ConvTranspose1d, ConvTranspose2d, convolve_transposed
from tests.nn.conv.formula import LOWERINGS, assert_close, draw, pads_of
from tests.nn.draws import filled
from tests.nn.harness import check_layer, check_refused

# (places, kernel, in, out), options, sizes that come out
CASES: list[tuple[Any, Any, int, int, dict[str, Any], Any]] = [
    ((4,), (3,), 2, 3, {}, (6,)),
    ((4,), (4,), 4, 2, {"stride": 3, "dilation": 2, "groups": 2, "padding": [(1, 2)]}, (13,)),
    ((3, 4), (3, 2), 3, 2, {"stride": 2, "padding": "same"}, (6, 8)),
    ((3, 2), (2, 3), 4, 4, {"groups": 4, "stride": (1, 2), "padding": "causal"}, (3, 4)),
    ((2, 3, 2), (2, 2, 3), 2, 3, {"stride": (2, 1, 1), "padding": [0, 1, 1]}, (4, 2, 2)),
]


def spread(
    y: np.ndarray, w: np.ndarray, sizes: Any, *, stride: Any, dilation: Any, groups: int, padding: Any
):
    """x[i stride + k dilation - before, c] += y[i, o] w[k, c, o], in float64, by loops."""
    n = w.ndim - 2
    stride, dilation = ((v,) * n if isinstance(v, int) else v for v in (stride, dilation))
    before = [low for low, _ in pads_of(sizes, w.shape, stride, dilation, padding)]
    ins, outs = w.shape[-2], w.shape[-1] // groups
    x = np.zeros((*sizes, ins * groups))
    for place in itertools.product(*map(range, y.shape[:n])):
        for taps in itertools.product(*map(range, w.shape[:n])):
            at = tuple(i * s + k * d - b for i, s, k, d, b in zip(place, stride, taps, dilation, before))
            if not all(0 <= j < size for j, size in zip(at, sizes)):
                continue
            for g in range(groups):
                own = slice(g * outs, (g + 1) * outs)
                x[at][g * ins : (g + 1) * ins] += w[taps][:, own] @ y[place][own]
    return x


@pytest.mark.parametrize(("places", "kernel", "ins", "outs", "options", "sizes"), CASES[1:], ids=str)
def test_layer(places: Any, kernel: Any, ins: int, outs: int, options: Any, sizes: Any) -> None:
    layer = filled(lambda key: ConvTranspose(len(places), ins, outs, kernel, **options, key=key))

    def reference(layer: Any, y: np.ndarray) -> np.ndarray:
        whole = {"stride": 1, "dilation": 1, "groups": 1, "padding": "valid"} | options
        return spread(y, layer.weight, sizes, **whole) + layer.bias

    check_layer(layer, (draw(*places, ins),), reference, eager=len(places) == 1)


def assert_adjoint(x: Any, there: Any, y: Any, back: Any, what: object) -> None:
    """<conv(x), y> = <x, transposed(y)>."""
    x, there, y, back = (np.asarray(a, np.float64) for a in (x, there, y, back))
    assert there.shape == y.shape, what
    assert back.shape == x.shape, what
    # Relative to what is added up, which may cancel: how much is lost to rounding differs by processor.
    close = 1e-6 * np.sum(np.abs(there * y))
    np.testing.assert_allclose(np.vdot(there, y), np.vdot(x, back), rtol=0, atol=close, err_msg=str(what))


@pytest.mark.parametrize(("places", "kernel", "ins", "outs", "options", "sizes"), CASES, ids=str)
def test_it_is_the_adjoint(places: Any, kernel: Any, ins: int, outs: int, options: Any, sizes: Any) -> None:
    weight = draw(*kernel, outs // options.get("groups", 1), ins)
    x, y = draw(*sizes, outs, seed=1), draw(*places, ins, seed=2)

    @jax.jit
    def in_every_lowering(x: jax.Array, y: jax.Array, weight: jax.Array) -> dict[str, Any]:
        return {
            name: (
                convolve(x, weight, lowering=name, **options),
                convolve_transposed(y, weight, lowering=name, **options),
            )
            for name in LOWERINGS
        }

    for name, (there, back) in in_every_lowering(x, y, weight).items():
        assert_adjoint(x, there, y, back, name)


def test_same_with_stride_two_doubles_every_size() -> None:
    layer = filled(lambda key: ConvTranspose2d(3, 2, 4, stride=2, padding="same", key=key))
    assert jax.eval_shape(layer, draw(5, 7, 3)).shape == (10, 14, 2)


def test_output_size() -> None:
    """Every size that the convolution turns into the places may be asked for, and no other."""
    layer = filled(lambda key: ConvTranspose1d(1, 1, 3, stride=3, padding="same", key=key))
    y, xs = draw(4, 1), {size: draw(size, 1) for size in (10, 11, 12)}

    @jax.jit
    def there_and_back(xs: Any, y: jax.Array) -> Any:
        there = {size: convolve(x, layer.weight, stride=3, padding="same") for size, x in xs.items()}
        return there, {size: layer(y, size) - layer.bias for size in xs}

    there, back = there_and_back(xs, y)
    for size, x in xs.items():
        assert_adjoint(x, there[size], y, back[size], size)
    with pytest.raises(UsageError, match=r"ConvTranspose1d: .*\(4,\) cannot become an output of \(13,\)"):
        layer(y, 13)


def test_members_and_batches() -> None:
    """Members with kernels of their own, batches that share one: what a loop over both gives."""
    ys, weights = draw(3, 4, 2), draw(2, 3, 1, 2)

    def one(y: jax.Array, weight: jax.Array) -> jax.Array:
        return convolve_transposed(y, weight, stride=2)

    @jax.jit
    def both(ys: jax.Array, weights: jax.Array) -> tuple[jax.Array, jax.Array]:
        members = jax.vmap(lambda w: jax.vmap(one, (0, None))(ys, w))(weights)
        return members, jax.vmap(lambda y: jax.vmap(one, (None, 0))(y, weights))(ys)

    alone = jax.jit(one)
    one_by_one = np.asarray([[alone(y, w) for y in ys] for w in weights])
    members, batches = both(ys, weights)
    assert_close(members, one_by_one)
    assert_close(batches, one_by_one.swapaxes(0, 1))


def test_start() -> None:
    layer = eqx.filter_jit(lambda key: ConvTranspose2d(8, 4, 4, stride=2, key=key))(jax.random.key(0))
    bound = 1 / np.sqrt(8 * 16 / 4)
    assert layer.weight.shape == (4, 4, 4, 8)
    assert 0.97 * bound < np.max(np.abs(layer.weight)) <= bound


KEY = jax.random.key(0)
REFUSED = {
    "ConvTranspose2d: input has shape (4, 4, 3), expected (height, width, 2)": lambda: ConvTranspose2d(
        2, 1, 3, key=KEY
    )(np.zeros((4, 4, 3))),
    "convolve_transposed: weight has shape (3, 3), expected (*kernel, Cin / groups, Cout)": (
        lambda: convolve_transposed(np.zeros((4, 3)), np.zeros((3, 3)))
    ),
    "convolve_transposed: bias has shape (3,), expected (2,)": lambda: convolve_transposed(
        np.zeros((4, 3)), np.zeros((3, 2, 3)), np.zeros(3)
    ),
    "ConvTranspose2d: stride must be at least 1, got 0": lambda: ConvTranspose2d(1, 1, 3, stride=0, key=KEY),
    "ConvTranspose2d: 3 input and 4 output channels are not divisible by 2 groups": (
        lambda: ConvTranspose2d(3, 4, 3, groups=2, key=KEY)
    ),
    "ConvTranspose1d: input of spatial size (1,) cannot become an output of (-1,)": lambda: ConvTranspose1d(
        1, 1, 3, padding=2, key=KEY
    )(np.zeros((1, 1))),
    "ConvTranspose1d: output size must be one number or 1, got (4, 4)": lambda: ConvTranspose1d(
        1, 1, 3, key=KEY
    )(np.zeros((2, 1)), (4, 4)),
}


@pytest.mark.parametrize("message", REFUSED)
def test_bad_input(message: str) -> None:
    check_refused(REFUSED[message], message)
