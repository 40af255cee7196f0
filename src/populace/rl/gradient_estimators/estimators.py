r"""Estimators of a policy gradient: their bias and variance, in closed form and from samples.

The policy is a Bernoulli-logistic unit with the actions 0 and 1,

    mu = sigmoid(w . x),   P(a = 1) = mu,   J(w) = E[f(a)] = mu f(1) + (1 - mu) f(0)

Williams 1992, "Simple Statistical Gradient-Following Algorithms for Connectionist Reinforcement
Learning"; Greensmith, Bartlett and Baxter 2004, "Variance Reduction Techniques for Gradient Estimates
in Reinforcement Learning"; Maddison, Mnih and Teh 2017, "The Concrete Distribution".
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from populace.core.errors import UsageError
from populace.statistics import Interval

Reward = Callable[[jax.Array], jax.Array]

_GRID = 200_001
_Z95 = 1.959963984540054


@dataclass(frozen=True)
class Moments:
    """Expectation and variance of one sample of an estimator, one entry per weight, (D,)."""

    mean: np.ndarray
    variance: np.ndarray


@dataclass(frozen=True)
class Comparison:
    """Exact and sampled moments of one estimator, for one weight.

    `bias` is the expectation minus the exact gradient.
    """

    estimator: str
    mean: float
    bias: float
    variance: float
    sampled_mean: Interval
    sampled_variance: Interval


class BernoulliLogistic:
    """A Bernoulli-logistic policy in one state, with the rewards of its two actions.

    Args:
        weights: w, (D,).
        features: x, (D,).
        reward: f, a JAX function from an action to its reward. The relaxed estimator differentiates it
            between 0 and 1; the others use only f(0) and f(1).

    Raises:
        UsageError: weights and features of different shapes or not finite, or rewards that are not finite.

    """

    def __init__(self, weights: ArrayLike, features: ArrayLike, reward: Reward) -> None:
        w, x = np.asarray(weights, np.float64), np.asarray(features, np.float64)
        if w.ndim != 1 or w.shape != x.shape or w.size == 0:
            raise UsageError(
                f"weights and features must be vectors of equal length, got {w.shape} and {x.shape}"
            )
        if not (np.isfinite(w).all() and np.isfinite(x).all()):
            raise UsageError("weights and features must be finite")
        self.features, self.reward, self.logit = x, reward, float(w @ x)
        self.rewards = tuple(float(reward(jnp.float32(a))) for a in (0, 1))
        if not all(map(math.isfinite, self.rewards)):
            raise UsageError(f"the rewards of both actions must be finite, got {list(self.rewards)}")

    @property
    def mu(self) -> float:
        """Probability of action 1."""
        return 0.5 * (1 + math.tanh(self.logit / 2))

    @property
    def gradient(self) -> np.ndarray:
        """The exact gradient, `dJ/dw_d = mu (1 - mu) (f(1) - f(0)) x_d`."""
        f0, f1 = self.rewards
        return self.mu * (1 - self.mu) * (f1 - f0) * self.features

    @property
    def mean_baseline(self) -> float:
        """The expected reward `E[f] = mu f(1) + (1 - mu) f(0)`."""
        f0, f1 = self.rewards
        return self.mu * f1 + (1 - self.mu) * f0

    @property
    def optimal_baseline(self) -> float:
        """The baseline with minimum variance, `b* = (1 - mu) f(1) + mu f(0)`.

        In general `b* = E[f(a) (a - mu)^2] / E[(a - mu)^2]`, the reward weighted by the squared score
        (Greensmith et al. 2004). Here it weights each reward by the probability of the *other*
        action. Then both actions give the same `g_d`, and the variance is 0.
        """
        f0, f1 = self.rewards
        return (1 - self.mu) * f1 + self.mu * f0

    def reinforce_moments(self, baseline: float = 0.0) -> Moments:
        r"""Return expectation and variance of `g_d = (f(a) - b) (a - mu) x_d`.

            E[g_d]   = mu (1 - mu) (f(1) - f(0)) x_d                               for every b
            E[g_d^2] = mu (1 - mu) [(1 - mu) (f(1) - b)^2 + mu (f(0) - b)^2] x_d^2
            Var g_d  = mu (1 - mu) (b* - b)^2 x_d^2

        The variance is the second line minus the square of the first.
        """
        spread = self.mu * (1 - self.mu) * (self.optimal_baseline - baseline) ** 2
        return Moments(self.gradient, spread * self.features**2)

    def reinforce(self, key: jax.Array, samples: int, baseline: float = 0.0) -> np.ndarray:
        """Sample estimates `(f(a) - b) (a - mu) x_d`, a ~ Bernoulli(mu), shape (samples, D)."""
        _check_samples(samples)
        action = np.asarray(jax.random.uniform(key, (samples,)) < self.mu)
        f0, f1 = self.rewards
        weight = (np.where(action, f1, f0) - baseline) * (action - self.mu)
        return weight[:, None] * self.features

    def relaxed_moments(self, temperature: float) -> Moments:
        """Return expectation and variance of `relaxed`, by numerical integration.

        There is no closed form for a general f. The integral over the logistic variable uses the trapezoidal
        rule on a grid so fine that its error is negligible beside that of sampling.
        """
        _check_temperature(temperature)
        # Beyond 40 the logistic density is below 1e-17 of its peak; the slope is as wide as the temperature.
        z = np.linspace(-40.0, 40.0, _GRID)
        density = 0.25 / np.cosh(z / 2) ** 2
        slope = self._relaxed_slope(z, temperature)
        mean = np.trapezoid(slope * density, z)
        variance = np.trapezoid((slope - mean) ** 2 * density, z)
        return Moments(mean * self.features, variance * self.features**2)

    def relaxed(self, key: jax.Array, samples: int, temperature: float) -> np.ndarray:
        r"""Sample reparameterized estimates from the relaxed action, shape (samples, D).

            z = log u - log(1 - u),  u uniform      noise that does not depend on w
            s = sigmoid((w . x + z) / T)            relaxation of a = [w . x + z > 0]
            g_d = f'(s) s (1 - s) / T x_d

        f must be differentiable between 0 and 1. The estimate is unbiased for the gradient of `E[f(s)]`, and
        therefore biased for the gradient of `E[f(a)]`: as T goes to 0 the bias vanishes, and the variance
        grows like 1 / T.
        """
        _check_samples(samples)
        _check_temperature(temperature)
        noise = np.asarray(jax.random.logistic(key, (samples,)), np.float64)
        return self._relaxed_slope(noise, temperature)[:, None] * self.features

    def _relaxed_slope(self, noise: np.ndarray, temperature: float) -> np.ndarray:
        """Return df(s)/d(w . x) for each noise."""
        soft = jax.nn.sigmoid(jnp.asarray((self.logit + noise) / temperature, jnp.float32))
        derivative = np.asarray(jax.vmap(jax.grad(lambda s: self.reward(s)))(soft), np.float64)
        if not np.isfinite(derivative).all():
            raise UsageError(
                "the reward has no finite derivative between 0 and 1; the relaxed action needs it"
            )
        s = np.asarray(soft, np.float64)
        return derivative * s * (1 - s) / temperature


def compare(
    policy: BernoulliLogistic,
    key: jax.Array,
    samples: int = 100_000,
    temperatures: Sequence[float] = (1.0, 0.5, 0.1),
    weight: int = 0,
) -> list[Comparison]:
    """Compare exact and sampled expectation and variance of all estimators, for one weight.

    The estimators are REINFORCE without a baseline, with the mean reward, and with the optimal baseline, and
    the relaxed action at each temperature. The intervals have 95 % confidence.

    Args:
        policy: the policy and its rewards.
        key: JAX random key.
        samples: number of samples per estimator.
        temperatures: temperatures of the relaxed action.
        weight: index of the weight.

    Raises:
        UsageError: fewer than 2 samples, a temperature below 0.01, or an invalid index.

    """
    if not 0 <= weight < len(policy.features):
        raise UsageError(f"weight must be from 0 to {len(policy.features) - 1}, got {weight}")
    baselines = {
        "REINFORCE": 0.0,
        "REINFORCE, mean reward as baseline": policy.mean_baseline,
        "REINFORCE, optimal baseline": policy.optimal_baseline,
    }
    found: dict[str, tuple[Moments, np.ndarray]] = {}
    for i, (name, baseline) in enumerate(baselines.items()):
        drawn = policy.reinforce(jax.random.fold_in(key, i), samples, baseline)
        found[name] = policy.reinforce_moments(baseline), drawn
    for i, temperature in enumerate(temperatures):
        drawn = policy.relaxed(jax.random.fold_in(key, len(baselines) + i), samples, temperature)
        found[f"relaxed, temperature {temperature:g}"] = policy.relaxed_moments(temperature), drawn
    return [_compared(n, policy, moments, x[:, weight], weight) for n, (moments, x) in found.items()]


def _compared(
    name: str, policy: BernoulliLogistic, moments: Moments, drawn: np.ndarray, weight: int
) -> Comparison:
    mean, variance = float(moments.mean[weight]), float(moments.variance[weight])
    bias = mean - float(policy.gradient[weight])
    return Comparison(name, mean, bias, variance, mean_interval(drawn), variance_interval(drawn))


def mean_interval(drawn: np.ndarray) -> Interval:
    """Return the mean of samples (n,) with its 95 % interval, `mean +- 1.96 s / sqrt(n)`."""
    mean, half = float(drawn.mean()), _Z95 * float(drawn.std(ddof=1)) / math.sqrt(len(drawn))
    return Interval(mean, mean - half, mean + half)


def variance_interval(drawn: np.ndarray) -> Interval:
    """Return the variance of samples (n,) with its 95 % interval, `s^2 +- 1.96 sqrt((m4 - s^4) / n)`.

    m4 is the fourth central moment. The interval is valid for large n, and does not assume normal samples.
    """
    variance = float(drawn.var(ddof=1))
    fourth = float(np.mean((drawn - drawn.mean()) ** 4))
    half = _Z95 * math.sqrt(max(fourth - variance**2, 0.0) / len(drawn))
    return Interval(variance, max(variance - half, 0.0), variance + half)


def _check_samples(samples: int) -> None:
    if samples < 2:
        raise UsageError(f"samples must be at least 2, got {samples}")


def _check_temperature(temperature: float) -> None:
    # At lower temperatures the relaxed action is too steep for the grid of the numerical integration.
    if not (math.isfinite(temperature) and temperature >= 0.01):
        raise UsageError(f"temperature must be at least 0.01, got {temperature!r}")
