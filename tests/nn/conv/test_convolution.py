"""Convolution against loops over its formula, in every lowering, under every transformation."""

import itertools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, PartitionSpec

from populace.core.errors import UsageError
from populace.nn.conv import lowering
from populace.nn.conv.convolution import Conv, Conv1d, Conv2d, Conv3d, convolve
from populace.nn.conv.window import Window
from populace.nn.primitives import native
from tests.nn.harness import check_layer

LOWERINGS = ("auto", "patches", "taps", "xla") + (() if native.missing() else ("native",))

WIDE = pytest.mark.skipif(not native.wide(), reason="no native kernels for this processor")

# (sizes, kernel, in, out) and options: strides, dilations, groups, paddings, even kernels, in 1 to 3 axes
CASES: list[tuple[Any, Any, int, int, dict[str, Any]]] = [
    ((9,), (3,), 2, 3, {}),
    ((9,), (4,), 4, 6, {"stride": 2, "dilation": 2, "groups": 2, "padding": "same"}),
    ((8,), (2,), 3, 2, {"dilation": 3, "padding": "causal"}),
    ((7, 8), (3, 3), 3, 4, {"padding": "same"}),
    ((7, 8), (3, 2), 2, 4, {"stride": (2, 1), "dilation": (1, 2), "padding": "causal", "groups": 2}),
    ((6, 7), (2, 3), 4, 8, {"groups": 4, "stride": (1, 3), "padding": [(1, 2), (4, 0)]}),
    ((6, 5), (1, 1), 3, 2, {"padding": 1}),
    ((4, 5, 6), (2, 3, 2), 2, 4, {"stride": (1, 2, 2), "groups": 2, "padding": "same"}),
    ((4, 4, 5), (2, 2, 3), 2, 3, {"dilation": (1, 2, 1), "padding": [0, 1, (2, 0)]}),
]


def pads_of(sizes: Any, kernel: Any, stride: Any, dilation: Any, padding: Any) -> list[tuple[int, int]]:
    """Zeros before and after every axis, from what the names mean."""
    pads = []
    for i, (n, k, s, d) in enumerate(zip(sizes, kernel, stride, dilation)):
        span = (k - 1) * d + 1
        if padding == "valid":
            pads.append((0, 0))
        elif padding == "causal":
            pads.append((span - 1, 0))
        elif padding == "same":
            total = max((math.ceil(n / s) - 1) * s + span - n, 0)
            pads.append((total // 2, total - total // 2))
        else:
            side = padding if isinstance(padding, int) else padding[i]
            pads.append((side, side) if isinstance(side, int) else side)
    return pads


def correlate(
    x: np.ndarray,
    w: np.ndarray,
    *,
    stride: Any = 1,
    dilation: Any = 1,
    groups: int = 1,
    padding: Any = "valid",
) -> np.ndarray:
    """y[i, o] = sum_k sum_c x[i stride + k dilation, c] w[k, c, o], in float64, by loops."""
    n = w.ndim - 2
    stride, dilation = ((v,) * n if isinstance(v, int) else v for v in (stride, dilation))
    pads = pads_of(x.shape, w.shape, stride, dilation, padding)[:n]
    x = np.pad(np.asarray(x, np.float64), [*pads, (0, 0)])
    ins, outs = w.shape[-2], w.shape[-1] // groups
    places = [(m - (k - 1) * d - 1) // s + 1 for m, k, s, d in zip(x.shape, w.shape, stride, dilation)][:n]
    y = np.zeros((*places, w.shape[-1]))
    for place in itertools.product(*map(range, places)):
        for taps in itertools.product(*map(range, w.shape[:n])):
            at = tuple(i * s + k * d for i, s, k, d in zip(place, stride, taps, dilation))
            for group in range(groups):
                seen = x[at][group * ins : (group + 1) * ins]
                y[place][group * outs : (group + 1) * outs] += seen @ w[taps][:, group * outs :][:, :outs]
    return y


def draw(*shape: int, seed: int = 0) -> jax.Array:
    return jnp.asarray(np.random.default_rng((seed, *shape)).normal(size=shape), jnp.float32)


@pytest.mark.parametrize(("sizes", "kernel", "ins", "outs", "options"), CASES[1::2], ids=str)
def test_layer(sizes: Any, kernel: Any, ins: int, outs: int, options: Any) -> None:
    layer = Conv(len(sizes), ins, outs, kernel, **options, key=jax.random.key(0))

    def reference(layer: Any, x: np.ndarray) -> np.ndarray:
        return correlate(x, layer.weight, **options) + layer.bias

    check_layer(layer, (draw(*sizes, ins),), reference)


@pytest.mark.parametrize(("sizes", "kernel", "ins", "outs", "options"), CASES, ids=str)
def test_lowerings_agree(sizes: Any, kernel: Any, ins: int, outs: int, options: Any) -> None:
    x, weight = draw(2, *sizes, ins), draw(*kernel, ins // options.get("groups", 1), outs)
    expected = np.stack([correlate(e, weight, **options) for e in np.asarray(x)])
    cotangent = draw(*expected.shape, seed=1)

    def everything(x: jax.Array, weight: jax.Array, lowering: str) -> tuple[jax.Array, ...]:
        one = lambda x, w: convolve(x, w, lowering=lowering, **options)  # noqa: E731
        y, adjoint = jax.vjp(lambda x, w: jax.vmap(one, (0, None))(x, w), x, weight)
        return y, *adjoint(cotangent)

    found = {name: jax.jit(everything, static_argnums=2)(x, weight, name) for name in LOWERINGS}
    for name in LOWERINGS:
        assert_close(found[name][0], expected)
        for mine, xla in zip(found[name][1:], found["xla"][1:]):
            assert_close(mine, xla)


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


@pytest.mark.parametrize("gathered", list(itertools.product((False, True), repeat=3)))
def test_every_plan_is_exact(gathered: tuple[bool, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lowering, "_plan", lambda geometry: gathered)
    window = Window.of("test", 3, (2, 2, 3), (2, 1, 1), (1, 2, 1), "same")
    geometry = lowering.Geometry(window, (5, 4, 3), 4, 4, 2, "auto")
    x, weight = draw(2, 3, 5, 4, 3, 4), draw(2, 2, 2, 3, 2, 4)  # two members, three examples each
    y = draw(2, 3, *window.outputs((5, 4, 3)), 4)
    for wanted, (a, b) in {"output": (x, weight), "input": (weight, y), "kernel": (x, y)}.items():
        assert_close(
            jax.jit(lowering.by_products, static_argnums=(2, 3))(a, b, wanted, geometry),
            jax.jit(lowering.by_xla, static_argnums=(2, 3))(a, b, wanted, geometry),
        )


OPTIONS: dict[str, Any] = {"stride": (2, 1), "groups": 2, "padding": "same"}


@pytest.mark.parametrize("axes", [(0, None), (None, 0), (0, 0), (2, 1)], ids=str)
def test_any_axis_of_any_operand_can_be_mapped(axes: tuple[int | None, int | None]) -> None:
    x, weight, cotangent = draw(5, 4, 4), draw(2, 3, 2, 6), draw(3, 4, 6, seed=2)
    xs = x if axes[0] is None else jnp.stack([x, -2 * x, x * x], axes[0])
    weights = weight if axes[1] is None else jnp.stack([weight, weight**2, -weight], axes[1])

    def both(x: jax.Array, weight: jax.Array) -> Any:
        y, adjoint = jax.vjp(lambda x, w: convolve(x, w, **OPTIONS), x, weight)
        return y, *adjoint(cotangent)

    together = jax.jit(jax.vmap(both, axes))(xs, weights)
    for i in range(3):
        one = [a if axis is None else jnp.take(a, i, axis) for a, axis in zip((xs, weights), axes)]
        for mine, alone in zip(together, both(*one)):
            assert_close(mine[i], alone)


def test_nested_maps_and_gradients() -> None:
    """Members over batches, batches over members, and a gradient in between: what populations do."""
    xs, weights = draw(3, 5, 4, 4), draw(2, 2, 3, 2, 6)

    def one(x: jax.Array, weight: jax.Array) -> jax.Array:
        return convolve(x, weight, **OPTIONS)

    def loss(weight: jax.Array, xs: jax.Array) -> jax.Array:
        return jnp.sum(jax.vmap(one, (0, None))(xs, weight) ** 3)

    alone = jnp.stack([jnp.stack([one(x, w) for x in xs]) for w in weights])
    assert_close(jax.vmap(lambda w: jax.vmap(one, (0, None))(xs, w))(weights), alone)
    assert_close(jax.vmap(lambda x: jax.vmap(one, (None, 0))(x, weights))(xs), alone.swapaxes(0, 1))
    by_weight = jax.jit(jax.vmap(jax.grad(loss), (0, None)))(weights, xs)
    assert_close(by_weight, jnp.stack([jax.grad(loss)(w, xs) for w in weights]))


@pytest.mark.parametrize("how", LOWERINGS)
@pytest.mark.parametrize("groups", [1, 3])
def test_no_examples_have_no_results_and_gradients_of_zero(how: str, groups: int) -> None:
    layer = Conv2d(3, 6, 3, groups=groups, lowering=how, key=jax.random.key(0))
    empty = jnp.ones((0, 5, 5, 3))
    assert jax.vmap(layer)(empty).shape == (0, 3, 3, 6)
    nested = jax.vmap(jax.vmap(layer, in_axes=-1))
    assert nested(jnp.ones((0, 5, 5, 3, 2))).shape == (0, 2, 3, 3, 6)
    assert nested(jnp.ones((2, 5, 5, 3, 0))).shape == (2, 0, 3, 3, 6)
    slope = jax.grad(
        lambda weight: jax.vmap(lambda x: convolve(x, weight, groups=groups, lowering=how))(empty).sum()
    )
    np.testing.assert_array_equal(slope(layer.weight), jnp.zeros_like(layer.weight))


def test_forward_mode_and_second_derivatives() -> None:
    x, weight, along = draw(5, 4, 4), draw(2, 3, 2, 6), draw(2, 3, 2, 6, seed=3)

    def loss(weight: jax.Array, name: str) -> jax.Array:
        return jnp.sum(convolve(x, weight, lowering=name, **OPTIONS) ** 3)

    found = {
        name: jax.jit(lambda w, n=name: jax.jvp(jax.grad(lambda w: loss(w, n)), (w,), (along,))[1])(weight)
        for name in ("auto", "xla")
    }
    assert_close(found["auto"], found["xla"])
    transposed = jax.linear_transpose(lambda x: convolve(x, weight, **OPTIONS), x)
    y = convolve(x, weight, **OPTIONS)
    assert_close(transposed(y)[0], jax.vjp(lambda x: convolve(x, weight, **OPTIONS), x)[1](y)[0])


def training_step(name: str = "auto") -> Any:
    """Gradients of a population of networks, each with weights of its own."""
    layer = Conv2d(3, 4, 3, padding="same", lowering=name, key=jax.random.key(0))

    def loss(weight: jax.Array, xs: jax.Array) -> jax.Array:
        one = lambda x: convolve(x, weight, layer.bias, padding="same", lowering=name)  # noqa: E731
        return jnp.sum(jax.vmap(one)(xs) ** 2)

    members = jax.jit(jax.vmap(jax.grad(loss, (0, 1)), (0, None)))
    return members.trace(jnp.stack([layer.weight, layer.weight]), draw(2, 6, 6, 3))


@pytest.mark.parametrize("wide", [False, pytest.param(True, marks=WIDE)])
def test_no_convolution_and_no_scatter_on_cpu(wide: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """XLA's convolution is slow in loops on CPU, and grouped under `vmap`; so are gathers by index."""
    monkeypatch.setattr(lowering, "wide", lambda: wide)
    program = training_step().lower(lowering_platforms=("cpu",)).as_text()
    assert ("populace_correlation" if wide else "dot_general") in program
    for slow in ("stablehlo.convolution", "gather", "scatter", "while"):
        assert slow not in program
    assert "stablehlo.convolution" in training_step("xla").lower(lowering_platforms=("cpu",)).as_text()


@pytest.mark.parametrize("platform", ["cuda", "tpu"])
def test_accelerators_get_their_own_convolution(platform: str) -> None:
    assert "stablehlo.convolution" in training_step().lower(lowering_platforms=(platform,)).as_text()
    forced = training_step("patches").lower(lowering_platforms=(platform,)).as_text()
    assert "stablehlo.convolution" not in forced


@pytest.mark.parametrize("check", [True, False])
def test_gradients_add_up_over_a_mesh(check: bool) -> None:
    """A kernel that all devices share gets the gradient of all their examples."""
    mesh = Mesh(np.asarray(jax.devices()[:2]), ("data",))
    split, whole = PartitionSpec("data"), PartitionSpec()

    def loss_of(xs: jax.Array, weight: jax.Array) -> jax.Array:
        return jax.vmap(lambda x: convolve(x, weight, padding="same"))(xs) ** 3

    def spread(xs: jax.Array, weight: jax.Array) -> jax.Array:
        over = jax.shard_map(loss_of, mesh=mesh, in_specs=(split, whole), out_specs=split, check_vma=check)
        return jnp.sum(over(xs, weight))

    xs, weight = draw(4, 5, 4, 2), draw(3, 3, 2, 3)
    found = jax.jit(jax.grad(spread, (0, 1)))(xs, weight)
    for mine, alone in zip(found, jax.grad(lambda x, w: jnp.sum(loss_of(x, w)), (0, 1))(xs, weight)):
        assert_close(mine, alone)


def test_a_kernel_that_swaps_colours() -> None:
    """An RGB picture and a (1, 1, 3, 3) kernel that puts red into blue, and blue into red."""
    picture = draw(4, 5, 3)
    swap = jnp.asarray(np.eye(3)[::-1].reshape(1, 1, 3, 3), jnp.float32)
    np.testing.assert_array_equal(convolve(picture, swap), picture[..., ::-1])


def test_whole_numbers_become_what_the_weight_is() -> None:
    y = convolve(jnp.asarray([[1], [2], [4]], jnp.uint8), jnp.asarray([-1.0, 1.0]).reshape(2, 1, 1))
    np.testing.assert_array_equal(y, [[1.0], [2.0]])
    assert y.dtype == jnp.float32


@pytest.mark.parametrize(("n", "kernel", "stride", "dilation"), [(7, 3, 1, 1), (8, 4, 3, 2), (5, 2, 2, 1)])
def test_padding_names(n: int, kernel: int, stride: int, dilation: int) -> None:
    weight = draw(kernel, 1, 1)
    for name in ("same", "causal"):
        y = convolve(draw(n, 1), weight, stride=stride, dilation=dilation, padding=name)
        assert y.shape == (math.ceil(n / stride), 1)
    sees = jax.jacobian(
        lambda x: convolve(x, weight, stride=stride, dilation=dilation, padding="causal")[:, 0]
    )(draw(n, 1))[..., 0]
    for i, row in enumerate(np.asarray(sees)):
        assert row[i * stride] != 0, "the present is seen"
        assert not row[i * stride + 1 :].any(), "the future is not"


def test_start() -> None:
    layer = Conv2d(8, 16, 5, groups=2, key=jax.random.key(3))
    bound = 1 / math.sqrt(5 * 5 * 8 / 2)
    assert layer.weight.shape == (5, 5, 4, 16)
    assert 0.98 * bound < float(jnp.max(jnp.abs(layer.weight))) <= bound
    assert layer.bias is not None
    assert layer.bias.shape == (16,)
    assert Conv1d(2, 3, 1, use_bias=False, key=jax.random.key(0)).bias is None
    assert Conv3d(1, 1, (1, 2, 3), key=jax.random.key(0)).weight.shape == (1, 2, 3, 1, 1)


KEY = jax.random.key(0)
REFUSED = {
    "Conv2d: input has shape (28, 28, 3), expected (height, width, 1)": lambda: Conv2d(1, 2, 3, key=KEY)(
        jnp.zeros((28, 28, 3))
    ),
    "Conv1d: input has shape (4, 5, 2), expected (length, 2)": lambda: Conv1d(2, 2, 3, key=KEY)(
        jnp.zeros((4, 5, 2))
    ),
    "convolve: input has shape (5,), expected (length, 1)": lambda: convolve(
        jnp.zeros(5), jnp.zeros((2, 1, 1))
    ),
    "convolve: weight has shape (3, 3), expected (*kernel, Cin / groups, Cout)": lambda: convolve(
        jnp.zeros((4, 4)), jnp.zeros((3, 3))
    ),
    "convolve: bias has shape (3,), expected (2,)": lambda: convolve(
        jnp.zeros((4, 1)), jnp.zeros((3, 1, 2)), jnp.zeros(3)
    ),
    "Conv2d: input of spatial size (4, 2) is smaller than its kernel (3, 3)": lambda: Conv2d(
        1, 1, 3, key=KEY
    )(jnp.zeros((4, 2, 1))),
    "Conv1d: input of spatial size (2,) padded to (4,) is smaller than its kernel (3,) spanning (5,)": (
        lambda: Conv1d(1, 1, 3, dilation=2, padding=1, key=KEY)(jnp.zeros((2, 1)))
    ),
    "Conv2d: stride must be at least 1, got (1, 0)": lambda: Conv2d(1, 1, 3, stride=(1, 0), key=KEY),
    "Conv2d: dilation must be at least 1, got 0": lambda: Conv2d(1, 1, 3, dilation=0, key=KEY),
    "Conv2d: kernel size must be at least 1, got -1": lambda: Conv2d(1, 1, -1, key=KEY),
    "Conv2d: kernel size must be one number or 2, got (3, 3, 3)": lambda: Conv2d(1, 1, (3, 3, 3), key=KEY),
    "Conv2d: stride must be whole numbers, got 1.5": lambda: Conv2d(1, 1, 3, stride=1.5, key=KEY),
    "Conv: expected at least 1 spatial axis, got 0": lambda: Conv(0, 1, 1, 3, key=KEY),
    "Conv2d: 3 input and 4 output channels are not divisible by 2 groups": lambda: Conv2d(
        3, 4, 3, groups=2, key=KEY
    ),
    "convolve: 4 input and 3 output channels are not divisible by 2 groups": lambda: convolve(
        jnp.zeros((5, 4)), jnp.zeros((2, 2, 3)), groups=2
    ),
    "Conv2d: groups must be at least 1, got 0": lambda: Conv2d(3, 4, 3, groups=0, key=KEY),
    "Conv2d: out_channels must be at least 1, got 0": lambda: Conv2d(3, 0, 3, key=KEY),
    "Conv2d: in_channels must be a whole number, got 3.0": lambda: Conv2d(3.0, 4, 3, key=KEY),
    "Conv2d: in_channels must be a whole number, got 'a'": lambda: Conv2d("a", 4, 3, key=KEY),
    "Conv2d: groups must be a whole number, got 2.0": lambda: Conv2d(2, 4, 3, groups=2.0, key=KEY),
    "Conv2d: padding must be at least 0, got -1": lambda: Conv2d(1, 1, 3, padding=-1, key=KEY),
    "Conv2d: padding must be at least 0, got (1, -1)": lambda: Conv2d(1, 1, 3, padding=[1, (1, -1)], key=KEY),
    "Conv1d: padding must have one entry per spatial axis (1), got (1, 2)": lambda: Conv1d(
        1, 1, 3, padding=(1, 2), key=KEY
    ),
    "unknown padding 'sane' of Conv2d; did you mean 'same'?": lambda: Conv2d(
        1, 1, 3, padding="sane", key=KEY
    ),
    "unknown lowering 'patch' of Conv2d; did you mean 'patches'?": lambda: Conv2d(
        1, 1, 3, lowering="patch", key=KEY
    ),
}


@pytest.mark.parametrize("message", REFUSED)
def test_bad_input(message: str) -> None:
    with pytest.raises(UsageError) as refused:
        REFUSED[message]()
    assert str(refused.value) == message


def test_bad_input_is_refused_while_tracing() -> None:
    layer = Conv2d(1, 2, 3, key=KEY)
    with pytest.raises(UsageError, match="expected"):
        jax.eval_shape(jax.vmap(layer), jax.ShapeDtypeStruct((5, 28, 28, 3), jnp.float32))


def assert_close(found: Any, expected: Any) -> None:
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5 * max(np.max(np.abs(expected)), 1e-3))
