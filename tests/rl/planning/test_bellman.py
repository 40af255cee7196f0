"""Bellman operators against sums over all outcomes, and their properties on random MDPs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from populace.core.errors import RunError, UsageError
from populace.rl.planning import bellman, dynamic_programming
from populace.rl.planning.mdp import MDP
from tests.rl.random_mdps import random_mdp, random_policy


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000))
def test_the_operators_are_their_sums(seed):
    mdp = random_mdp(seed)
    pi, p, g = random_policy(seed, mdp), mdp.dense(), mdp.discount
    random = np.random.default_rng(seed)
    v, q = random.normal(size=mdp.states), random.normal(size=(mdp.states, mdp.actions))
    states, actions = range(mdp.states), range(mdp.actions)
    ahead = np.array([[mdp.rewards[s, a] + g * sum(p[s, a] * v) for a in actions] for s in states])
    np.testing.assert_allclose(bellman.policy_operator_v(mdp, pi)(v), [sum(pi[s] * ahead[s]) for s in states])
    np.testing.assert_allclose(bellman.optimality_operator_v(mdp)(v), [max(ahead[s]) for s in states])
    on = [[mdp.rewards[s, a] + g * sum(p[s, a] * (pi * q).sum(1)) for a in actions] for s in states]
    best = [[mdp.rewards[s, a] + g * sum(p[s, a] * q.max(1)) for a in actions] for s in states]
    np.testing.assert_allclose(bellman.policy_operator_q(mdp, pi)(q), on, atol=1e-12)
    np.testing.assert_allclose(bellman.optimality_operator_q(mdp)(q), best, atol=1e-12)


@pytest.mark.parametrize("discount", [0.0, 0.5, 0.99])
@pytest.mark.parametrize("seed", range(4))
def test_they_contract_by_the_discount_and_are_monotone(seed, discount):
    mdp = random_mdp(seed, discount=discount)
    for found in bellman.measure(mdp, random_policy(seed, mdp), pairs=200):
        assert found.factor <= discount + 1e-9
        assert found.violation <= 0
        assert found.distance < 1e-7
        assert found.holds


@pytest.mark.parametrize("scale", [1e-12, 1e9])
def test_they_hold_whatever_the_size_of_the_rewards(scale):
    small = random_mdp(0)
    mdp = MDP(
        small.transitions, scale * small.rewards, 0.9, terminal=small.terminal, termination=small.termination
    )
    for found in bellman.measure(mdp, random_policy(0, mdp), pairs=200):
        assert found.holds
        assert found.distance < 1e-7 * scale


def test_the_measured_factor_comes_close_to_the_exact_one():
    mdp = random_mdp(2)
    pi = random_policy(2, mdp)
    policy = bellman.contraction_factor(bellman.policy_operator_v(mdp, pi), (mdp.states,))
    optimal = bellman.contraction_factor(bellman.optimality_operator_v(mdp), (mdp.states,))
    assert 0.95 * bellman.modulus(mdp, pi) < policy <= bellman.modulus(mdp, pi) + 1e-9
    assert 0.95 * bellman.modulus(mdp) < optimal <= bellman.modulus(mdp) + 1e-9
    assert bellman.modulus(mdp, pi) < bellman.modulus(mdp) <= mdp.discount + 1e-9


def test_the_exact_factor_is_below_the_discount_if_every_step_may_terminate():
    mdp = MDP(np.full((2, 1, 2), 0.4), [[1.0], [2.0]], 0.9, termination=[[0.2], [0.2]])
    assert bellman.modulus(mdp) == pytest.approx(0.72)
    assert bellman.contraction_factor(bellman.optimality_operator_v(mdp), (2,)) == pytest.approx(
        0.72, abs=1e-3
    )


def test_an_operator_that_is_neither_a_contraction_nor_monotone():
    def turned(x):
        return -2.0 * x

    assert bellman.contraction_factor(turned, (4,)) == pytest.approx(2.0)
    assert bellman.monotonicity_violation(turned, (4,)) > 1.0
    with pytest.raises(RunError, match="is it a contraction"):
        bellman.fixed_point(lambda x: x + 1.0, (2,))


def test_fixed_points_equal_the_solutions():
    mdp = random_mdp(5)
    pi = random_policy(5, mdp)
    v = bellman.fixed_point(bellman.policy_operator_v(mdp, pi), (mdp.states,))
    np.testing.assert_allclose(v, dynamic_programming.evaluate_policy(mdp, pi), atol=1e-8)


def test_the_report_has_a_line_per_operator():
    lines = bellman.report(random_mdp(0), pairs=10).splitlines()
    assert len(lines) == 6
    assert all(
        name in line for name, line in zip(("T^pi on v", "T^pi on q", "T* on v", "T* on q"), lines[2:])
    )


def test_bad_arguments_are_refused():
    with pytest.raises(UsageError, match="pairs must be >= 2, got 1"):
        bellman.contraction_factor(lambda x: x, (2,), pairs=1)
    with pytest.raises(UsageError, match="tolerance must be > 0"):
        bellman.fixed_point(lambda x: x, (2,), 0.0)
