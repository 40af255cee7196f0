"""Double Q-learning against a plain loop, and the bias that it is for."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from populace.rl.tabular.rules import DoubleQ, QLearning
from tests.rl.tabular.rules import recorded


@pytest.mark.parametrize("kind", ["table", "linear"])
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), rate=st.floats(0.01, 0.3), discount=st.floats(0, 1))
def test_it_is_its_formula(kind, seed, rate, discount):
    steps = recorded.experience(seed)
    tables, phi = [recorded.start(kind).astype(float) for _ in range(2)], recorded.dense(kind)
    for step in steps:
        mine, other = tables if step["coin"] < 0.5 else tables[::-1]
        target = step["reward"]
        if not step["terminated"]:
            best = int(np.argmax(phi[step["next_s"]] @ mine))
            target += discount * (phi[step["next_s"]] @ other)[best]
        x, a = phi[step["s"]], step["action"]
        mine[:, a] += rate * (target - x @ mine[:, a]) * x
    found = recorded.learned(DoubleQ(), steps, rate, discount, kind)
    np.testing.assert_allclose(found[0], tables[0], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(found[1], tables[1], rtol=1e-3, atol=1e-4)


def test_it_acts_by_the_mean_of_both_tables():
    basis = recorded.basis("table")
    first, second = np.zeros((2, 5, 3), np.float32)
    first[2, 1], second[2, 0] = 4.0, 1.0
    np.testing.assert_allclose(DoubleQ().values(basis, (first, second), 2), [0.5, 2.0, 0.0])


def test_it_does_not_overestimate_what_noise_pays():
    # Every action ends and pays noise of mean zero; state 1 comes before, and pays nothing itself.
    random = np.random.default_rng(0)
    steps = []
    for _ in range(600):
        a, b = (int(i) for i in random.integers(3, size=2))
        common = {"next_policy": np.ones(3) / 3, "next_action": b, "coin": random.random()}
        steps.append(
            common | {"s": 1, "action": a, "reward": 0.0, "next_s": 0, "terminated": False, "done": False}
        )
        noise = {
            "s": 0,
            "action": b,
            "reward": random.normal(),
            "next_s": 2,
            "terminated": True,
            "done": True,
        }
        steps.append(common | noise | {"coin": random.random()})
    plain = recorded.learned(QLearning(), steps, 0.1, 1.0, "table")[1].mean()
    first, second = recorded.learned(DoubleQ(), steps, 0.1, 1.0, "table")
    assert plain > 0.1
    assert abs(first[1].mean() + second[1].mean()) / 2 < plain / 2
