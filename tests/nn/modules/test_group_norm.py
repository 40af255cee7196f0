"""Group normalization against NumPy; residual blocks, upsampling and the embedding of a time."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.nn.modules.group_norm import GroupNorm
from populace.nn.modules.residual import ResidualBlock, upsample
from populace.nn.modules.time_embedding import sinusoidal
from tests.nn.harness import check_layer

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(("shape", "groups"), [((4, 3, 6), 3), ((5, 4), 1)])
def test_group_norm(shape, groups):
    layer = GroupNorm(shape[-1], groups)
    layer = jax.tree.map(lambda x: RNG.uniform(0.5, 1.5, x.shape).astype(np.float32), layer)

    def reference(layer, x):
        out, size = np.empty_like(x), shape[-1] // groups
        for group in range(groups):
            part = x[..., group * size : (group + 1) * size]
            out[..., group * size : (group + 1) * size] = (part - part.mean()) / np.sqrt(
                part.var() + layer.eps
            )
        return out * layer.scale + layer.shift

    check_layer(layer, (RNG.normal(size=shape).astype(np.float32),), reference, eager=groups == 1)


def test_a_residual_block_begins_as_its_shortcut_and_hears_its_condition():
    @eqx.filter_jit
    def outputs(x, c):
        block = ResidualBlock(4, 6, 2, 3, key=jax.random.key(0))
        same = ResidualBlock(4, 4, 2, key=jax.random.key(1))
        conv = eqx.tree_at(lambda b: b.second_conv.weight, block, replace_fn=lambda w: w + 0.1)
        return block(x, c), block.shortcut(x), same(x), conv(x, c), conv(x, 2 * c)  # pyright: ignore[reportOptionalCall]

    x, c = RNG.normal(size=(5, 4, 4)).astype(np.float32), np.ones(3, np.float32)
    wide, shortcut, same, told, other = map(np.asarray, outputs(x, c))
    np.testing.assert_array_equal(wide, shortcut)
    np.testing.assert_array_equal(same, x)
    assert np.abs(told - other).max() > 1e-3


def test_upsampling_repeats_every_pixel():
    x = np.arange(12, dtype=np.float32).reshape(2, 3, 2)
    np.testing.assert_array_equal(upsample(jnp.asarray(x), 3), x.repeat(3, 0).repeat(3, 1))


def test_the_embedding_of_a_time():
    angles = 7.0 * 10_000.0 ** (-np.arange(3) / 3)
    np.testing.assert_allclose(
        sinusoidal(jnp.float32(7), 6), np.concatenate([np.sin(angles), np.cos(angles)]), atol=1e-5
    )


@pytest.mark.parametrize(("make", "message"), [
    (lambda: GroupNorm(6, 4), "6 channels do not divide into 4 groups"),
    (lambda: GroupNorm(6, 3)(jnp.zeros((2, 5))), r"expected \(..., 6\)"),
    (lambda: sinusoidal(jnp.float32(1), 5), "size must be even"),
])  # fmt: skip
def test_bad_input(make, message):
    with pytest.raises(UsageError, match=message):
        make()
