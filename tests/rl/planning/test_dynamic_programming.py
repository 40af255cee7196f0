"""Planning against exhaustive search, simulation, and known values."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from populace.core.errors import UsageError
from populace.rl.planning import dynamic_programming
from populace.rl.planning.mdp import MDP
from tests.rl.random_mdps import random_mdp, random_policy

SEEDS = st.integers(0, 10_000)


def by_series(mdp, pi):
    """v_pi as a sum over time: discounted rewards times where the policy is by then."""
    p, v = mdp.dense(), np.zeros(mdp.states)
    for s in range(mdp.states):
        here = np.eye(mdp.states)[s]
        for t in range(400):
            acting = here[:, None] * pi
            v[s] += mdp.discount**t * (acting * mdp.rewards).sum()
            here = np.einsum("sa,sat->t", acting, p)
    return v


@settings(max_examples=10, deadline=None)
@given(SEEDS)
def test_policy_evaluation_is_the_sum_over_time(seed):
    mdp = random_mdp(seed)
    pi = random_policy(seed, mdp)
    expected = by_series(mdp, pi)
    np.testing.assert_allclose(dynamic_programming.evaluate_policy(mdp, pi), expected, atol=1e-9)
    np.testing.assert_allclose(
        dynamic_programming.evaluate_policy(mdp, pi, "iterative", 1e-8), expected, atol=1e-8
    )


@settings(max_examples=10, deadline=None)
@given(SEEDS)
def test_the_optimum_is_the_best_of_all_policies(seed):
    mdp = random_mdp(seed, states=4)
    every = [
        dynamic_programming.evaluate_policy(mdp, np.array(actions))
        for actions in itertools.product(range(mdp.actions), repeat=mdp.states)
    ]
    best = np.max(every, axis=0)
    for plan in (dynamic_programming.policy_iteration(mdp), dynamic_programming.value_iteration(mdp)):
        np.testing.assert_allclose(plan.values, best, atol=1e-9)
        np.testing.assert_allclose(dynamic_programming.evaluate_policy(mdp, plan.actions), best, atol=1e-8)


@settings(max_examples=10, deadline=None)
@given(SEEDS)
def test_values_actions_and_action_values_follow_from_one_another(seed):
    mdp = random_mdp(seed)
    plan = dynamic_programming.policy_iteration(mdp, random_policy(seed, mdp))
    q = dynamic_programming.action_values(mdp, plan.values)
    np.testing.assert_allclose(q, plan.action_values, atol=1e-12)
    np.testing.assert_allclose(dynamic_programming.state_values(mdp, q), plan.values, atol=1e-9)
    np.testing.assert_array_equal(dynamic_programming.greedy(mdp, q), plan.actions)
    pi = random_policy(seed, mdp)
    v = dynamic_programming.evaluate_policy(mdp, pi)
    np.testing.assert_allclose(dynamic_programming.state_values(mdp, mdp.backup(v), pi), v, atol=1e-9)


def test_equal_actions_are_all_optimal_and_greedy_takes_the_first():
    mdp = MDP(np.ones((1, 3, 1)), [[1.0, 2.0, 2.0]], 0.5)
    plan = dynamic_programming.policy_iteration(mdp)
    assert dynamic_programming.optimal_actions(mdp, plan.action_values).tolist() == [[False, True, True]]
    assert plan.actions.tolist() == [1]
    np.testing.assert_allclose(plan.values, 4.0)


def planned(mdp):
    """The actions of the three planners."""
    long, actions = dynamic_programming.plan_finite_horizon(mdp, 400, mdp.discount)
    found = [
        plan(mdp) for plan in (dynamic_programming.policy_iteration, dynamic_programming.value_iteration)
    ]
    for plan in found:
        np.testing.assert_allclose(long, plan.values, rtol=1e-6, atol=1e-12 * np.abs(plan.values).max())
    return [found[0].actions, found[1].actions, actions[0]]


@pytest.mark.parametrize("scale", [1.0, 1e-14, 1e14])
def test_a_large_reward_elsewhere_hides_no_difference(scale):
    """Action 1 of state 0 is worth a half, whatever the other state is worth."""
    ends = MDP(np.zeros((2, 2, 2)), scale * np.array([[0, 0.5], [0, -1e9]]), 0.9, termination=np.ones((2, 2)))
    for actions in planned(ends):
        assert actions.tolist() == [1, 0]
    assert dynamic_programming.optimal_actions(ends, ends.rewards).tolist() == [[False, True], [True, False]]
    # A reward of -1e9 that every action meets leaves a difference of 0.1 as it is.
    met = MDP(
        np.zeros((1, 3, 1)), scale * np.array([[-1e9 - 0.1, -1e9, -1e9]]), 0.9, termination=np.ones((1, 3))
    )
    for actions in planned(met):
        assert actions.tolist() == [1]


@pytest.mark.parametrize(("scale", "catastrophe"), [(1.0, -1e8), (1e-12, -1.0), (1e6, 1.0), (1e-9, -1e9)])
def test_plans_are_optimal_whatever_the_size_of_the_rewards(scale, catastrophe):
    """As exhaustive search finds them: rewards of one size, and one reward of another among them."""
    every = np.array(list(itertools.product(range(2), repeat=4)))
    for seed in range(25):
        random = np.random.default_rng(seed)
        rewards = scale * random.normal(size=(4, 2))
        rewards[tuple(random.integers((4, 2)))] = catastrophe
        mdp = MDP(random.dirichlet(np.full(4, 0.3), size=(4, 2)), rewards, 0.9)
        values = np.array([dynamic_programming.evaluate_policy(mdp, actions) for actions in every])
        for actions in planned(mdp):
            found = values[(every == actions).all(axis=1)][0]
            np.testing.assert_allclose(found, values.max(axis=0), rtol=1e-9, atol=1e-13 * np.abs(found).max())


def test_actions_that_are_equal_up_to_rounding_are_ties():
    """Ten ways to the same goal, by sums of other numbers: the first is taken, and nothing cycles."""
    random = np.random.default_rng(0)
    for discount in (0.5, 0.999, 1.0):
        # State i leads to the goal at the end; all its actions pay the same on average, in other parts.
        p = np.zeros((40, 10, 41))
        for s, a in itertools.product(range(40), range(10)):
            p[s, a, s + 1 :] = random.dirichlet(np.ones(40 - s))
        v = -np.cumsum(random.random(41))[::-1] * 10.0 ** random.integers(-3, 4)
        v[-1] = 0.0
        rewards = v[:40, None] - discount * (p @ v)
        mdp = MDP(
            np.concatenate([p, np.zeros((1, 10, 41))]),
            np.r_[rewards, np.zeros((1, 10))],
            discount,
            terminal=[40],
        )
        plan = dynamic_programming.policy_iteration(mdp)
        np.testing.assert_allclose(plan.values, v, rtol=1e-9)
        assert not plan.actions.any()
        assert not dynamic_programming.value_iteration(mdp).actions.any()


def test_value_iteration_keeps_its_error_bound():
    for seed, discount in itertools.product(range(5), (0.5, 0.99)):
        mdp = random_mdp(seed, discount=discount)
        exact = dynamic_programming.policy_iteration(mdp).values
        assert np.abs(dynamic_programming.value_iteration(mdp, 1e-3).values - exact).max() <= 1e-3


def test_a_long_chain_without_discount():
    # 2,000 states, each one step and a reward of -1 from the next: the value is minus the way to go.
    from scipy import sparse

    n = 2_000
    chain = sparse.csr_array((np.ones(n), (np.arange(n), np.minimum(np.arange(n) + 1, n - 1))), shape=(n, n))
    mdp = MDP(chain, np.full((n, 1), -1.0), 1.0, terminal=[n - 1])
    expected = -(n - 1.0 - np.arange(n))
    np.testing.assert_allclose(
        dynamic_programming.evaluate_policy(mdp, np.zeros(n, int)), expected, rtol=1e-9
    )
    np.testing.assert_allclose(dynamic_programming.value_iteration(mdp).values, expected)


def test_finite_horizons():
    # One state: work pays 1, gambling ends the task and pays 3. With one or two steps left, gamble.
    mdp = MDP(np.array([[[1.0], [0.0]]]), [[1.0, 3.0]], 0.5, termination=[[0.0, 1.0]])
    values, actions = dynamic_programming.plan_finite_horizon(mdp, 5)
    np.testing.assert_allclose(values, [7.0])  # four times work, then the gamble
    assert actions[:, 0].tolist() == [0, 0, 0, 0, 1]
    np.testing.assert_allclose(dynamic_programming.evaluate_finite_horizon(mdp, np.array([0]), 5), [5.0])
    np.testing.assert_allclose(dynamic_programming.evaluate_finite_horizon(mdp, np.array([1]), 5), [3.0])
    np.testing.assert_allclose(
        dynamic_programming.evaluate_finite_horizon(mdp, np.array([0]), 3, discount=0.5), [1.75]
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda m: dynamic_programming.evaluate_policy(m, [0, 1]),
            r"\(states,\) or \(states, actions\) = \(6, 3\), got",
        ),
        (lambda m: dynamic_programming.evaluate_policy(m, [0, 1, 2, 3, 0, 0]), "whole numbers from 0 to 2"),
        (lambda m: dynamic_programming.evaluate_policy(m, np.zeros(6)), "whole numbers from 0 to 2"),
        (
            lambda m: dynamic_programming.evaluate_policy(m, np.full((6, 3), 0.3)),
            "policy in state 0 must be probabilities that sum to 1, got the sum 0.9",
        ),
        (
            lambda m: dynamic_programming.evaluate_policy(m, np.zeros(6, int), "guess"),
            "exact or iterative, got 'guess'",
        ),  # pyright: ignore
        (lambda m: dynamic_programming.value_iteration(m, 0.0), "tolerance must be > 0, got 0.0"),
        (lambda m: dynamic_programming.action_values(m, np.zeros(5)), r"have the shape \(6,\), got \(5,\)"),
        (lambda m: dynamic_programming.action_values(m, "high"), "state values must be an array of numbers"),  # pyright: ignore
        (lambda m: dynamic_programming.action_values(m, np.eye(6)[2] * np.nan), r"got NaN at \[0\]"),
        (
            lambda m: dynamic_programming.evaluate_finite_horizon(m, np.zeros(6, int), -1),
            "steps must be a whole number >= 0, got -1",
        ),
        (
            lambda m: dynamic_programming.plan_finite_horizon(m, 2.5),
            "steps must be a whole number >= 0, got 2.5",
        ),  # pyright: ignore
        (lambda m: dynamic_programming.greedy(m, np.zeros(5)), r"must have the shape \(6, 3\), got \(5,\)"),
    ],
)
def test_bad_arguments_are_refused(call, message):
    with pytest.raises(UsageError, match=message):
        call(random_mdp(0))
