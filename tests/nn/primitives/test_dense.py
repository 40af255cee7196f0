"""Dense layers: the formula at the edges of the kernels' tiles, under every map, and all derivatives."""

import hashlib
import subprocess
import sys
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

from populace.core import native
from populace.nn.primitives.dense import FUSED, LARGEST, dense
from tests.nn.harness import check_layer

NUMPY = {"none": lambda z: z, "relu": lambda z: np.maximum(z, 0), "tanh": np.tanh}
JAX = {"none": lambda z: z, "relu": jax.nn.relu, "tanh": jnp.tanh}
SIZES = (
    (1, 1, 1, 1), (3, 4, 4, 64), (2, 64, 64, 2), (8, 13, 7, 17), (2, 6, 33, 24), (1, 9, 8, 15),
    (2, 5, 20, 20), (1, 3, 65, 16), (2, 2, 3, LARGEST), (1, 4, LARGEST + 1, 3), (2, 0, 3, 5),
)  # fmt: skip
"""Members, rows, inputs, outputs. A tile has 6 rows of 16 outputs or 8 of 8, or less where less is left."""


def draw(*shapes: tuple[int, ...]) -> list[np.ndarray]:
    draws = np.random.default_rng(0)
    return [draws.normal(size=shape).astype(np.float32) for shape in shapes]


def layer_of(members: int, rows: int, inputs: int, outputs: int) -> list[np.ndarray]:
    """Return x, W, b and a gradient of y, of some members."""
    x, W, b, g = draw(
        (members, rows, inputs), (members, outputs, inputs), (members, outputs), (members, rows, outputs)
    )
    return [x, W / np.float32(np.sqrt(inputs)), b, g]


def ours(x: Any, W: Any, b: Any, activation: str) -> jax.Array:
    """One layer for each member, as learners write it: examples are mapped, and so are members."""
    return jax.vmap(lambda x, W, b: jax.vmap(lambda one: dense(one, W, b, activation))(x))(x, W, b)


def theirs(x: Any, W: Any, b: Any, activation: str) -> jax.Array:
    return JAX[activation](jnp.einsum("mbi,moi->mbo", x, W, precision="highest") + b[:, None])


def assert_close(found: Any, expected: Any, what: object, tolerance: float = 2e-6) -> None:
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        scale = 1 + np.max(np.abs(b), initial=0)
        np.testing.assert_allclose(a, b, atol=tolerance * scale, rtol=0, err_msg=str(what))


class Layers(eqx.Module):
    """Two layers with each activation."""

    weights: list[Any]
    biases: list[Any]

    def __call__(self, x: Any) -> tuple[Any, ...]:
        """Map (..., 5) to (..., 3) by each activation."""
        found = []
        for activation in FUSED:
            h = dense(x, self.weights[0], self.biases[0], activation)
            found.append(dense(h, self.weights[1], self.biases[1]))
        return tuple(found)


def formula(layers: Any, x: Any) -> tuple[Any, ...]:
    W, b = layers.weights, layers.biases
    return tuple(NUMPY[a](x @ W[0].T + b[0]) @ W[1].T + b[1] for a in FUSED)


@pytest.fixture(params=["chosen", "xla"])
def _lowering(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """By what is chosen here, and as on processors for which there are no kernels."""
    if request.param == "xla":
        if not native.wide():
            pytest.skip("XLA is what is chosen here")
        monkeypatch.setattr("populace.nn.primitives.dense.wide", lambda: False)


@pytest.mark.usefixtures("_lowering")
@pytest.mark.parametrize("shape", [(5,), (2, 4, 5)])
def test_it_is_the_formula_with_gradients_in_float64_too(shape: tuple[int, ...]) -> None:
    x, first, second, one, two = draw(shape, (9, 5), (3, 9), (9,), (3,))
    check_layer(Layers([first, second], [one, two]), (x,), formula, eager=len(shape) == 1)


@pytest.mark.usefixtures("_lowering")
def test_any_number_of_members_rows_and_units() -> None:
    drawn = [layer_of(*sizes) for sizes in SIZES]

    @jax.jit
    def all_of(drawn: Any) -> Any:
        found = []
        for x, W, b, g in drawn:
            for activation in FUSED:
                y, back = jax.vjp(lambda *a, by=activation: ours(*a, by), x, W, b)
                found.append((y, *back(g)))
        return found

    found = iter(jax.tree.map(np.asarray, all_of(drawn)))
    for sizes, (x, W, b, g) in zip(SIZES, drawn):
        for activation in FUSED:
            x, W, b, g = (a.astype(np.float64) for a in (x, W, b, g))
            y = NUMPY[activation](np.einsum("mbi,moi->mbo", x, W) + b[:, None])
            z = g * {"none": 1.0, "relu": y > 0, "tanh": 1 - y**2}[activation]
            expected = y, np.einsum("mbo,moi->mbi", z, W), np.einsum("mbo,mbi->moi", z, x), z.sum(1)
            assert_close(next(found), expected, (sizes, activation))


@pytest.mark.usefixtures("_lowering")
def test_directions_of_first_and_second_order_and_their_gradients() -> None:
    x, W, b, g = layer_of(2, 5, 7, 9)

    def derivatives(layer: Any, by: str) -> Any:
        def of(x: Any, W: Any, b: Any) -> Any:
            return layer(x, W, b, by)

        def first(x: Any, W: Any) -> Any:
            return jax.jvp(lambda x: of(x, W, b), (x,), (jnp.sin(x),))[1]

        def second(x: Any, W: Any) -> Any:
            return jax.jvp(lambda x: first(x, W), (x,), (jnp.cos(x),))[1]

        return (
            jax.jvp(of, (x, W, b), (x / 2, W / 3, b))[1], first(x, W), second(x, W),
            jax.grad(lambda W: jnp.sum(second(x, W) * g))(W),
            jax.grad(lambda W: jnp.sum(jax.grad(lambda x: jnp.sum(of(x, W, b) * g))(x) ** 2))(W),
        )  # fmt: skip

    found, expected = jax.jit(lambda: [[derivatives(f, by) for by in FUSED] for f in (ours, theirs)])()
    assert_close(found, expected, "derivatives", 1e-5)


@pytest.mark.usefixtures("_lowering")
def test_mapped_over_any_operand() -> None:
    x, W, b = draw((4, 5), (3, 5), (3,))
    ways = [(0, None, None), (1, None, None), (None, 0, None), (None, None, 0), (0, 2, 1), (2, 0, None)]
    batches = [
        [a if d is None else np.stack([a, 2 * a], d) for a, d in zip((x, W, b), dims)] for dims in ways
    ]

    def both(layer: Any) -> Any:
        def loss(dims: Any, operands: Any) -> jax.Array:
            y = jax.vmap(lambda x, W, b: layer(x, W, b, "tanh"), dims)(*operands)
            return jnp.sum(y * jnp.cos(jnp.arange(y.size, dtype=y.dtype)).reshape(y.shape))

        return [jax.value_and_grad(lambda o, d=d: loss(d, o))(o) for d, o in zip(ways, batches)]

    found, expected = jax.jit(lambda: (both(dense), both(lambda x, W, b, _: jnp.tanh(x @ W.T + b))))()
    assert_close(found, expected, "maps", 1e-5)
    nothing = jax.vmap(lambda W: dense(x, W, b))(np.zeros((0, 3, 5), np.float32))
    assert nothing.shape == (0, 4, 3)


@pytest.mark.skipif(not native.wide(), reason="no kernels for vectors")
def test_what_is_not_finite_is_seen() -> None:
    x = np.asarray([[np.nan], [np.inf], [-np.inf], [1e-30], [-20.0]], np.float32)
    W, b = np.ones((1, 1), np.float32), np.zeros(1, np.float32)
    relu, tanh = (np.asarray(jax.jit(dense, static_argnums=3)(x, W, b, by))[:, 0] for by in ("relu", "tanh"))
    np.testing.assert_array_equal(relu, np.asarray([np.nan, np.inf, 0, 1e-30, 0], np.float32))
    np.testing.assert_allclose(tanh, [np.nan, 1, -1, 1e-30, -1], rtol=1e-6)


def bits(members: int) -> list[str]:
    """Checksums of a layer's results for each of some members, of which many are not cut in parts."""
    x, W, b, g = layer_of(9, 300, 100, 200)
    x, W, b, g = (a[:members] for a in (x, W, b, g))
    y, back = jax.jit(lambda *a: jax.vjp(lambda *a: ours(*a, "tanh"), *a))(x, W, b)
    found = [np.asarray(a) for a in (y, *jax.jit(lambda back, g: back(g))(back, g))]
    return [hashlib.sha256(b"".join(a[m].tobytes() for a in found)).hexdigest() for m in range(members)]


@pytest.mark.skipif(not native.wide(), reason="no kernels for vectors")
def test_a_member_is_the_same_alone_and_whatever_the_threads() -> None:
    together = bits(9)
    assert len(set(together)) == 9
    assert bits(1) == together[:1]
    code = (
        "import os; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])\n"
        "from tests.nn.primitives.test_dense import bits\n"
        "print(*bits(2))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == together[:2]


def test_accelerators_get_a_program_without_our_calls() -> None:
    x, W, b, g = layer_of(2, 3, 4, 5)

    def step(x: Any, W: Any, b: Any) -> Any:
        y, back = jax.vjp(lambda *a: ours(*a, "relu"), x, W, b)
        return y, back(jnp.asarray(g))

    for platform, ours_there in (("cuda", False), ("rocm", False), ("tpu", False), ("cpu", native.wide())):
        program = export.export(jax.jit(step), platforms=[platform], disabled_checks=[
            export.DisabledSafetyCheck.custom_call("populace_dense"),
            export.DisabledSafetyCheck.custom_call("populace_dense_back"),
        ])(x, W, b)  # fmt: skip
        assert ("populace_dense" in program.mlir_module()) == ours_there, platform
