"""Finite Markov decision processes, given by transition probabilities and rewards.

Computations use NumPy in double precision on the host, so that planning is a reference for what agents learn
in single precision.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import sparse

from populace.core.errors import UsageError
from populace.core.formatting import Overview, count

_ROUNDING = 1e-5  # tolerance for probabilities in single precision


class MDP(Overview):
    r"""States, actions, probabilities `p(s' | s, a)`, expected rewards `r(s, a)` and a discount.

    An episode ends in a terminal state, whose value is 0, or during a step from s by a, with probability
    `termination(s, a)`, for tasks that end without reaching a state. For every nonterminal state,
    `sum_s' p(s' | s, a) + termination(s, a) = 1`.

    Attributes:
        transitions: (S A, S) sparse; row `s A + a` is `p(. | s, a)`, empty if s is terminal.
        rewards: (S, A), expected reward of action a in state s; 0 if s is terminal.
        discount: factor per step, in [0, 1].
        terminal: (S,) bool.
        termination: (S, A), probability that the episode ends during this step.
        start: (S,), distribution of the initial state, or None if unknown.
        states: number of states, S.
        actions: number of actions, A.

    """

    def __init__(
        self,
        transitions: Any,
        rewards: Any,
        discount: float,
        *,
        terminal: Sequence[int] | np.ndarray = (),
        termination: Any = None,
        start: Any = None,
    ) -> None:
        """Create an MDP.

        Args:
            transitions: (S, A, S) probabilities, or a SciPy sparse array (S A, S).
            rewards: (S, A), or (S, A, S) per next state, which is reduced to its expectation.
            discount: in [0, 1]; 1 only if every policy reaches the end of the episode.
            terminal: indices of the terminal states, or one bool per state.
            termination: (S, A); 0 by default.
            start: (S,); unknown by default.

        Raises:
            UsageError: shapes that do not fit; probabilities that are not a distribution (the message
                names state and action); rewards that are not finite; a discount outside [0, 1], or of 1
                with a policy that never ends.

        """
        matrix, self.states, self.actions = _matrix(transitions, rewards)
        shape = (self.states, self.actions)
        self.terminal = _terminal(terminal, self.states)
        if not (isinstance(discount, int | float | np.number) and 0 <= discount <= 1):
            raise UsageError(f"discount must be in [0, 1], got {discount!r}")
        self.discount = float(discount)
        self.termination = np.zeros(shape) if termination is None else _array("ending", termination, shape)
        going = np.repeat(~self.terminal, self.actions)
        matrix = _stochastic(matrix, self.termination.ravel(), going, self.actions)
        self.termination = np.where(self.terminal[:, None], 0.0, self.termination)
        self.rewards = np.where(self.terminal[:, None], 0.0, _expected(rewards, matrix, shape))
        if not np.isfinite(self.rewards).all():
            s, a = np.argwhere(~np.isfinite(self.rewards))[0]
            raise UsageError(f"reward of state {s}, action {a} is {self.rewards[s, a]:g}; it must be finite")
        self.transitions = matrix
        self.start = None if start is None else _distribution(start, self.states)
        if self.discount == 1:
            self._check_termination()

    def _overview(self) -> tuple[str, dict[str, object]]:
        low, high = self.rewards.min(initial=0.0), self.rewards.max(initial=0.0)
        return f"MDP of {count(self.states, 'state')} and {count(self.actions, 'action')}", {
            "discount": f"{self.discount:g}",
            "terminal": f"{int(self.terminal.sum()):,} of the states" if self.terminal.any() else "none",
            "ends": f"with up to {self.termination.max():g} per step" if self.termination.any() else "",
            "rewards": f"{low:g} to {high:g}",
            "transitions": f"{self.transitions.nnz:,} of probability above 0",
            "start": "" if self.start is None else f"{int((self.start > 0).sum()):,} of the states",
        }

    def backup(self, v: np.ndarray) -> np.ndarray:
        """Return `r(s, a) + discount * sum_s' p(s' | s, a) v(s')`.

        Args:
            v: state values, (..., S).

        Returns:
            action values, (..., S, A).

        """
        v = np.asarray(v, float)
        flat = v.reshape(-1, self.states)
        ahead = np.asarray(self.transitions @ flat.T).T
        return self.rewards + self.discount * ahead.reshape(*v.shape[:-1], self.states, self.actions)

    def dense(self) -> np.ndarray:
        """Return the probabilities as a dense array (S, A, S), with zero rows for terminal states."""
        return self.transitions.toarray().reshape(self.states, self.actions, self.states)

    def discounted(self, discount: float) -> "MDP":
        """Return the same MDP with another discount."""
        return MDP(
            self.transitions, self.rewards, discount,
            terminal=self.terminal, termination=self.termination, start=self.start,
        )  # fmt: skip

    def _check_termination(self) -> None:
        """Find the largest set of states that some policy never leaves, which must be empty."""
        reaches = self.transitions.copy()
        reaches.data = np.ones_like(reaches.data)
        held = ~self.terminal
        while held.any():
            leaks = (reaches @ (~held).astype(float)).reshape(self.termination.shape)
            stays = (leaks == 0) & (self.termination == 0)
            smaller = held & stays.any(axis=1)
            if (smaller == held).all():
                s = int(np.flatnonzero(held)[0])
                raise UsageError(
                    f"discount 1 needs episodes that end under every policy, but from state {s} with action "
                    f"{int(np.argmax(stays[s]))} they can continue forever; use a discount below 1"
                )
            held = smaller


def _matrix(transitions: Any, rewards: Any) -> tuple[Any, int, int]:
    if sparse.issparse(transitions):
        matrix: Any = sparse.csr_array(transitions).astype(float)
        rows, states = matrix.shape
        if not states or not rows or rows % states:
            raise UsageError(f"sparse transitions must be (states * actions, states), got {matrix.shape}")
        return matrix, states, rows // states
    try:
        dense = np.asarray(transitions, float)
    except (TypeError, ValueError):
        raise UsageError("transitions must be an array of numbers (states, actions, states)") from None
    if dense.ndim != 3 or dense.shape[0] != dense.shape[2] or 0 in dense.shape:
        shaped = f"{dense.shape}; rewards are {np.shape(rewards)}"
        raise UsageError(f"transitions must be (states, actions, states), got {shaped}")
    states, actions, _ = dense.shape
    return sparse.csr_array(dense.reshape(states * actions, states)), states, actions


def _array(name: str, given: Any, shape: tuple[int, ...]) -> np.ndarray:
    try:
        array = np.array(given, float)
    except (TypeError, ValueError):
        raise UsageError(f"{name} must be an array of numbers of shape {shape}") from None
    if array.shape != shape:
        raise UsageError(f"{name} must have shape {shape}, got {array.shape}")
    return array


def _terminal(terminal: Any, states: int) -> np.ndarray:
    given = np.asarray(terminal)
    if given.dtype == bool:
        if given.shape != (states,):
            raise UsageError(f"terminal must be one bool for each of {states} states, got {given.shape}")
        return given.copy()
    mask = np.zeros(states, bool)
    for s in given.ravel().tolist():
        if s not in range(states):
            raise UsageError(f"terminal state {s!r} must be one of the states 0 to {states - 1}")
        mask[int(s)] = True
    return mask


def _stochastic(matrix: Any, termination: np.ndarray, going: np.ndarray, actions: int) -> Any:
    """Check that the rows of nonterminal states are distributions; empty the others."""
    matrix = matrix.copy()
    matrix.sum_duplicates()
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    matrix.data = np.where(going[rows], matrix.data, 0.0)
    wrong = ~(matrix.data >= 0)
    if wrong.any():
        at = int(np.argmax(wrong))
        s, a = divmod(int(rows[at]), actions)
        raise UsageError(
            f"probability of state {s}, action {a}, next state {int(matrix.indices[at])} is "
            f"{matrix.data[at]:g}; it must be in [0, 1]"
        )
    total = np.asarray(matrix.sum(axis=1)).ravel() + termination
    wrong = going & ~((np.abs(total - 1) <= _ROUNDING) & (termination >= 0))
    if wrong.any():
        s, a = divmod(int(np.argmax(wrong)), actions)
        if not termination[s * actions + a] >= 0:
            raise UsageError(
                f"state {s}, action {a} has a termination probability of {termination[s * actions + a]:g}; "
                "it must be in [0, 1]"
            )
        raise UsageError(
            f"probabilities of state {s}, action {a} sum to {total[s * actions + a]:g}; they must sum to 1"
        )
    scale = np.where(going, 1 / np.where(going, total, 1.0), 0.0)
    matrix.data = matrix.data * scale[rows]
    termination *= np.where(going, scale, 1.0)
    matrix.eliminate_zeros()
    return matrix


def _expected(rewards: Any, matrix: Any, shape: tuple[int, int]) -> np.ndarray:
    if np.ndim(rewards) == 3:
        each = _array("rewards", rewards, (*shape, shape[0])).reshape(-1, shape[0])
        rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
        terms = matrix.data * each[rows, matrix.indices]
        return np.bincount(rows, terms, minlength=matrix.shape[0]).reshape(shape)
    return _array("rewards", rewards, shape)


def _distribution(start: Any, states: int) -> np.ndarray:
    given = _array("start", start, (states,))
    if not ((given >= 0).all() and abs(given.sum() - 1) <= _ROUNDING):
        raise UsageError(f"start must be probabilities that sum to 1, got the sum {given.sum():g}")
    return given / given.sum()
