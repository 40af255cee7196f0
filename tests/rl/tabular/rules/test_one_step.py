"""Q-learning, SARSA and expected SARSA against a plain loop over recorded experience."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from populace.rl.tabular.rules import SARSA, ExpectedSARSA, QLearning
from tests.rl.tabular.rules import recorded

FOLLOWS = {
    QLearning: lambda q, step: max(q),
    SARSA: lambda q, step: q[step["next_action"]],
    ExpectedSARSA: lambda q, step: sum(p * v for p, v in zip(step["next_policy"], q)),
}


def reference(rule, steps, rate, discount, kind):
    w, phi = recorded.start(kind).astype(float), recorded.dense(kind)
    for step in steps:
        s, a = step["s"], step["action"]
        target = step["reward"]
        if not step["terminated"]:
            target += discount * FOLLOWS[rule]([phi[step["next_s"]] @ w[:, b] for b in range(3)], step)
        w[:, a] += rate * (target - phi[s] @ w[:, a]) * phi[s]
    return w


@pytest.mark.parametrize("kind", ["table", "linear"])
@pytest.mark.parametrize("rule", FOLLOWS)
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), rate=st.floats(0.01, 0.3), discount=st.floats(0, 1))
def test_it_is_its_formula(rule, kind, seed, rate, discount):
    steps = recorded.experience(seed)
    expected = reference(rule, steps, rate, discount, kind)
    np.testing.assert_allclose(
        recorded.learned(rule(), steps, rate, discount, kind), expected, rtol=1e-3, atol=1e-4
    )


def test_only_sarsa_takes_the_action_that_it_learned_from():
    assert [rule.uses_next_action for rule in (QLearning, SARSA, ExpectedSARSA)] == [False, True, False]
