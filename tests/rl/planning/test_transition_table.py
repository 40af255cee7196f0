"""Tables of outcomes: what is kept of a rule, and what is refused with which line."""

from typing import Any

import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.rl.planning.transition_table import from_transitions

# Two states and the end: action 0 stays, action 1 moves on; state 1 moves on one time in two.
RULE: dict[int, Any] = {
    0: {0: [(1.0, 0, 0.0, False)], 1: [(1.0, 1, -1.0, False)]},
    1: {0: [(1.0, 1, 0.0, False)], 1: [(0.25, 2, 3.0, True), (0.5, 1, 0.0, False), (0.25, 2, 3.0, True)]},
    2: {0: [(1.0, 2, 0.0, True)], 1: [(1.0, 2, 0.0, True)]},
}
START = [0.5, 0.5, 0.0]


def made(at=None, row=None, start: Any = START):
    rule = {s: dict(rows) for s, rows in RULE.items()}
    if at:
        rule[at[0]][at[1]] = row
    return from_transitions("Lane", rule, start, 3, 2)


def test_equal_outcomes_are_merged():
    table = made()
    assert table.probability.shape == (3, 2, 2)
    np.testing.assert_allclose(table.probability[1, 1], [0.5, 0.5])
    assert table.next_state[1, 1].tolist() == [2, 1]
    assert table.reward[1, 1].tolist() == [3.0, 0.0]
    assert table.terminated[1, 1].tolist() == [True, False]
    assert table.nonterminal.tolist() == [True, True, False]


def test_the_mdp_equals_the_table():
    mdp = made().mdp(0.9)
    np.testing.assert_allclose(mdp.dense()[1, 1], [0.0, 0.5, 0.5])
    np.testing.assert_allclose(mdp.rewards, [[0.0, -1.0], [0.0, 1.5], [0.0, 0.0]])
    assert mdp.terminal.tolist() == [False, False, True]
    assert mdp.start is not None
    assert mdp.start.tolist() == START


def test_a_state_without_outcomes_is_terminal():
    rule = RULE | {2: {0: [], 1: []}}
    np.testing.assert_array_equal(from_transitions("Lane", rule, START, 3, 2).nonterminal, made().nonterminal)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"at": (1, 1), "row": [(0.5, 2, 1.0, True)]}, "state 1, action 1: the probabilities sum to 0.5"),
        ({"at": (0, 1), "row": []}, "state 0, action 1: the probabilities sum to 0; they must"),
        (
            {"at": (0, 0), "row": [(-0.5, 0, 0.0, False), (1.5, 1, 0.0, False)]},
            r"a probability must be in \[0, 1\], got -0.5",
        ),
        ({"at": (0, 0), "row": [(np.nan, 0, 0.0, False)]}, r"a probability must be in \[0, 1\], got nan"),
        ({"at": (1, 0), "row": [(1.0, 3, 0.0, False)]}, "the next state must be one of 0 to 2, got 3"),
        ({"at": (1, 0), "row": [(1.0, 1, np.nan, False)]}, "a reward must be finite, got nan"),
        ({"at": (1, 0), "row": [(1.0, 1)]}, "state 1, action 0: the entry must be a list of"),
        ({"at": (1, 0), "row": None}, "state 1, action 0: the entry must be a list of"),
        ({"start": [0.7, 0.0, 0.0]}, "must be 3 probabilities that sum to 1, got 3 with the sum 0.7"),
        ({"start": [1.0]}, "must be 3 probabilities that sum to 1, got 1"),
        ({"start": "first"}, "must be 3 probabilities"),
    ],
)
def test_bad_arguments_are_refused(changed, message):
    with pytest.raises(UsageError, match=message) as caught:
        made(**changed)
    assert str(caught.value).startswith("environment 'Lane'")
    assert "\n" not in str(caught.value)


def test_a_missing_action_is_refused():
    with pytest.raises(UsageError, match="state 0, action 2: the entry is missing"):
        from_transitions("Lane", RULE, START, 3, 3)
