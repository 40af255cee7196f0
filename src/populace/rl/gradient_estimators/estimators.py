r"""Gradient estimators: how much a sampled policy gradient varies, in closed form and by sampling.

The smallest policy gradient there is: an action of 0 or 1, drawn by a Bernoulli-logistic unit,

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
    """One estimator: what it should give, and what samples of it gave, for one weight.

    `bias` is the expectation less the exact gradient.
    """

    estimator: str
    mean: float
    bias: float
    variance: float
    sampled_mean: Interval
    sampled_variance: Interval


class BernoulliLogistic:
    """A Bernoulli-logistic policy in one situation, and the reward of its two actions.

    Args:
        weights: w, (D,).
        features: x, (D,).
        reward: f, from an action to its reward, written in JAX. The relaxed estimator differentiates it
            between 0 and 1; the others only ask for f(0) and f(1).

    Raises:
        UsageError: weights and features of different shapes or not finite, or rewards that are not
            finite numbers.

    """

    def __init__(self, weights: ArrayLike, features: ArrayLike, reward: Reward) -> None:
        w, x = np.asarray(weights, np.float64), np.asarray(features, np.float64)
        if w.ndim != 1 or w.shape != x.shape or w.size == 0:
            raise UsageError(
                f"weights and features must be vectors of one length, got {w.shape} and {x.shape}"
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
    def best_baseline(self) -> float:
        """The baseline of least variance, `b* = (1 - mu) f(1) + mu f(0)`.

        In general `b* = E[f(a) (a - mu)^2] / E[(a - mu)^2]`, the reward weighted by the squared score
        (Greensmith et al. 2004). Here it weights each reward by the probability of the *other*
        action, and makes both actions give the same `g_d`: the variance is 0.
        """
        f0, f1 = self.rewards
        return (1 - self.mu) * f1 + self.mu * f0

    def reinforce_moments(self, baseline: float = 0.0) -> Moments:
        r"""Return expectation and variance of `g_d = (f(a) - b) (a - mu) x_d`.

            E[g_d]   = mu (1 - mu) (f(1) - f(0)) x_d                               whatever b is
            E[g_d^2] = mu (1 - mu) [(1 - mu) (f(1) - b)^2 + mu (f(0) - b)^2] x_d^2
            Var g_d  = mu (1 - mu) (b* - b)^2 x_d^2

        The last line is the second less the square of the first, whose bracket is a square.
        """
        spread = self.mu * (1 - self.mu) * (self.best_baseline - baseline) ** 2
        return Moments(self.gradient, spread * self.features**2)

    def reinforce(self, key: jax.Array, samples: int, baseline: float = 0.0) -> np.ndarray:
        """Draw estimates `(f(a) - b) (a - mu) x_d`, a ~ Bernoulli(mu), shape (samples, D)."""
        _check_samples(samples)
        action = np.asarray(jax.random.uniform(key, (samples,)) < self.mu)
        f0, f1 = self.rewards
        weight = (np.where(action, f1, f0) - baseline) * (action - self.mu)
        return weight[:, None] * self.features

    def relaxed_moments(self, temperature: float) -> Moments:
        """Return expectation and variance of `relaxed`, by quadrature.

        There is no closed form for any f; the integral over the one logistic variable is done by the
        trapezoid rule on so fine a grid that its error is far below that of any sampling.
        """
        _check_temperature(temperature)
        # A logistic density is below 1e-17 of its peak beyond 40; the slope has the width of the temperature.
        z = np.linspace(-40.0, 40.0, _GRID)
        density = 0.25 / np.cosh(z / 2) ** 2
        slope = self._relaxed_slope(z, temperature)
        mean = np.trapezoid(slope * density, z)
        variance = np.trapezoid((slope - mean) ** 2 * density, z)
        return Moments(mean * self.features, variance * self.features**2)

    def relaxed(self, key: jax.Array, samples: int, temperature: float) -> np.ndarray:
        r"""Draw reparameterised estimates from the relaxed action, shape (samples, D).

            z = log u - log(1 - u),  u uniform      the noise no longer depends on w
            s = sigmoid((w . x + z) / T)            a = [w . x + z > 0] exactly, softened
            g_d = f'(s) s (1 - s) / T x_d

        It needs f between 0 and 1 and its derivative. It is an unbiased estimate of the gradient of
        `E[f(s)]`, and so a biased one of the gradient of `E[f(a)]`: the bias goes to 0 with T, while
        the variance grows like 1 / T.
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
    """Return every estimator's expectation and variance beside those of samples, for one weight.

    REINFORCE without baseline, with the mean reward, and with the best baseline; the relaxed action at
    each temperature. The intervals are 95 % ones.

    Raises:
        UsageError: fewer than 2 samples, a temperature below 0.01, or no such weight.

    """
    if not 0 <= weight < len(policy.features):
        raise UsageError(f"weight must be from 0 to {len(policy.features) - 1}, got {weight}")
    baselines = {
        "REINFORCE": 0.0,
        "REINFORCE, mean reward as baseline": policy.mean_baseline,
        "REINFORCE, best baseline": policy.best_baseline,
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

    m4 is the fourth central moment: the interval holds for large n and needs no normal samples.
    """
    variance = float(drawn.var(ddof=1))
    fourth = float(np.mean((drawn - drawn.mean()) ** 4))
    half = _Z95 * math.sqrt(max(fourth - variance**2, 0.0) / len(drawn))
    return Interval(variance, max(variance - half, 0.0), variance + half)


def _check_samples(samples: int) -> None:
    if samples < 2:
        raise UsageError(f"samples must be at least 2, got {samples}")


def _check_temperature(temperature: float) -> None:
    # Below, the softened action is so steep a step that the grid of the quadrature would miss it.
    if not (math.isfinite(temperature) and temperature >= 0.01):
        raise UsageError(f"temperature must be at least 0.01, got {temperature!r}")
