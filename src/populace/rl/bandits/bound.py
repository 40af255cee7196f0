"""Bounds on the regret of bandits: the lower bound of Lai and Robbins, and the upper bound of UCB1.

Regret is the expected loss compared with always pulling the best arm,
`R(t) = sum_{s <= t} (mu* - mu_{a_s})`.
"""

import math

import numpy as np
from numpy.typing import ArrayLike

from populace.core.errors import UsageError


def lai_robbins(means: ArrayLike, *, noise: float | None = None) -> float:
    """Return `C = sum over the suboptimal arms of (mu* - mu_a) / KL(a || best)`.

    Every rule whose regret grows slower than any power of t, for all means, has
    `liminf R(t) / log t >= C`. The bound is asymptotic: at a finite t a rule may be below `C log t`.
    Source: Lai and Robbins 1985, "Asymptotically efficient adaptive allocation rules".

    Args:
        means: mean of each arm, (K,).
        noise: standard deviation of the rewards of Gaussian arms; None for Bernoulli arms.

    Raises:
        UsageError: fewer than two arms, equal means, a mean that is not finite, or for Bernoulli arms one
            that is not a probability.

    """
    mu = _checked(means)
    if noise is not None and not (math.isfinite(noise) and noise > 0):
        raise UsageError(f"noise must be > 0, got {noise!r}")
    if noise is None and ((mu < 0) | (mu > 1)).any():
        raise UsageError(f"means of Bernoulli arms must be probabilities in [0, 1], got {mu.tolist()}")
    best = mu.max()
    worse = mu[mu < best]
    divergence = kl_bernoulli(worse, best) if noise is None else kl_gaussian(worse, best, noise)
    # If the best Bernoulli arm always pays, the divergence is infinite: one failure reveals a worse arm.
    return float(np.sum((best - worse) / divergence))


def ucb1_bound(means: ArrayLike, pulls: ArrayLike) -> np.ndarray:
    """Return the upper bound on UCB1's expected regret after t pulls, for rewards in [0, 1].

    `8 sum_{a: mu_a < mu*} log(t) / (mu* - mu_a) + (1 + pi^2 / 3) sum_a (mu* - mu_a)`

    Source: Auer, Cesa-Bianchi and Fischer 2002, "Finite-time Analysis of the Multiarmed Bandit
    Problem", theorem 1.

    Args:
        means: mean of each arm, (K,).
        pulls: t, any shape, at least 1.

    Raises:
        UsageError: fewer than two arms, equal means, or a mean that is not finite.

    """
    mu = _checked(means)
    gaps = mu.max() - mu[mu < mu.max()]
    logs = np.log(np.asarray(pulls, np.float64))
    return 8 * np.sum(1 / gaps) * logs + (1 + math.pi**2 / 3) * np.sum(gaps)


def kl_bernoulli(p: ArrayLike, q: ArrayLike) -> np.ndarray:
    """Return `p log(p / q) + (1 - p) log((1 - p) / (1 - q))` in nats; infinite if q is 0 or 1, unlike p."""
    p, q = np.broadcast_arrays(np.asarray(p, np.float64), np.asarray(q, np.float64))
    return _p_log_p_over_q(p, q) + _p_log_p_over_q(1 - p, 1 - q)


def kl_gaussian(mean: ArrayLike, other: ArrayLike, noise: float) -> np.ndarray:
    """Return `(mean - other)^2 / (2 noise^2)`, for normal distributions of equal standard deviation."""
    return (np.asarray(mean, np.float64) - np.asarray(other, np.float64)) ** 2 / (2 * noise**2)


def _p_log_p_over_q(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(p > 0, p * np.log(p / q), 0.0)


def _checked(means: ArrayLike) -> np.ndarray:
    mu = np.asarray(means, np.float64)
    if mu.ndim != 1 or mu.size < 2:
        raise UsageError(f"a regret bound needs the means of at least 2 arms, got shape {mu.shape}")
    if not np.isfinite(mu).all():
        raise UsageError(f"means must be finite, got {mu.tolist()}")
    if (mu == mu[0]).all():
        raise UsageError(
            f"all {mu.size} arms have the mean {mu[0]:g}, so the regret is 0 and there is no bound"
        )
    return mu
