"""Every policy-gradient learner on problems with known answers, with discrete and with continuous actions."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.core.population import sweep
from populace.engine.training_loop import Engine
from populace.optim.optimizers import SGD
from populace.optim.schedules import Linear
from populace.rl.agents.a2c import A2C
from populace.rl.agents.on_policy import PolicyGradient, values
from populace.rl.agents.ppo import PPO
from populace.rl.agents.reinforce import Reinforce
from tests import harness
from tests.rl import (
    probes,  # noqa: F401  registers the probes
    probes_policy,
)

LEARNERS: dict[str, tuple[type[PolicyGradient], dict, int]] = {
    "ppo": (PPO, {"num_envs": 8, "rollout": 8, "learning_rate": 5e-3, "minibatches": 2}, 150),
    "a2c": (A2C, {"num_envs": 16, "rollout": 4, "learning_rate": 3e-3}, 500),
    "reinforce": (
        Reinforce,
        {"num_envs": 32, "rollout": 4, "learning_rate": 5e-3, "normalize_advantages": True},
        300,
    ),
}
PATIENCE = 3  # times the copies and twice the steps, where one agent learns three problems
NORMALIZED = {"normalize_observations": True, "normalize_rewards": True}
KINDS = ("", "Continuous")
SLOW = (("a2c", "Continuous"), ("reinforce", ""))
cases = pytest.mark.parametrize("kind", KINDS, ids=["discrete", "continuous"])
learners = pytest.mark.parametrize("name", LEARNERS)


def agent(name: str, env: str, **more) -> tuple[PolicyGradient, Any]:
    """Return a learner and the models of two members that it trained on a probe."""
    cls, fixed, steps = LEARNERS[name]
    shared = {"env": f"Probe{env}-test", "hidden_sizes": (16,), "discount": 0.5, "evaluation_episodes": 4}
    given = shared | fixed | more
    if env.startswith("All"):
        given |= {"num_envs": PATIENCE * given["num_envs"], "hidden_sizes": (32,)}
        steps = 2 * steps
    learner = cls(**given)
    (group_state,) = Engine(sweep(learner, seeds=2), "vmap").group_states
    program = group_state.program
    carry, _ = program.advance(group_state.carry, steps)
    return learner, program.signature.whole_model(program.models(carry.state))


def told(learner: PolicyGradient, models: Any, observations) -> tuple[np.ndarray, np.ndarray]:
    """Return the values and greedy actions (members, observations)."""

    @jax.jit
    def ask(models, seen):
        def one(model):
            action = jax.vmap(learner.act, (None, 0))(model, seen)
            return values(model.critic, learner._see(model, seen)), action

        return jax.vmap(one)(models)

    value, action = ask(models, np.asarray(observations, np.float32))
    return np.asarray(value)[:2], np.asarray(action)[:2]


def trained(name: str, env: str, observations, **more):
    return told(*agent(name, env, **more), observations)


# Each learner, and each kind of action with two of them; the invariants below are those of a continuous A2C.
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        pytest.param(name, kind, marks=[pytest.mark.slow] * ((name, kind) in SLOW), id=f"{name}{kind}")
        for name in LEARNERS
        for kind in KINDS
    ],
)
def test_values_and_actions_are_the_known_ones(name, kind):
    later, endless, matching = [[1, 0], [1, 1], [-1, 0], [-1, 1]], [[1, 0], [-1, 0]], [[1, 0], [-1, 0]]
    parts = ((later, [0, 0]), (endless, [1, 0]), (matching, [0, 1]))
    value, action = trained(name, "All" + kind, [seen + part for many, part in parts for seen in many])
    # Were the discount forgotten, the first would be 1; were the cut of the clock taken for an end, the
    # values of Endless would lie at 1.75 and below, not at 2.
    np.testing.assert_allclose(value[:, :6], [[0.5, 1.0, -0.5, -1.0, 2.0, 2.0]] * 2, atol=0.1)
    if kind:
        np.testing.assert_allclose(action[:, 6:, 0], [[2.0, 0.0]] * 2, atol=0.25)
    else:
        np.testing.assert_array_equal(action[:, 6:], [[1, 0]] * 2)


@pytest.mark.slow
@learners
@cases
def test_values_depend_on_what_is_seen_and_on_the_discount(name, kind):
    value, _ = trained(name, "Later" + kind, [[1, 0], [1, 1], [-1, 0], [-1, 1]])
    np.testing.assert_allclose(value, [[0.5, 1.0, -0.5, -1.0]] * 2, atol=0.15)


@pytest.mark.slow
@learners
@cases
def test_truncation_is_not_termination(name, kind):
    # Were the cut of the clock taken for an end, the values would lie at 1.75 and below, not at 2.
    value, _ = trained(name, "Endless" + kind, [[1, 0], [-1, 0]])
    np.testing.assert_allclose(value, 2.0, atol=0.1)


@pytest.fixture(scope="module")
def normalized():
    """A learner and the models that it trained on `Matching`, observations and rewards normalized."""
    return agent("a2c", "Matching", **NORMALIZED)


def test_the_action_depends_on_what_is_seen_where_all_is_normalized(normalized):
    _, action = told(*normalized, [[1, 0], [-1, 0]])
    np.testing.assert_array_equal(action, [[1, 0]] * 2)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ppo", "reinforce"])
def test_the_action_depends_on_what_is_seen_where_all_is_normalized_for_others_too(name):
    _, action = trained(name, "Matching", [[1, 0], [-1, 0]], **NORMALIZED)
    np.testing.assert_array_equal(action, [[1, 0]] * 2)


def test_the_policy_that_is_handed_out_normalizes_what_it_sees(normalized):
    learner, models = normalized
    model = jax.tree.map(lambda x: np.array(x)[0], models)
    assert model.observations.count == learner.units_per_step * LEARNERS["a2c"][2]
    # Of statistics that lie above it, an observation is below the mean: raw, it asks for the other action.
    model = eqx.tree_at(lambda m: m.observations.mean, model, np.float32([1.5, 0]))
    # Times were 0 all the time: of 0.3 hardly anything is left but a bound.
    ask = jax.jit(lambda network, x: network(x))
    for observation in np.float32([[0.5, 0], [0.5, 0.3]]):
        z = (observation - model.observations.mean) / np.sqrt(model.observations.variance + 1e-8)
        z = np.clip(z, -10, 10)
        logits, other = (np.asarray(ask(model.policy.network, x)) for x in (z, observation))
        assert learner.policy(model)(observation) == logits.argmax()
        assert not np.allclose(logits, other, atol=1e-3)
        if observation[1] == 0:
            assert logits.argmax() != other.argmax()


@pytest.mark.slow
@learners
def test_the_best_continuous_action_depends_on_what_is_seen(name):
    _, action = trained(name, "MatchingContinuous", [[1, 0], [-1, 0]])
    np.testing.assert_allclose(action[..., 0], [[2.0, 0.0]] * 2, atol=0.25)


@pytest.mark.slow
@learners
@cases
def test_a_constant_reward_is_its_own_value(name, kind):
    value, _ = trained(name, "Constant" + kind, [[1, 0], [-1, 0]])
    np.testing.assert_allclose(value, 1.0, atol=0.1)


@pytest.mark.slow
@learners
@cases
def test_a_delayed_reward_is_discounted_once(name, kind):
    value, _ = trained(name, "Delayed" + kind, [[1, 0], [1, 1]])
    np.testing.assert_allclose(value, [[0.5, 1.0]] * 2, atol=0.1)


@pytest.mark.slow
@learners
@cases
def test_the_value_depends_on_what_is_seen(name, kind):
    value, _ = trained(name, "Seen" + kind, [[1, 0], [-1, 0]])
    np.testing.assert_allclose(value, [[1.0, -1.0]] * 2, atol=0.15)


@pytest.mark.slow
@learners
def test_the_better_action_is_chosen(name):
    _, action = trained(name, "Chosen", [[1, 0], [-1, 0]])
    np.testing.assert_array_equal(action, 1)


@pytest.mark.slow
@learners
def test_the_best_continuous_action_is_found(name):
    _, action = trained(name, "ChosenContinuous", [[1, 0], [-1, 0]])
    np.testing.assert_allclose(action[..., 0], probes_policy.BEST, atol=0.2)


@pytest.mark.slow
@learners
def test_an_action_never_leaves_the_box(name):
    _, action = trained(name, "BeyondContinuous", [[1, 0], [-1, 0]])
    assert np.all(action <= probes_policy.HIGH)
    assert np.all(action > probes_policy.HIGH - 0.5)


@pytest.mark.parametrize("name", ["ppo", "reinforce"])
def test_the_learning_rate_follows_the_schedule_over_iterations(name):
    cls = LEARNERS[name][0]
    learner = cls(
        env="ProbeSeen-test", num_envs=2, rollout=4, hidden_sizes=(2,), optimizer=SGD(),
        schedule=Linear(steps=4), learning_rate=1e-3,
    )  # fmt: skip
    learner.check()  # makes the environment, before anything is traced

    @jax.jit
    def distances(key, iterations):
        """Return how far one rollout moves the weights, learned from in each of the iterations."""
        state = learner.init(key)
        state, rollout, _ = learner.interact(state, key)

        def distance(iteration):
            changed, *_ = learner.learn(state.model, state.opt_state, rollout, key, iteration)
            moved = jax.tree.map(lambda new, old: jnp.abs(new - old).sum(), changed, state.model)
            return sum(jax.tree.leaves(moved))

        return jax.vmap(distance)(iterations)

    first, half, last, beyond = np.asarray(distances(jax.random.key(0), np.array([0, 2, 4, 9])))
    assert first > 1e-5
    assert half == pytest.approx(first / 2, rel=0.02)
    assert max(last, beyond) < 1e-3 * first


# What a rollout carries on is the same for all three, and A2C's programs are compiled soonest.
@pytest.mark.parametrize("cls", [A2C, *(pytest.param(c, marks=pytest.mark.slow) for c in (PPO, Reinforce))])
def test_it_keeps_every_invariant(cls, tmp_path):
    env = "Pendulum-v1" if cls is A2C else "CartPole-v1"
    learner = cls(env=env, num_envs=2, rollout=16, hidden_sizes=(8,), evaluation_episodes=2, **NORMALIZED)
    harness.check_learner(learner, {"learning_rate": [1e-2, 1e-3]}, 20, tmp_path)


@pytest.mark.parametrize(
    ("cls", "more"),
    [
        (PPO, {"gae_lambda": [0.9, 0.95], "clip_range": [0.1, 0.2], "clip_range_vf": [0.0, 0.2],
               "value_coefficient": [0.5, 1.0], "target_kl": [0.0, 0.01]}),
        (A2C, {"gae_lambda": [0.9, 0.95], "value_coefficient": [0.5, 1.0]}),
        (Reinforce, {}),
    ],
)  # fmt: skip
def test_every_float_differs_between_members_of_one_program(cls, more):
    axes = {
        "learning_rate": [1e-3, 1e-2], "discount": [0.9, 0.99], "entropy_coefficient": [0.0, 0.01],
        "max_gradient_norm": [0.0, 0.5], "schedule.end": [0.0, 0.5],
        "optimizer.eps": [1e-5, 1e-8], "weight_decay": [0.0, 0.1],
        "init_std": [0.5, 1.0],
    } | more  # fmt: skip
    learner = cls(num_envs=2, rollout=4, hidden_sizes=(4,), schedule=Linear(steps=9))
    (group,) = sweep(learner, axes, samples=6).groups
    varied, shared = eqx.partition(group.learner, group.varied)

    def one(varied: Any, seed: int) -> Any:
        learner, key = eqx.combine(varied, shared), jax.random.key(seed)
        return learner.step(learner.init(key), key)[1]

    # traced, not compiled: what a float may not be, a branch or a shape, fails there
    metrics = jax.eval_shape(jax.vmap(one), varied, np.arange(6))
    assert {leaf.shape for leaf in jax.tree.leaves(metrics)} == {(6,)}


@pytest.mark.parametrize(
    ("learner", "message"),
    [
        ({"env": "CartPole-v9"}, "did you mean 'CartPole-v1'"),
        ({"discount": 1.5}, r"discount must be in \[0, 1\], got 1.5"),
        ({"activation": "sine"}, r"activation must be one of relu \| leaky_relu \| elu .*, got 'sine'"),
        ({"minibatches": 3}, "num_envs 8 times rollout 128 are 1024 frames, which cannot be split in 3"),
        ({"rollout": 2, "num_envs": 2}, "normalize_advantages needs at least 2 frames at a time, got 1"),
        ({"clip_range": 0.0}, "clip_range must be > 0, got 0"),
        ({"hidden_sizes": (64, 0)}, "hidden_sizes must be >= 1"),
    ],
)
def test_what_cannot_be_is_told(learner, message):
    with pytest.raises(UsageError, match=message):
        sweep(PPO(**learner))


@pytest.mark.parametrize("learner", [A2C, Reinforce])
def test_one_frame_is_not_standardized(learner):
    one = {"num_envs": 1, "rollout": 1}
    sweep(learner(**one))
    with pytest.raises(UsageError, match="normalize_advantages needs at least 2 frames at a time, got 1"):
        sweep(learner(**one, normalize_advantages=True))


def test_agents_for_discrete_actions_refuse_continuous_ones_and_these_take_both():
    from populace.rl import DQN

    with pytest.raises(UsageError, match=r"'Pendulum-v1' has continuous actions; DQN needs discrete ones"):
        sweep(DQN(env="Pendulum-v1"))
    sweep(PPO(env="Pendulum-v1"))
