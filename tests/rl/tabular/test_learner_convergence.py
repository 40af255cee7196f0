"""What the tabular agent learns: values that planning computes, and what chance and features allow."""

from functools import cache

import jax
import numpy as np
import pytest

from populace.core.population import sweep
from populace.rl.exploration.strategies import UCB, ConstantEpsilon, LinearDecay
from populace.rl.planning import dynamic_programming, enumeration
from populace.rl.planning.mdp import MDP
from populace.rl.tabular.features import Fourier, Raw
from populace.rl.tabular.learner import Tabular
from populace.rl.tabular.rules import (
    SARSA,
    DoubleQ,
    ExpectedSARSA,
    NStepSARSA,
    QLearning,
    SARSALambda,
    WatkinsQ,
)
from tests import harness
from tests.rl import probes  # noqa: F401  registers the probes

LAKE = "FrozenLake-misc(is_slippery=False)"
# The line is cut before its 20th move, whose penalty the state does not tell.
LINE = "LineWorld-v0(observation='index', start='random', max_steps_in_episode=12)"
ROBOT = "GridRobot-v0(observation='index', source='random', obstacles=((1, 1),))"


def final(learner: Tabular, steps: int, seeds: int = 3):
    """Train members side by side, without an engine; return their last states, an axis of members first."""

    def one(seed):
        start, training = jax.random.split(jax.random.key(seed))
        keys = jax.random.split(training, steps)
        return jax.lax.scan(
            lambda state, key: (learner.step(state, key)[0], None), learner.init(start), keys
        )[0]

    learner.check()  # and with it its task is made, outside the program
    # Compiled without optimization: here the compiler takes longer than what it makes.
    run = jax.jit(jax.vmap(one), compiler_options={"xla_backend_optimization_level": 0})
    return jax.device_get(run(np.arange(seeds)))


def tables(learner: Tabular, steps: int, seeds: int = 3) -> np.ndarray:
    """Train and return the action values of all members, (seeds, S, A)."""
    found = final(learner, steps, seeds).tables
    return (found[0] + found[1]) / 2 if learner.rule.kind == "double-q" else found


@cache
def planned(env: str) -> MDP:
    """Return the MDP of an environment, for a discount of 0.9."""
    return enumeration.mdp(env, 0.9)


# How a rule learns from a terminated, a cut and any other step is compared with its formula in `rules/`.
# So every rule meets one world here, and every world a rule.
@pytest.mark.parametrize(
    ("rule", "env"),
    [
        (QLearning(), LAKE),
        (WatkinsQ(trace_decay=0.6), LINE),
        (DoubleQ(), ROBOT),
    ],
    ids=lambda x: x.partition("-")[0] if isinstance(x, str) else x.kind,
)
def test_off_policy_values_converge_to_those_that_planning_computes(rule, env):
    mdp = planned(env)
    learner = Tabular(
        env=env,
        rule=rule,
        discount=0.9,
        learning_rate=0.5,
        rollout=200,
        exploration=ConstantEpsilon(value=0.7),
    )
    found = tables(learner, 200)
    going = ~mdp.terminal
    expected = dynamic_programming.policy_iteration(mdp).action_values
    np.testing.assert_allclose(found[:, going], np.stack([expected[going]] * 3), atol=1e-3)


@pytest.mark.parametrize(
    ("rule", "env"),
    [
        (SARSA(), LAKE),
        (ExpectedSARSA(), LAKE),
        (SARSALambda(trace_decay=0.6), LAKE),
        (NStepSARSA(n=3), ROBOT),
    ],
    ids=lambda x: x.partition("-")[0] if isinstance(x, str) else x.kind,
)
def test_on_policy_values_converge_to_those_of_the_behavior_policy(rule, env):
    # Epsilon is 1, so the policy that acts is known: every action alike.
    mdp = planned(env)
    learner = Tabular(
        env=env, rule=rule, discount=0.9, learning_rate=0.1, learning_rate_decay=1e-4, rollout=400,
        exploration=ConstantEpsilon(value=1.0),
    )  # fmt: skip
    found, going = tables(learner, 400, seeds=6), ~mdp.terminal
    expected = mdp.backup(
        dynamic_programming.evaluate_policy(mdp, np.full((mdp.states, mdp.actions), 1 / mdp.actions))
    )
    scale = np.abs(expected).max()
    np.testing.assert_allclose(found.mean(axis=0)[going], expected[going], atol=0.05 * scale)


EVERY_RULE = [
    QLearning(),
    DoubleQ(),
    WatkinsQ(trace_decay=0.6),
    SARSA(),
    ExpectedSARSA(),
    NStepSARSA(n=3),
    SARSALambda(trace_decay=0.6),
]


@pytest.mark.parametrize("rule", EVERY_RULE, ids=lambda rule: rule.kind)
def test_every_rule_ends_with_the_optimal_policy(rule):
    # By its table: a program that is compiled in a fifth of the time, and the same steps.
    learner = Tabular(
        env="GridRobot-v0(observation='index')", rule=rule, discount=0.9, learning_rate=0.3, rollout=200,
        exploration=LinearDecay(end=0.02, duration=40_000.0), dynamics="table",
    )  # fmt: skip
    mdp = planned(learner.env)
    found = tables(learner, 300)
    assert mdp.start is not None
    best = (
        dynamic_programming.evaluate_finite_horizon(
            mdp, dynamic_programming.policy_iteration(mdp).actions, 100
        )
        @ mdp.start
    )
    for q in found:
        assert dynamic_programming.evaluate_finite_horizon(
            mdp, q.argmax(axis=1), 100
        ) @ mdp.start == pytest.approx(best)


def test_truncation_is_not_termination():
    # Reward 1 for ever, cut every 3 steps: Q = 1 / (1 - discount). Terminated, it would be below 1.75.
    # One rule that takes the action it learned from, and one that does not: for others the loop is the same.
    for rule in (QLearning(), NStepSARSA(n=2)):
        learner = Tabular(
            env="ProbeEndless-test", features=Raw(), rule=rule, discount=0.5, learning_rate=0.1, rollout=100,
            exploration=ConstantEpsilon(value=0.5),
        )  # fmt: skip
        weights = final(learner, 60, seeds=1).tables[0]
        np.testing.assert_allclose(np.array([[1, 0, 1], [-1, 0, 1]]) @ weights, 2.0, atol=0.05)


def test_linear_in_one_hot_features_is_a_table():
    common = {
        "discount": 0.9,
        "rollout": 50,
        "exploration": ConstantEpsilon(value=0.5),
        "dynamics": "environment",
    }
    indexed = Tabular(env="GridRobot-v0(observation='index')", **common)
    onehot = Tabular(env="GridRobot-v0", features=Raw(constant=False), **common)
    states = [final(learner, 20, seeds=1) for learner in (indexed, onehot)]
    np.testing.assert_allclose(states[0].tables, states[1].tables, atol=1e-6)


def test_a_linear_agent_drives_the_mountain_car():
    learner = Tabular(
        env="MountainCar-v0", features=Fourier(order=3), rule=SARSALambda(trace="accumulating"), discount=1.0,
        learning_rate=0.001, exploration=ConstantEpsilon(value=0.0), rollout=200, evaluation_episodes=20,
    )  # fmt: skip
    engine = harness.trained(sweep(learner, seeds=3), 300)
    best = np.asarray(engine.group_states[0].best.score)
    assert best.min() > -160


def test_ucb_counts_what_it_does():
    learner = Tabular(env=LAKE, exploration=UCB(confidence=0.5), rollout=50)
    visits = final(learner, 4, seeds=1).visits[0]
    assert visits.sum() == 200
    search = visits[visits.sum(axis=1) >= 4]
    assert (search > 0).all()  # untried actions come first


def test_optimistic_initial_values_try_every_action_without_epsilon():
    greedy = {"env": LAKE, "exploration": ConstantEpsilon(value=0.0), "discount": 0.9, "rollout": 100}
    bold = tables(Tabular(initial_value=1.0, learning_rate=0.5, **greedy), 40)
    for q in bold:
        assert q[0].max() == pytest.approx(0.9**5, abs=1e-3)
