r"""Bellman operators on a finite MDP, with measurements of contraction and monotonicity.

    (T^pi v)(s)    = sum_a pi(a | s) (r(s, a) + discount * sum_s' p(s' | s, a) v(s'))
    (T^pi q)(s, a) = r(s, a) + discount * sum_s' p(s' | s, a) sum_a' pi(a' | s') q(s', a')
    (T* v)(s)      = max_a (r(s, a) + discount * sum_s' p(s' | s, a) v(s'))
    (T* q)(s, a)   = r(s, a) + discount * sum_s' p(s' | s, a) max_a' q(s', a')

Each is a contraction in the max norm, `|T x - T y| <= discount * |x - y|`, and monotone, `x <= y`
implies `T x <= T y`. For discounts below 1 each has a unique fixed point (Banach): v_pi, q_pi, v* or q*.
Denardo 1967, "Contraction Mappings in the Theory Underlying Dynamic Programming".
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from populace.core.errors import RunError, UsageError
from populace.rl.planning import dynamic_programming
from populace.rl.planning.mdp import MDP
from populace.rl.planning.rounding import EPS

Operator = Callable[[np.ndarray], np.ndarray]


def policy_operator_v(mdp: MDP, policy: Any) -> Operator:
    """Return `T^pi` on state values (..., S)."""
    pi = dynamic_programming.probabilities(mdp, policy)
    return lambda v: (pi * mdp.backup(v)).sum(axis=-1)


def policy_operator_q(mdp: MDP, policy: Any) -> Operator:
    """Return `T^pi` on action values (..., S, A)."""
    pi = dynamic_programming.probabilities(mdp, policy)
    return lambda q: mdp.backup((pi * q).sum(axis=-1))


def optimality_operator_v(mdp: MDP) -> Operator:
    """Return `T*` on state values (..., S)."""
    return lambda v: mdp.backup(v).max(axis=-1)


def optimality_operator_q(mdp: MDP) -> Operator:
    """Return `T*` on action values (..., S, A)."""
    return lambda q: mdp.backup(q.max(axis=-1))


def contraction_factor(
    operator: Operator, shape: tuple[int, ...], pairs: int = 1_000, seed: int = 0
) -> float:
    """Return the largest `|T x - T y| / |x - y|` in the max norm over random pairs.

    It is a lower bound on the contraction factor, which is at most the discount: the rounding of the
    subtraction is deducted. Half of the pairs differ by
    normal noise, the other half by a constant and a little noise, because constants contract least.

    Args:
        operator: T, applied to arrays (pairs, *shape).
        shape: shape of x.
        pairs: number of random pairs.
        seed: seed of the random pairs.

    """
    x, noise, level = _draw(shape, pairs, seed)
    apart = np.where(np.arange(pairs).reshape(-1, *[1] * len(shape)) % 2, level + 1e-3 * noise, noise)
    axes = tuple(range(1, 1 + len(shape)))
    difference, rounding = _subtracted(operator(x + apart), operator(x))
    after = np.maximum(np.abs(difference) - rounding, 0.0).max(axis=axes)
    return float((after / np.abs(apart).max(axis=axes)).max())


def monotonicity_violation(
    operator: Operator, shape: tuple[int, ...], pairs: int = 1_000, seed: int = 0
) -> float:
    """Return the largest entry of `T x - T y` over random pairs `x <= y`: at most 0 if T is monotone.

    The rounding of the subtraction is deducted.
    """
    x, noise, _ = _draw(shape, pairs, seed)
    difference, rounding = _subtracted(operator(x), operator(x + np.abs(noise)))
    return float((difference - rounding).max())


def modulus(mdp: MDP, policy: Any = None) -> float:
    """Return the exact contraction factor of `T^pi`, or without a policy of `T*`, on state values.

    It is `discount * max_s sum_s' p_pi(s' | s)`, or the maximum over all actions: the discount itself, unless
    every step can end the episode.
    """
    mass = np.asarray(mdp.transitions.sum(axis=1)).reshape(mdp.states, mdp.actions)
    if policy is not None:
        mass = (dynamic_programming.probabilities(mdp, policy) * mass).sum(axis=1)
    return float(mdp.discount * mass.max())


def fixed_point(operator: Operator, shape: tuple[int, ...], tolerance: float = 1e-10) -> np.ndarray:
    """Apply the operator repeatedly, starting from zeros, until the last change is below `tolerance`.

    The tolerance is relative to the largest entry where this is below 1.

    Raises:
        RunError: no convergence, for example with an operator that is not a contraction.

    """
    if not tolerance > 0:
        raise UsageError(f"tolerance must be > 0, got {tolerance!r}")
    x = np.zeros(shape)
    for _ in range(1_000_000):
        new = operator(x)
        change, x = np.abs(new - x).max(), new
        largest = np.abs(x).max()
        if change <= max(tolerance * min(1.0, largest), 4 * EPS * largest):
            return x
    raise RunError("the operator did not converge in 1,000,000 applications; is it a contraction?")


@dataclass(frozen=True)
class OperatorReport:
    """Measurements of one operator.

    Attributes:
        operator: name of the operator.
        bound: the discount, an upper bound on the contraction factor.
        factor: largest ratio of distances over all pairs.
        violation: largest violation of monotonicity over all pairs; at most 0 if it is monotone.
        distance: max-norm distance between its fixed point and the solution by dynamic programming.

    """

    operator: str
    bound: float
    factor: float
    violation: float
    distance: float

    @property
    def holds(self) -> bool:
        """Whether the operator contracted and was monotone on every pair, up to rounding."""
        return self.factor <= self.bound + 1e-9 and self.violation <= 1e-9


def measure(mdp: MDP, policy: Any = None, pairs: int = 1_000, seed: int = 0) -> list[OperatorReport]:
    """Measure the four operators of an MDP; the default `policy` is uniformly random."""
    if policy is None:
        policy = np.full((mdp.states, mdp.actions), 1 / mdp.actions)
    v, plan = dynamic_programming.evaluate_policy(mdp, policy), dynamic_programming.policy_iteration(mdp)
    s, sa = (mdp.states,), (mdp.states, mdp.actions)
    cases = [
        ("T^pi on v", policy_operator_v(mdp, policy), s, v),
        ("T^pi on q", policy_operator_q(mdp, policy), sa, mdp.backup(v)),
        ("T* on v", optimality_operator_v(mdp), s, plan.values),
        ("T* on q", optimality_operator_q(mdp), sa, plan.action_values),
    ]
    return [
        OperatorReport(
            name,
            mdp.discount,
            contraction_factor(operator, shape, pairs, seed),
            monotonicity_violation(operator, shape, pairs, seed),
            float(np.abs(fixed_point(operator, shape) - planned).max()),
        )
        for name, operator, shape, planned in cases
    ]


def report(mdp: MDP, policy: Any = None, pairs: int = 1_000, seed: int = 0) -> str:
    """Return the results of [`measure`][populace.rl.planning.bellman.measure] as a Markdown table."""
    lines = [
        f"| operator | discount | factor over {pairs:,} pairs | monotone | fixed point from planning |",
        "|---|---|---|---|---|",
    ]
    for found in measure(mdp, policy, pairs, seed):
        monotone = "yes" if found.violation <= 1e-9 else f"no, by {found.violation:.3g}"
        lines.append(
            f"| {found.operator} | {found.bound:g} | {found.factor:.6f} | {monotone} | {found.distance:.2g} |"
        )
    return "\n".join(lines)


def _subtracted(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return x - y, and what rounding in both may contribute."""
    return x - y, 64 * EPS * np.maximum(np.abs(x), np.abs(y))


def _draw(shape: tuple[int, ...], pairs: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    if pairs < 2:
        raise UsageError(f"pairs must be >= 2, got {pairs}")
    random = np.random.default_rng(seed)
    x, noise = random.normal(size=(2, pairs, *shape))
    return x, noise, random.normal(size=(pairs, *[1] * len(shape)))
