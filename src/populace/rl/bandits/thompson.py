"""Thompson sampling: sample the means from their posterior, and pull the arm with the highest sample.

Thompson 1933, "On the likelihood that one unknown probability exceeds another in view of the evidence
of two samples".
"""

import math
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax

from populace.core.errors import UsageError
from populace.core.settings import setting
from populace.rl.bandits.arms import Arms
from populace.rl.bandits.rule import Rule


class Sums(eqx.Module):
    """The sum of the rewards of each arm, and the number of its pulls, both (K,)."""

    rewards: jax.Array
    counts: jax.Array


class Conjugate(Rule):
    """Thompson sampling whose posterior depends on the sum and number of each arm's rewards alone."""

    def init(self, arms: int) -> Sums:
        """Return sums and counts of 0."""
        return Sums(jnp.zeros(arms), jnp.zeros(arms))

    def learn(self, state: Sums, pulled: jax.Array, reward: jax.Array) -> Sums:
        """Add the reward to the sum of its arm."""
        return Sums(state.rewards + pulled * reward, state.counts + pulled)


class Thompson(Conjugate):
    r"""Thompson sampling for rewards of 0 and 1.

        theta_a ~ Beta(prior_ones + ones_a, prior_zeros + zeros_a)
        a = argmax theta

    With the uniform prior its regret attains the lower bound of Lai and Robbins asymptotically. Source:
    Kaufmann, Korda and Munos 2012, "Thompson Sampling: An Asymptotically Optimal Finite Time Analysis".
    """

    kind: ClassVar[str] = "thompson"

    prior_ones: float = setting(1.0, above=0, help="parameter alpha of the Beta prior: prior count of ones")
    prior_zeros: float = setting(1.0, above=0, help="parameter beta of the Beta prior: prior count of zeros")

    def check(self, arms: Arms) -> None:
        """Raise a `UsageError` for arms whose rewards are not 0 or 1."""
        if not arms.binary:
            raise UsageError(
                f"rule 'thompson' needs rewards of 0 and 1, but {arms.kind} arms have other rewards; "
                "use rule 'thompson-gaussian'"
            )

    def choose(self, key: jax.Array, state: Sums, pulls: jax.Array) -> jax.Array:
        """Return the arm with the highest sampled mean."""
        del pulls
        ones = self.prior_ones + state.rewards
        zeros = self.prior_zeros + state.counts - state.rewards
        return jnp.argmax(draw_beta(key, ones, zeros)).astype(jnp.int32)


class GaussianThompson(Conjugate):
    r"""Thompson sampling for normal rewards with known noise, and a normal prior of each mean.

        precision_a = 1 / prior_std^2 + n_a / noise^2
        theta_a ~ Normal((prior_mean / prior_std^2 + sum_a / noise^2) / precision_a, 1 / precision_a)
        a = argmax theta

    Source: Russo et al. 2018, "A Tutorial on Thompson Sampling", section 4.
    """

    kind: ClassVar[str] = "thompson-gaussian"

    noise: float = setting(1.0, above=0, help="assumed standard deviation of a reward")
    prior_mean: float = setting(0.0, help="mean of the prior")
    prior_std: float = setting(1.0, above=0, help="standard deviation of the prior")

    def choose(self, key: jax.Array, state: Sums, pulls: jax.Array) -> jax.Array:
        """Return the arm with the highest sampled mean."""
        del pulls
        prior, evidence = 1 / self.prior_std**2, 1 / self.noise**2
        precision = prior + evidence * state.counts
        mean = (prior * self.prior_mean + evidence * state.rewards) / precision
        drawn = mean + jax.random.normal(key, mean.shape) * lax.rsqrt(precision)
        return jnp.argmax(drawn).astype(jnp.int32)


def draw_beta(key: jax.Array, a: jax.Array, b: jax.Array) -> jax.Array:
    """Sample from Beta(a, b) for each entry, as `x / (x + y)` with `x ~ Gamma(a)`, `y ~ Gamma(b)`.

    `jax.random.beta` is several times slower in a loop on CPU, because it samples one entry after another.
    """
    log_x, log_y = jnp.split(_draw_log_gamma(key, jnp.concatenate([a, b])), 2)
    return jax.nn.sigmoid(log_x - log_y)


def _draw_log_gamma(key: jax.Array, shape: jax.Array) -> jax.Array:
    """Sample log Gamma(shape, 1) for each entry (n,) by rejection, in rounds until all are accepted.

    Marsaglia and Tsang 2000, "A simple method for generating gamma variables". For a shape below 1 the sample
    is `Gamma(shape + 1) * U^(1 / shape)`, in logarithms, which do not underflow.
    """
    below_one = shape < 1
    d = jnp.where(below_one, shape + 1, shape) - 1 / 3
    c = lax.rsqrt(9 * d)

    def going(loop: tuple[jax.Array, jax.Array, jax.Array]) -> jax.Array:
        # At most one in 20 is rejected, so the limit is reached only if a shape is NaN.
        return ~jnp.all(loop[1]) & (loop[0] < 100)

    def propose(loop: tuple[jax.Array, jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array, jax.Array]:
        attempt, accepted, log_v = loop
        even, other = jax.random.uniform(jax.random.fold_in(key, attempt), (2, *shape.shape))
        z = math.sqrt(2) * lax.erf_inv(2 * even - 1)
        root = 1 + c * z
        proposed = 3 * jnp.log(jnp.maximum(root, 1e-30))
        fits = jnp.log(other) < z**2 / 2 + d * (1 - root**3 + proposed)
        new = (root > 0) & fits & ~accepted
        return attempt + 1, accepted | new, jnp.where(new, proposed, log_v)

    start = (jnp.int32(0), jnp.zeros(shape.shape, bool), jnp.zeros(shape.shape))
    _, _, log_v = lax.while_loop(going, propose, start)
    boost_key = jax.random.fold_in(key, 2**31)
    boost = jnp.log1p(-jax.random.uniform(boost_key, shape.shape)) / shape
    return jnp.log(d) + log_v + jnp.where(below_one, boost, 0.0)
