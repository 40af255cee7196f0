"""Outcomes: the table of what can follow each action in each state, made of a rule and checked."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from populace.core.errors import UsageError
from populace.rl.planning.mdp import MDP

Rule = Mapping[int, Mapping[int, Any]]
"""`rule[s][a]` lists what can follow: (probability, next state, reward, terminated) each."""

_ROUNDING = 1e-5  # probabilities given in single precision still sum to one


@dataclass(frozen=True)
class Outcomes:
    """What can follow each action in each state: K outcomes, each with its probability.

    Attributes:
        probability: (S, A, K), which sums to one over K where the state is alive.
        state: (S, A, K) next state.
        reward: (S, A, K).
        ends: (S, A, K) bool: the task is over with it.
        alive: (S,) bool: the task goes on in this state; false also where it was never reached.
        start: (S,) distribution of the first state; None where it is drawn in an unknown way.

    """

    probability: np.ndarray
    state: np.ndarray
    reward: np.ndarray
    ends: np.ndarray
    alive: np.ndarray
    start: np.ndarray | None

    def mdp(self, discount: float) -> MDP:
        """Return the MDP of the task without its clock. States that are not alive are terminal."""
        states, actions, _ = self.state.shape
        reaches = ~self.ends | ~self.alive[self.state]  # the others end without a state of their own
        rows = np.broadcast_to(np.arange(states * actions).reshape(states, actions, 1), self.state.shape)
        matrix = sparse.csr_array(
            (np.where(reaches, self.probability, 0.0).ravel(), (rows.ravel(), self.state.ravel())),
            shape=(states * actions, states),
        )
        return MDP(
            matrix,
            (self.probability * self.reward).sum(axis=2),
            discount,
            terminal=~self.alive,
            ending=np.where(reaches, 0.0, self.probability).sum(axis=2),
            start=self.start,
        )


def of_rule(name: str, rule: Rule, start: Any, states: int, actions: int) -> Outcomes:
    """Return the table of a rule that is written out.

    A state without outcomes, or one that every action keeps, ended and unpaid, is where the task is over.

    Args:
        name: of the environment, for errors.
        rule: what can follow each action in each state.
        start: (S,) distribution of the first state.
        states: their number, S.
        actions: their number, A.

    Raises:
        UsageError: a state or action is missing, an outcome is not of four parts or leads to no state,
            a reward is not finite, or probabilities are no distribution (which state and action).

    """
    found = [[_merged(name, rule, s, a, states) for a in range(actions)] for s in range(states)]
    shape = (states, actions, max(1, max(len(row) for rows in found for row in rows)))
    probability, reward = np.zeros((2, *shape))
    state, ends = np.zeros(shape, np.int64), np.ones(shape, bool)
    state[:] = np.arange(states)[:, None, None]
    for s, rows in enumerate(found):
        for a, row in enumerate(rows):
            for k, ((following, gained, done), p) in enumerate(row.items()):
                at = s, a, k
                probability[at], state[at], reward[at], ends[at] = p, following, gained, done
    here = np.arange(states)[:, None, None]
    done = ((probability == 0) | (ends & (state == here) & (reward == 0))).all(axis=(1, 2))
    total = probability.sum(axis=2)
    wrong = ~done[:, None] & ~(np.abs(total - 1) <= _ROUNDING)
    if wrong.any():
        s, a = np.argwhere(wrong)[0]
        raise UsageError(
            f"{_table(name)} holds probabilities of state {s}, action {a} that sum to {total[s, a]:g}, not 1"
        )
    return Outcomes(probability, state, reward, ends, ~done, _start(name, start, states))


def _merged(name: str, rule: Rule, s: int, a: int, states: int) -> dict[tuple[int, float, bool], float]:
    """Return the probability of each outcome of an action, those that are alike added up."""
    try:
        row = [(float(p), int(to), float(r), bool(done)) for p, to, r, done in rule[s][a]]
    except (KeyError, IndexError):
        raise UsageError(f"{_table(name)} has nothing for state {s}, action {a}") from None
    except (TypeError, ValueError):
        raise UsageError(
            f"{_table(name)} must hold lists of (probability, next state, reward, terminated); "
            f"that of state {s}, action {a} is another"
        ) from None
    found: dict[tuple[int, float, bool], float] = {}
    for p, to, gained, done in row:
        where = f"{_table(name)} holds for state {s}, action {a}"
        if not 0 <= p <= 1 + _ROUNDING:
            raise UsageError(f"{where} a probability of {p:g}; it must be in [0, 1]")
        if not 0 <= to < states:
            raise UsageError(f"{where} the next state {to}; it must be one of 0 to {states - 1}")
        if not np.isfinite(gained):
            raise UsageError(f"{where} a reward of {gained:g}; it must be finite")
        if p > 0:
            found[to, gained, done] = found.get((to, gained, done), 0.0) + p
    return found


def _start(name: str, given: Any, states: int) -> np.ndarray:
    try:
        start = np.asarray(given, float)
    except (TypeError, ValueError):
        start = np.zeros(0)
    if start.shape != (states,) or not (start >= 0).all() or not abs(start.sum() - 1) <= _ROUNDING:
        raise UsageError(
            f"environment '{name}': initial_state_distrib must be {states} probabilities that sum to 1, got "
            f"{start.size} with a sum of {start.sum():g}"
        )
    return start / start.sum()


def _table(name: str) -> str:
    return f"environment '{name}': its table of outcomes"
