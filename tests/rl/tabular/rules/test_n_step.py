"""n-step SARSA against a plain loop that looks back over whole episodes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from populace.core.errors import UsageError
from populace.rl.tabular.rules import SARSA, NStepSARSA
from tests.rl.tabular.rules import recorded


def reference(n, steps, rate, discount, kind):
    """Sutton & Barto's algorithm of section 7.2, with a last bootstrap where the clock cuts."""
    w, phi = recorded.start(kind).astype(float), recorded.dense(kind)

    def learn(step, gained):
        x = phi[step["s"]]
        w[:, step["action"]] += rate * (gained - x @ w[:, step["action"]]) * x

    episode = []
    for step in steps:
        episode.append(step)
        last = 0.0 if step["terminated"] else (phi[step["next_s"]] @ w)[step["next_action"]]
        oldest = max(0, len(episode) - n)
        if step["done"]:
            for i in range(oldest, len(episode)):
                rewards = [discount**k * past["reward"] for k, past in enumerate(episode[i:])]
                learn(episode[i], sum(rewards) + discount ** len(rewards) * last)
            episode = []
        elif len(episode) >= n:
            rewards = [discount**k * past["reward"] for k, past in enumerate(episode[oldest:])]
            learn(episode[oldest], sum(rewards) + discount**n * last)
    return w


@pytest.mark.parametrize("kind", ["table", "linear"])
@pytest.mark.parametrize("n", [1, 2, 5])
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), rate=st.floats(0.01, 0.2), discount=st.floats(0, 1))
def test_it_is_its_formula(n, kind, seed, rate, discount):
    steps = recorded.experience(seed)
    found = recorded.learned(NStepSARSA(n=n), steps, rate, discount, kind)
    expected = reference(n, steps, rate, discount, kind)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=2e-4)


def test_one_step_is_sarsa():
    steps = recorded.experience(3)
    one = recorded.learned(NStepSARSA(n=1), steps, 0.2, 0.9, "table")
    np.testing.assert_allclose(one, recorded.learned(SARSA(), steps, 0.2, 0.9, "table"), rtol=1e-5, atol=1e-6)


def test_n_is_at_least_one():
    with pytest.raises(UsageError, match="n must be >= 1, got 0"):
        NStepSARSA(n=0)
