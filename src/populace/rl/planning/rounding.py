"""How far rounding may move values, so that planning tells ties from differences.

A sum of n terms is off by at most about `n eps` times the sum of their absolute values (Higham 2002,
"Accuracy and Stability of Numerical Algorithms", section 4.2). So each action value has a bound of its own,
relative to the numbers that it is summed from: a reward of -1e9 elsewhere hides no difference of 0.5 here.
"""

import numpy as np

from populace.rl.planning.mdp import MDP

EPS = np.finfo(float).eps


def magnitude(mdp: MDP, v: np.ndarray, discount: float | None = None) -> np.ndarray:
    """Return `|r(s, a)| + discount * sum_s' p(s' | s, a) |v(s')|`, (S, A)."""
    ahead = np.asarray(mdp.transitions @ np.abs(v)).reshape(mdp.rewards.shape)
    return np.abs(mdp.rewards) + (mdp.discount if discount is None else discount) * ahead


def bound(
    mdp: MDP, v: np.ndarray, error: np.ndarray | float = 0.0, discount: float | None = None
) -> np.ndarray:
    """Return the largest error of the action values that follow from v, (S, A).

    Args:
        mdp: the MDP.
        v: state values, (S,).
        error: largest error of each state value, (S,).
        discount: discount per step, instead of the MDP's.

    """
    ahead = np.asarray(mdp.transitions @ np.broadcast_to(error, v.shape)).reshape(mdp.rewards.shape)
    summing = _per_sum(mdp) * magnitude(mdp, v, discount)
    return summing + (mdp.discount if discount is None else discount) * ahead


def of_residual(mdp: MDP, pi: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Return `|v - T^pi v|` and the rounding of this difference, (S,).

    `(I - discount * P_pi)^-1` times it, whose entries are not negative, bounds the error of v as v_pi.
    """
    residual = np.abs(v - (pi * mdp.backup(v)).sum(axis=1))
    return residual + _per_sum(mdp) * (np.abs(v) + (pi * magnitude(mdp, v)).sum(axis=1))


def optimal(q: np.ndarray, error: np.ndarray) -> np.ndarray:
    """Return which actions may be optimal if each value (S, A) is off by up to its `error`, (S, A) bool."""
    return q + error >= (q - error).max(axis=1, keepdims=True)


def _per_sum(mdp: MDP) -> float:
    return (4 + mdp.actions + int(np.diff(mdp.transitions.indptr).max())) * EPS
