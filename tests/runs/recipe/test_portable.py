"""Every recipe that comes along can be lowered for processors that have none of populace's own kernels."""

import re

import equinox as eqx
import jax
import pytest
from jax import export

from populace import recipes
from populace.core import native
from populace.core.errors import PopulaceError
from populace.runs.recipe.parsing import parse
from tests.places import SHARED_DATA

QUICK = ("cartpole", "cartpole-ppo", "digits", "karate")
"""Dense layers, convolutions and sums over edges; all else, as attention, in long runs of the tests."""


def calls(name: str, platforms: tuple[str, ...]) -> set[str]:
    """Return the foreign calls in a training step of two members, lowered for some platforms."""
    learner = parse(recipes.text(name), name).population(check=False).learner_of(0)
    arrays, rest = eqx.partition(learner, eqx.is_array)
    key = jax.random.key(0)
    state, fixed = eqx.partition(
        eqx.filter_eval_shape(learner.init, key), lambda leaf: isinstance(leaf, jax.ShapeDtypeStruct)
    )

    def step(arrays, state, key):
        state, metrics = eqx.combine(arrays, rest).step(eqx.combine(state, fixed), key)
        return eqx.filter(state, eqx.is_array), metrics

    def two(leaf):
        return jax.ShapeDtypeStruct((2, *leaf.shape), leaf.dtype)

    ours = [export.DisabledSafetyCheck.custom_call(f"populace_{call}") for call in native.CALLS]
    lower = export.export(jax.jit(jax.vmap(step, (None, 0, 0))), platforms=platforms, disabled_checks=ours)
    program = lower(arrays, jax.tree.map(two, state), two(jax.eval_shape(lambda: key)))
    return set(re.findall(r"custom_call @([\w.]+)", program.mlir_module()))


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[] if n in QUICK else pytest.mark.slow) for n in recipes.names()]
)
def test_a_step_calls_nothing_that_only_a_cpu_knows(name, monkeypatch):
    if SHARED_DATA.is_dir():
        monkeypatch.setenv("POPULACE_DATA", str(SHARED_DATA))
    try:
        found = calls(name, ("cuda", "rocm", "tpu"))
    except PopulaceError as error:
        pytest.skip(f"{name}: {error}")
    assert found == set()


@pytest.mark.skipif(not native.wide(), reason="no native kernels that are chosen")
def test_on_a_cpu_the_kernels_are_there():
    assert "populace_dense" in calls("cartpole", ("cpu",))
