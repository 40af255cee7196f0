"""Tables of the possible outcomes of each action in each state, with their probabilities."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from populace.core.errors import UsageError
from populace.rl.planning.mdp import MDP

TransitionRule = Mapping[int, Mapping[int, Any]]
"""`rule[s][a]` is a list of outcomes (probability, next state, reward, terminated), as Gymnasium's `P`."""

_ROUNDING = 1e-5  # tolerance for probabilities in single precision


@dataclass(frozen=True)
class Outcomes:
    """K possible outcomes of each action in each state.

    Attributes:
        probability: (S, A, K); sums to 1 over K in nonterminal states.
        next_state: (S, A, K).
        reward: (S, A, K).
        terminated: (S, A, K) bool, whether the outcome ends the episode.
        nonterminal: (S,) bool; false also for states that were never reached.
        start: (S,), distribution of the initial state; None if unknown.

    """

    probability: np.ndarray
    next_state: np.ndarray
    reward: np.ndarray
    terminated: np.ndarray
    nonterminal: np.ndarray
    start: np.ndarray | None

    def mdp(self, discount: float) -> MDP:
        """Return the MDP of the task without its time limit."""
        states, actions, _ = self.next_state.shape
        reaches = ~self.terminated | ~self.nonterminal[self.next_state]  # others end during the step
        rows = np.broadcast_to(np.arange(states * actions).reshape(states, actions, 1), self.next_state.shape)
        matrix = sparse.csr_array(
            (np.where(reaches, self.probability, 0.0).ravel(), (rows.ravel(), self.next_state.ravel())),
            shape=(states * actions, states),
        )
        return MDP(
            matrix,
            (self.probability * self.reward).sum(axis=2),
            discount,
            terminal=~self.nonterminal,
            termination=np.where(reaches, 0.0, self.probability).sum(axis=2),
            start=self.start,
        )


def from_transitions(name: str, rule: TransitionRule, start: Any, states: int, actions: int) -> Outcomes:
    """Return the table of a transition rule.

    A state is terminal if it has no outcomes, or if every action terminates there with reward 0.

    Args:
        name: name of the environment, for error messages.
        rule: outcomes of each action in each state.
        start: (S,), distribution of the initial state.
        states: number of states, S.
        actions: number of actions, A.

    Raises:
        UsageError: a missing state or action, an outcome that does not have four parts, an invalid next
            state, a reward that is not finite, or probabilities that are not a distribution; the message
            names state and action.

    """
    found = [[_merged(name, rule, s, a, states) for a in range(actions)] for s in range(states)]
    shape = (states, actions, max(1, max(len(row) for rows in found for row in rows)))
    probability, reward = np.zeros((2, *shape))
    next_state, terminated = np.zeros(shape, np.int64), np.ones(shape, bool)
    next_state[:] = np.arange(states)[:, None, None]
    for s, rows in enumerate(found):
        for a, row in enumerate(rows):
            for k, ((to, r, done), p) in enumerate(row.items()):
                at = s, a, k
                probability[at], next_state[at], reward[at], terminated[at] = p, to, r, done
    here = np.arange(states)[:, None, None]
    terminal = ((probability == 0) | (terminated & (next_state == here) & (reward == 0))).all(axis=(1, 2))
    total = probability.sum(axis=2)
    wrong = ~terminal[:, None] & ~(np.abs(total - 1) <= _ROUNDING)
    if wrong.any():
        s, a = np.argwhere(wrong)[0]
        raise UsageError(
            f"{_where(name, s, a)}: the probabilities sum to {total[s, a]:g}; they must sum to 1"
        )
    return Outcomes(probability, next_state, reward, terminated, ~terminal, _start(name, start, states))


def _merged(
    name: str, rule: TransitionRule, s: int, a: int, states: int
) -> dict[tuple[int, float, bool], float]:
    """Return the probability of each distinct outcome of an action."""
    try:
        row = [(float(p), int(to), float(r), bool(done)) for p, to, r, done in rule[s][a]]
    except (KeyError, IndexError):
        raise UsageError(f"{_where(name, s, a)}: the entry is missing") from None
    except (TypeError, ValueError):
        raise UsageError(
            f"{_where(name, s, a)}: the entry must be a list of (probability, next state, reward, terminated)"
        ) from None
    found: dict[tuple[int, float, bool], float] = {}
    for p, to, reward, done in row:
        where = _where(name, s, a)
        if not 0 <= p <= 1 + _ROUNDING:
            raise UsageError(f"{where}: a probability must be in [0, 1], got {p:g}")
        if not 0 <= to < states:
            raise UsageError(f"{where}: the next state must be one of 0 to {states - 1}, got {to}")
        if not np.isfinite(reward):
            raise UsageError(f"{where}: a reward must be finite, got {reward:g}")
        if p > 0:
            found[to, reward, done] = found.get((to, reward, done), 0.0) + p
    return found


def _start(name: str, given: Any, states: int) -> np.ndarray:
    try:
        start = np.asarray(given, float)
    except (TypeError, ValueError):
        start = np.zeros(0)
    if start.shape != (states,) or not (start >= 0).all() or not abs(start.sum() - 1) <= _ROUNDING:
        raise UsageError(
            f"environment '{name}': initial_state_distrib must be {states} probabilities that sum to 1, got "
            f"{start.size} with the sum {start.sum():g}"
        )
    return start / start.sum()


def _where(name: str, s: int, a: int) -> str:
    return f"environment '{name}', table `P`, state {s}, action {a}"
