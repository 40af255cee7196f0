"""The generator that compiles quickly draws what JAX's own draws, bit for bit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from populace.core import native
from populace.core.random import root_key

DRAWS = {
    "fold_in": lambda k: jax.random.key_data(jax.random.fold_in(k, 5)),
    "fold_in high": lambda k: jax.random.key_data(jax.random.fold_in(k, np.uint32(2**32 - 1))),
    "split": lambda k: jax.random.key_data(jax.random.split(k)),
    "split 2-D": lambda k: jax.random.key_data(jax.random.split(k, (3, 2))),
    "split many folds": lambda k: jax.random.key_data(
        jax.vmap(jax.random.fold_in, (None, 0))(jax.random.split(k)[1], jnp.arange(4))
    ),
    "bits 8": lambda k: jax.random.bits(k, (5,), jnp.uint8),
    "bits 16": lambda k: jax.random.bits(k, (5,), jnp.uint16),
    "bits 32": lambda k: jax.random.bits(k, (2, 3, 5)),
    "bits of nothing": lambda k: jax.random.bits(k, (0, 3)),
    "bits scalar": lambda k: jax.random.bits(k),
    "uniform": lambda k: jax.random.uniform(k, (7,)),
    "normal": lambda k: jax.random.normal(k, (4, 4)),
    "randint": lambda k: jax.random.randint(k, (9,), 0, 10),
    "permutation": lambda k: jax.random.permutation(k, 100),
    "categorical": lambda k: jax.random.categorical(k, jnp.arange(6.0), shape=(8,)),
    "bernoulli": lambda k: jax.random.bernoulli(k, 0.3, (8,)),
    "truncated normal": lambda k: jax.random.truncated_normal(k, -2, 2, (8,)),
    "orthogonal": lambda k: jax.nn.initializers.orthogonal()(k, (4, 4)),
}


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="other backends use JAX's generator itself")
def test_it_is_in_use() -> None:
    assert jax.random.key_impl(root_key(0)) != jax.random.key_impl(jax.random.key(0))


SEEDS = (0, 7, 2**31 - 1)


@pytest.fixture(scope="module")
def drawn() -> dict[str, list[dict[str, jax.Array]]]:
    """All draws of all seeds, once with each generator, each in one program."""

    def draws(make) -> list[dict[str, jax.Array]]:
        data = np.stack([np.asarray(jax.random.key_data(make(seed))) for seed in SEEDS])
        keys = jax.random.wrap_key_data(data, impl=jax.random.key_impl(make(0)))
        return jax.jit(lambda keys: [{name: draw(key) for name, draw in DRAWS.items()} for key in keys])(keys)

    found = {"kernel": draws(root_key), "jax": draws(jax.random.key)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(native, "missing", lambda: "as if there were none")
        found["written out"] = draws(root_key)
    return found


@pytest.mark.parametrize("draw", DRAWS)
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("generator", ["kernel", "written out"])
def test_same_bits(
    drawn: dict[str, list[dict[str, jax.Array]]], draw: str, seed: int, generator: str
) -> None:
    ours, theirs = (np.asarray(drawn[of][SEEDS.index(seed)][draw]) for of in (generator, "jax"))
    assert ours.dtype == theirs.dtype
    np.testing.assert_array_equal(ours, theirs)


def test_same_bits_outside_a_program() -> None:
    for draw in ("fold_in", "split", "bits 32"):
        ours, theirs = DRAWS[draw](root_key(3)), DRAWS[draw](jax.random.key(3))
        np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs))


def test_same_bits_over_members_inside_a_program() -> None:
    @jax.jit
    def members(root: jax.Array) -> list[jax.Array]:
        keys = jax.random.split(root, 3)
        return [jax.vmap(DRAWS[draw])(keys) for draw in ("split", "uniform", "permutation")]

    for ours, theirs in zip(members(root_key(1)), members(jax.random.key(1)), strict=True):
        np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs))
