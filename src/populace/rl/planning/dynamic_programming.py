"""Dynamic programming: the values of policies, and optimal policies, in a finite MDP.

    v_pi(s) = sum_a pi(a | s) q_pi(s, a)        q_pi(s, a) = r(s, a) + discount * sum_s' p(s' | s, a) v_pi(s')
    v*(s)   = max_a q*(s, a)                    q*(s, a)   = r(s, a) + discount * sum_s' p(s' | s, a) v*(s')

Bellman 1957, "Dynamic Programming"; Howard 1960, "Dynamic Programming and Markov Processes";
Sutton & Barto 2018, chapters 3 and 4. Terminal states have value 0.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy import linalg, sparse
from scipy.sparse.linalg import splu

from populace.core.errors import RunError, UsageError
from populace.core.formatting import Overview, count, shortened
from populace.rl.planning import rounding
from populace.rl.planning.mdp import MDP

_MAX_SWEEPS = 1_000_000
_TIE = 1e-12  # relative to the numbers that an action value is summed from
_ITERATED_TIE = 1e-10  # likewise, or absolute if that is less: the most that unfinished iteration may explain


@dataclass(frozen=True, repr=False)
class Plan(Overview):
    """A solution of an MDP.

    Attributes:
        values: optimal state values v*, (S,).
        action_values: optimal action values q*, (S, A).
        actions: optimal actions, (S,); of several that are equal up to rounding, the first.
        iterations: number of iterations or sweeps.

    """

    values: np.ndarray
    action_values: np.ndarray
    actions: np.ndarray
    iterations: int

    def _overview(self) -> tuple[str, dict[str, object]]:
        states, actions = self.action_values.shape
        return f"Plan for {count(states, 'state')} and {count(actions, 'action')}", {
            "values": f"{self.values.min():.6g} to {self.values.max():.6g}",
            "actions": shortened(map(str, self.actions), 20),
            "iterations": f"{self.iterations:,}",
        }


def action_values(mdp: MDP, v: np.ndarray) -> np.ndarray:
    """Return `q(s, a) = r(s, a) + discount * sum_s' p(s' | s, a) v(s')`: q from v, and q* from v*."""
    return mdp.backup(_of_states(mdp, v))


def state_values(mdp: MDP, q: np.ndarray, policy: Any = None) -> np.ndarray:
    """Return `v(s) = sum_a pi(a | s) q(s, a)`, or `max_a q(s, a)` without a policy: v* from q*."""
    q = _of_actions(mdp, q)
    v = q.max(axis=1) if policy is None else (probabilities(mdp, policy) * q).sum(axis=1)
    return np.where(mdp.terminal, 0.0, v)


def greedy(mdp: MDP, q: np.ndarray) -> np.ndarray:
    """Return `a*(s) = argmax_a q(s, a)` (S,), the first of several optimal actions."""
    return np.argmax(optimal_actions(mdp, q), axis=1)


def optimal_actions(mdp: MDP, q: np.ndarray, tolerance: float = _TIE) -> np.ndarray:
    """Return which actions are optimal up to a tolerance, (S, A) bool.

    Two actions count as equal if their values differ by at most the sum of `tolerance * m(s, a)` of both,
    where a value is summed from `m(s, a) = |r(s, a)| + discount * sum_s' p(s' | s, a) |v(s')|`.

    Args:
        mdp: the MDP.
        q: action values, (S, A).
        tolerance: relative to m(s, a) of the actions that are compared.

    """
    q = _of_actions(mdp, q)
    return rounding.optimal(q, tolerance * rounding.magnitude(mdp, state_values(mdp, q)))


def probabilities(mdp: MDP, policy: Any) -> np.ndarray:
    """Return a policy as probabilities `pi(a | s)` (S, A), from these or from one action per state (S,).

    Raises:
        UsageError: another shape, invalid actions, or a state without a probability distribution.

    """
    given = np.asarray(policy)
    shape = (mdp.states, mdp.actions)
    if given.shape == shape[:1]:
        if given.dtype.kind not in "iu" or given.min() < 0 or given.max() >= mdp.actions:
            raise UsageError(
                f"a policy of one action per state must hold whole numbers from 0 to {mdp.actions - 1}"
            )
        return np.eye(mdp.actions)[given]
    if given.shape != shape:
        raise UsageError(
            f"a policy must have the shape (states,) or (states, actions) = {shape}, got {given.shape}"
        )
    given = given.astype(float)
    wrong = ~((given >= 0).all(axis=1) & (np.abs(given.sum(axis=1) - 1) <= 1e-5))
    if wrong.any():
        s = int(np.argmax(wrong))
        raise UsageError(
            f"the policy in state {s} must be probabilities that sum to 1, got the sum {given[s].sum():g}"
        )
    return given / given.sum(axis=1, keepdims=True)


def evaluate_policy(
    mdp: MDP, policy: Any, method: Literal["exact", "iterative"] = "exact", tolerance: float = 1e-10
) -> np.ndarray:
    r"""Return v_pi (S,).

    `exact` solves `(I - discount * P_pi) v = r_pi`, in `O(S^3)` for dense transitions and far less for sparse
    ones. `iterative` repeats `v <- r_pi + discount * P_pi v` until the error is below `tolerance`, in
    `O(S A B)` per sweep for B successors of each state and action.

    Args:
        mdp: the MDP.
        policy: actions (S,) or probabilities (S, A).
        method: `exact` or `iterative`.
        tolerance: maximum error of a value, for `iterative`, relative to the numbers that it is summed from
            where these are below 1; with discount 1, of the last change.

    Raises:
        UsageError: an unknown method, or an invalid policy.

    """
    pi = probabilities(mdp, policy)
    if method not in ("exact", "iterative"):
        raise UsageError(f"method must be exact or iterative, got {method!r}")
    if method == "exact":
        return _solve(mdp, pi)[0]
    return _iterate(mdp, tolerance, pi)[0]


def policy_iteration(mdp: MDP, policy: Any = None) -> Plan:
    """Solve an MDP by policy iteration: evaluate exactly and improve greedily until nothing changes.

    Args:
        mdp: the MDP.
        policy: initial policy, as for `evaluate_policy`; by default action 0 in every state.

    Raises:
        UsageError: an invalid policy.
        RunError: no convergence.

    """
    pi = probabilities(mdp, np.zeros(mdp.states, int) if policy is None else policy)
    for iteration in range(1, _MAX_SWEEPS):
        v, v_error = _solve(mdp, pi)
        q, q_error = mdp.backup(v), rounding.bound(mdp, v, v_error)
        # Replace an action only if another is better by more than rounding, so that ties never cycle.
        least = q - q_error
        better = least.max(axis=1) > v + v_error
        if not better.any():
            return Plan(v, q, rounding.optimal(q, q_error).argmax(axis=1), iteration)
        pi = np.where(better[:, None], np.eye(mdp.actions)[least.argmax(axis=1)], pi)
    raise RunError(f"policy iteration did not converge in {_MAX_SWEEPS:,} iterations")


def value_iteration(mdp: MDP, tolerance: float = 1e-10) -> Plan:
    """Solve an MDP by value iteration: repeat `v <- max_a (r + discount * P v)` until the error is small.

    Args:
        mdp: the MDP.
        tolerance: maximum error of a value, relative to the numbers that it is summed from where these are
            below 1; with discount 1, of the last change.

    Raises:
        RunError: no convergence.

    """
    v, sweeps, change = _iterate(mdp, tolerance)
    q, m = mdp.backup(v), rounding.magnitude(mdp, v)
    left = rounding.bound(mdp, v, change / max(1 - mdp.discount, 1e-6))
    equal = np.maximum(np.minimum(left, _ITERATED_TIE * np.minimum(1.0, m)), _TIE * m)
    return Plan(v, q, rounding.optimal(q, equal).argmax(axis=1), sweeps)


def evaluate_finite_horizon(mdp: MDP, policy: Any, steps: int, discount: float = 1.0) -> np.ndarray:
    """Return the expected return of a policy in episodes that are truncated after `steps`, (S,).

    This is what the evaluation of an agent measures under a time limit. The value of the state after the last
    step is not counted.

    Args:
        mdp: the MDP.
        policy: actions (S,) or probabilities (S, A).
        steps: number of steps.
        discount: discount per step, instead of the MDP's; 1: undiscounted.

    """
    pi = probabilities(mdp, policy)
    v = np.zeros(mdp.states)
    for _ in range(_steps(steps)):
        v = (pi * _backup_with(mdp, v, discount)).sum(axis=1)
    return v


def plan_finite_horizon(mdp: MDP, steps: int, discount: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Return the optimal finite-horizon values (S,) and actions (steps, S), by backward induction.

    The optimal action may depend on the number of steps left, so the values are an upper bound for policies
    that depend on the state alone.
    """
    v, actions = np.zeros(mdp.states), np.zeros((_steps(steps), mdp.states), int)
    v_error = np.zeros(mdp.states)
    for t in reversed(range(steps)):
        q, q_error = _backup_with(mdp, v, discount), rounding.bound(mdp, v, v_error, discount)
        v, actions[t] = q.max(axis=1), rounding.optimal(q, q_error).argmax(axis=1)
        v_error = np.take_along_axis(q_error, q.argmax(axis=1)[:, None], axis=1)[:, 0]
    return v, actions


def _backup_with(mdp: MDP, v: np.ndarray, discount: float) -> np.ndarray:
    ahead = np.asarray(mdp.transitions @ v).reshape(mdp.states, mdp.actions)
    return mdp.rewards + discount * ahead


def _solve(mdp: MDP, pi: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return v_pi (S,) and a bound on its rounding (S,)."""
    rows = np.repeat(np.arange(mdp.states), mdp.actions)
    mix = sparse.csr_array(
        (pi.ravel(), (rows, np.arange(pi.size))), shape=(mdp.states, mdp.states * mdp.actions)
    )
    system = sparse.eye_array(mdp.states, format="csc") - mdp.discount * (mix @ mdp.transitions)
    if system.nnz / mdp.states**2 > 0.1 or mdp.states < 200:
        factors = linalg.lu_factor(system.toarray())
        v = linalg.lu_solve(factors, (pi * mdp.rewards).sum(axis=1))
        return v, linalg.lu_solve(factors, rounding.of_residual(mdp, pi, v))
    solve = splu(sparse.csc_array(system)).solve
    v = np.asarray(solve((pi * mdp.rewards).sum(axis=1)))
    return v, np.asarray(solve(rounding.of_residual(mdp, pi, v)))


def _iterate(mdp: MDP, tolerance: float, pi: np.ndarray | None = None) -> tuple[np.ndarray, int, np.ndarray]:
    """Repeat `v <- sum_a pi(a | s) q(s, a)`, or without a policy `v <- max_a q(s, a)`, from zeros.

    Returns:
        v (S,), the number of sweeps, and the absolute change in the last of them (S,).

    """
    if not tolerance > 0:
        raise UsageError(f"tolerance must be > 0, got {tolerance!r}")
    g = mdp.discount
    # |v - v*| <= g / (1 - g) * |last change|: Puterman 1994, theorem 6.3.1
    enough = tolerance * min(1.0, (1 - g) / g) if 0 < g < 1 else tolerance
    v = np.zeros(mdp.states)
    for sweep in range(1, _MAX_SWEEPS):
        q = mdp.backup(v)
        new = q.max(axis=1) if pi is None else (pi * q).sum(axis=1)
        change, v = np.abs(new - v), new
        # The first condition is necessary for the second, and spares most sweeps its cost.
        if change.max() <= max(enough, 16 * rounding.EPS * (np.abs(mdp.rewards).max() + g * np.abs(v).max())):
            m = rounding.magnitude(mdp, v)
            best = np.eye(mdp.actions)[q.argmax(axis=1)] if pi is None else pi
            m = (best * m).sum(axis=1)
            if (change <= np.maximum(enough * np.minimum(1.0, m), 16 * rounding.EPS * m)).all():
                return v, sweep, change
    raise RunError(f"the values did not converge in {_MAX_SWEEPS:,} sweeps; raise the tolerance")


def _of_states(mdp: MDP, v: Any) -> np.ndarray:
    v = _numbers("state values", v)
    if v.shape[-1:] != (mdp.states,):
        raise UsageError(f"state values must have the shape ({mdp.states},), got {v.shape}")
    return v


def _of_actions(mdp: MDP, q: Any) -> np.ndarray:
    q = _numbers("action values", q)
    if q.shape != (mdp.states, mdp.actions):
        raise UsageError(f"action values must have the shape {(mdp.states, mdp.actions)}, got {q.shape}")
    return q


def _numbers(name: str, given: Any) -> np.ndarray:
    try:
        array = np.asarray(given, float)
    except (TypeError, ValueError):
        raise UsageError(f"{name} must be an array of numbers") from None
    if np.isnan(array).any():
        raise UsageError(f"{name} must be numbers, got NaN at {np.argwhere(np.isnan(array))[0].tolist()}")
    return array


def _steps(steps: Any) -> int:
    if isinstance(steps, bool) or not isinstance(steps, int | np.integer) or steps < 0:
        raise UsageError(f"steps must be a whole number >= 0, got {steps!r}")
    return int(steps)
