"""Games with known answers: a hundred seeds of each learner in one program, and each of them is right."""

import itertools
import tomllib
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from populace import recipes
from populace.core import settings
from populace.core.population import sweep
from populace.optim import gradient_step as descent
from populace.rl.exploration.strategies import ConstantEpsilon
from populace.rl.multi_agent import IQL, QMIX, VDN, TabularQ
from populace.rl.multi_agent.learners.experience import Experience
from tests import harness

SEEDS = 100
UNIFORM: dict[str, Any] = {
    "discount": 0.0, "hidden_sizes": (), "parameter_sharing": False, "loss": "mse", "learning_rate": 0.1,
    "warmup": 0,
}  # fmt: skip
GAMES = {"Climbing-v0": (8, 8.778, 5), "Penalty-v0(k=25.0)": (4, 4.444, 2)}


def payoff(learner) -> np.ndarray:
    return np.asarray(learner.task.environment.payoff, float)


def trained(learner, steps: int):
    """Return the learner and its state, with a leading axis of seeds."""
    engine = harness.only_trained(sweep(learner, seeds=SEEDS), steps)
    return engine.group_states[0].state()


def of_recipe(name: str, kind: type):
    given = tomllib.loads(recipes.text(name))
    learner = settings.from_dict(kind, {k: v for k, v in given["learner"].items() if k != "kind"})
    return learner, given["run"]["steps"]


def fitted(learner, steps: int = 400) -> np.ndarray:
    """Return what gradient steps on all joint actions alike come to, (seeds, 9) or (seeds, 9, N)."""
    task = learner.task
    joint = jnp.asarray(list(itertools.product(*map(range, task.actions))), jnp.int32)
    view, state = task.reset(jax.random.key(0), len(joint))
    step = task.step(jax.random.key(0), state, joint)
    batch = Experience(view, joint, step.reward, step.last, step.terminated)

    def run(key):
        start = learner.init(key)
        arrays, rest = eqx.partition((start.online, start.opt_state), eqx.is_array)

        def one(arrays, t):
            online, opt_state = eqx.combine(arrays, rest)

            def loss(online):
                losses, weight = learner.losses(online, online, batch)
                return jnp.sum(losses * weight) / weight.sum(), None

            online, opt_state, _, _ = descent.gradient_step(learner, loss, online, opt_state, t)
            return eqx.filter((online, opt_state), eqx.is_array), None

        arrays, _ = jax.lax.scan(one, arrays, jnp.arange(steps))
        return learner.joint_values(eqx.combine(arrays, rest)[0], view, joint)

    return np.asarray(jax.jit(jax.vmap(run))(jax.random.split(jax.random.key(0), SEEDS)))


@pytest.mark.parametrize("env", GAMES)
def test_values_of_every_seed_are_those_of_the_theory(env):
    """VDN's are the additive fit by least squares, IQL's the means over what the other does."""
    best, value, pays = GAMES[env]
    matrix = payoff(VDN(env=env))
    fit = matrix.mean(1)[:, None] + matrix.mean(0)[None] - matrix.mean()
    found = fitted(VDN(env=env, **UNIFORM))
    np.testing.assert_allclose(found, np.broadcast_to(fit.ravel(), (SEEDS, 9)), atol=0.02)
    np.testing.assert_array_equal(found.argmax(1), best)
    assert np.abs(found.max(1) - value).max() < 0.02
    assert np.diff(np.sort(found))[:, -1].min() > 1  # no tie
    assert matrix.ravel()[best] == pays
    each = fitted(IQL(env=env, **UNIFORM)).reshape(SEEDS, 3, 3, 2)
    first, second = each[:, :, 0, 0], each[:, 0, :, 1]
    np.testing.assert_allclose(first, np.broadcast_to(matrix.mean(1), (SEEDS, 3)), atol=0.02)
    np.testing.assert_allclose(second, np.broadcast_to(matrix.mean(0), (SEEDS, 3)), atol=0.02)
    np.testing.assert_array_equal(3 * first.argmax(1) + second.argmax(1), best)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "kind", "value"), [("two-step", QMIX, 8), ("two-step-vdn", VDN, 7)])
def test_the_two_step_game(name, kind, value):
    learner, steps = of_recipe(name, kind)
    state = trained(learner, steps)
    play = jax.jit(jax.vmap(lambda s: learner.episodes(learner.model(s), jax.random.key(1), 1)[0][0]))
    np.testing.assert_array_equal(play(state), value)


@pytest.mark.slow
@pytest.mark.parametrize("env", GAMES)
def test_what_vdn_learns_by_playing(env):
    """A buffer of random plays is not quite uniform, so each seed's fit is a little beside the theory's."""
    best, value, pays = GAMES[env]
    learner, steps = of_recipe("climbing", VDN)
    learner = settings.replace(learner, "env", env)
    state = trained(learner, steps)
    joint = jnp.asarray(list(itertools.product(range(3), range(3))), jnp.int32)
    view = learner.task.reset(jax.random.key(0), 9)[0]

    @jax.jit
    @jax.vmap
    def judged(state):
        model = learner.model(state)
        return learner.joint_values(model, view, joint), learner.episodes(model, jax.random.key(1), 1)[0][0]

    values, returns = map(np.asarray, judged(state))
    np.testing.assert_array_equal(values.argmax(1), best)
    np.testing.assert_array_equal(returns, 25 * pays)
    assert np.abs(values.max(1) - value).max() < 0.5
    assert abs(values.max(1).mean() - value) < 0.05


@pytest.mark.slow
@pytest.mark.parametrize("env", GAMES)
def test_what_tables_learn_by_playing(env):
    best, _, pays = GAMES[env]
    learner = TabularQ(
        env=env,
        exploration=ConstantEpsilon(value=1.0),
        learning_rate=2e-3,
        discount=0.0,
        evaluation_episodes=1,
    )
    state = trained(learner, 600)  # what is left of the start: exp(-10)
    weights = np.asarray(state.weights)[:, :, 0]  # (seeds, agents, actions)
    matrix = payoff(learner)
    expected = np.stack([matrix.mean(1), matrix.mean(0)])
    np.testing.assert_array_equal(3 * weights[:, 0].argmax(1) + weights[:, 1].argmax(1), best)
    assert np.abs(weights.mean(0) - expected).max() < 0.2
    play = jax.jit(jax.vmap(lambda s: learner.episodes(learner.model(s), jax.random.key(1), 1)[0][0]))
    np.testing.assert_array_equal(play(state), 25 * pays)
