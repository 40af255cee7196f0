"""MDPs: what is kept, and what is refused with which line."""

import numpy as np
import pytest
from scipy import sparse

from populace.core.errors import UsageError
from populace.rl.planning.mdp import MDP

# Two states and a terminal one; action 0 stays, action 1 moves on, or falls back one time in four.
P = np.zeros((3, 2, 3))
P[0, 0, 0] = P[1, 0, 1] = 1.0
P[0, 1, 1] = 1.0
P[1, 1, 2], P[1, 1, 0] = 0.75, 0.25
R = np.array([[0.0, -1.0], [0.5, 2.0], [9.0, 9.0]])


def made(**changed):
    return MDP(**({"transitions": P, "rewards": R, "discount": 0.9, "terminal": [2]} | changed))


def test_terminal_states_have_no_successors_and_no_reward():
    mdp = made()
    assert (mdp.states, mdp.actions) == (3, 2)
    np.testing.assert_allclose(mdp.dense()[:2], P[:2])
    assert not mdp.dense()[2].any()
    np.testing.assert_allclose(mdp.rewards, [[0, -1], [0.5, 2], [0, 0]])


def test_the_backup_is_its_sum_for_one_and_for_many_values():
    mdp, v = made(), np.random.default_rng(0).normal(size=(4, 2, 3))
    expected = np.zeros((4, 2, 3, 2))
    for s in range(2):
        for a in range(2):
            expected[..., s, a] = R[s, a] + 0.9 * sum(P[s, a, t] * v[..., t] for t in range(3))
    np.testing.assert_allclose(mdp.backup(v), expected, atol=1e-12)
    np.testing.assert_allclose(mdp.backup(v[1, 1]), expected[1, 1], atol=1e-12)


def test_rewards_per_next_state_are_averaged():
    each = np.random.default_rng(1).normal(size=(3, 2, 3))
    expected = (P * each).sum(axis=2)
    np.testing.assert_allclose(made(rewards=each).rewards[:2], expected[:2])


def test_sparse_and_dense_are_the_same():
    mdp = made(transitions=sparse.csr_array(P.reshape(6, 3)), terminal=np.array([False, False, True]))
    np.testing.assert_allclose(mdp.dense(), made().dense())


def test_an_episode_may_terminate_without_a_state():
    termination = np.array([[0, 0], [0, 0.75], [0, 0]])
    shorter = np.array(P)
    shorter[1, 1, 2] = 0.0
    mdp = made(transitions=shorter, termination=termination)
    np.testing.assert_allclose(
        mdp.backup(np.array([1.0, 2.0, 0.0])), made().backup(np.array([1.0, 2.0, 0.0]))
    )


def test_single_precision_is_rounded_off():
    p = np.full((1, 1, 1), 1, np.float32)
    three = np.broadcast_to(np.full(3, np.float32(1) / 3), (3, 1, 3))
    assert made(transitions=three.astype(np.float32), rewards=np.zeros((3, 1))).dense()[0].sum() == 1.0
    assert MDP(p, [[1.0]], 0.5).dense().item() == 1.0


def test_another_discount():
    mdp = made().discounted(0.5)
    assert mdp.discount == 0.5
    np.testing.assert_allclose(mdp.dense(), made().dense())
    np.testing.assert_allclose(mdp.rewards, made().rewards)


def test_with_discount_1_episodes_must_end():
    with pytest.raises(
        UsageError, match="from state 0 with action 0 they can continue forever; use a discount below 1"
    ):
        made(discount=1)
    moving = P[:, 1:]
    assert made(transitions=moving, rewards=R[:, 1:], discount=1).discount == 1.0


def changed(at, value):
    p = np.array(P)
    p[at] = value
    return p


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"transitions": changed((1, 0, 1), 0.9)},
            "probabilities of state 1, action 0 sum to 0.9; they must sum to 1",
        ),
        ({"transitions": changed((0, 1, 2), -0.1)}, "state 0, action 1, next state 2 is -0.1; it must be in"),
        ({"transitions": changed((0, 1, 2), np.nan)}, "state 0, action 1, next state 2 is nan"),
        ({"transitions": P[0]}, r"transitions must be \(states, actions, states\), got \(2, 3\)"),
        ({"transitions": [["a"]]}, "array of numbers"),
        (
            {"transitions": sparse.csr_array(P.reshape(6, 3)[:5])},
            r"\(states \* actions, states\), got \(5, 3\)",
        ),
        ({"rewards": R[:2]}, r"rewards must have shape \(3, 2\), got \(2, 2\)"),
        ({"rewards": changed((0, 0, 0), np.inf)}, "reward of state 0, action 0 is inf"),
        ({"rewards": np.where(R == 2, np.nan, R)}, "reward of state 1, action 1 is nan; it must be finite"),
        ({"discount": 1.5}, r"discount must be in \[0, 1\], got 1.5"),
        ({"discount": "high"}, "discount must be in"),
        ({"terminal": ["end"]}, "terminal state 'end' must be one of the states 0 to 2"),
        ({"terminal": [3]}, "terminal state 3 must be one of the states 0 to 2"),
        ({"terminal": np.array([True])}, "one bool for each of 3 states"),
        ({"termination": np.full((3, 2), 0.1)}, "state 0, action 0 sum to 1.1; they must sum to 1"),
        ({"termination": np.full((3, 2), -0.1)}, "a termination probability of -0.1"),
        ({"start": [0.5, 0.6, 0]}, "start must be probabilities that sum to 1, got the sum 1.1"),
    ],
)
def test_bad_arguments_are_refused_in_one_line(settings, message):
    with pytest.raises(UsageError, match=message) as caught:
        made(**settings)
    assert "\n" not in str(caught.value)
