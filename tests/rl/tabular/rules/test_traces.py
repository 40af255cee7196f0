"""SARSA(lambda) and Watkins' Q(lambda) against plain loops."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from populace.core.errors import UsageError
from populace.rl.tabular.rules import SARSA, NStepSARSA, QLearning, SARSALambda, WatkinsQ
from tests.rl.tabular.rules import recorded

KINDS = [("accumulating", "table"), ("accumulating", "linear"), ("replacing", "table")]


def reference(rule, trace, decay, steps, rate, discount, kind):
    w, phi = recorded.start(kind).astype(float), recorded.dense(kind)
    e = np.zeros_like(w)
    for step in steps:
        x, a, q = phi[step["s"]], step["action"], phi[step["next_s"]] @ w
        worth = q.max() if rule is WatkinsQ else q[step["next_action"]]
        difference = step["reward"] + (0 if step["terminated"] else discount * worth) - x @ w[:, a]
        if trace == "replacing":
            e[step["s"], a] = 1.0
        else:
            e[:, a] += x
        w += rate * difference * e
        e *= discount * decay
        if step["done"] or (rule is WatkinsQ and q[step["next_action"]] < q.max()):
            e[:] = 0.0
    return w


@pytest.mark.parametrize(("trace", "kind"), KINDS)
@pytest.mark.parametrize("rule", [SARSALambda, WatkinsQ])
@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 1000), rate=st.floats(0.01, 0.1), discount=st.floats(0, 1), decay=st.floats(0, 1)
)  # fmt: skip
def test_it_is_its_formula(rule, trace, kind, seed, rate, discount, decay):
    steps = recorded.experience(seed)
    found = recorded.learned(rule(trace_decay=decay, trace=trace), steps, rate, discount, kind)
    expected = reference(rule, trace, decay, steps, rate, discount, kind)
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=5e-4)


@pytest.mark.parametrize(("rule", "one_step"), [(SARSALambda, SARSA), (WatkinsQ, QLearning)])
@pytest.mark.parametrize(("trace", "kind"), KINDS)
def test_without_traces_it_is_its_one_step_rule(rule, one_step, trace, kind):
    steps = recorded.experience(5)
    found = recorded.learned(rule(trace_decay=0.0, trace=trace), steps, 0.2, 0.9, kind)
    np.testing.assert_allclose(
        found, recorded.learned(one_step(), steps, 0.2, 0.9, kind), rtol=1e-4, atol=1e-5
    )


def test_full_traces_of_one_episode_are_its_monte_carlo_returns():
    # Forward and backward view agree where every state is visited once and the values start at zero.
    rewards = [1.0, -2.0, 3.0]
    steps = [
        {
            "s": s, "action": 0, "reward": r, "next_s": s + 1, "next_policy": np.eye(3)[0], "next_action": 0,
            "terminated": s == 2, "done": s == 2, "coin": 0.0,
        }
        for s, r in enumerate(rewards)
    ]  # fmt: skip
    rate, discount = 1e-3, 0.9
    before = recorded.start("table")
    change = recorded.learned(SARSALambda(trace_decay=1.0), steps, rate, discount, "table") - before
    window = recorded.learned(NStepSARSA(n=3), steps, rate, discount, "table") - before
    np.testing.assert_allclose(change[:3, 0], window[:3, 0], atol=1e-5)


def test_replacing_traces_are_for_tables():
    with pytest.raises(UsageError, match="replacing traces need a table"):
        SARSALambda().check(recorded.basis("linear"))
    SARSALambda(trace="accumulating").check(recorded.basis("linear"))
