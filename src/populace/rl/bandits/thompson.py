"""Thompson sampling: draw the means from what is believed of them, and pull the best of the drawn.

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
    """The sum of the rewards of each arm and how often it was pulled, both (K,)."""

    rewards: jax.Array
    counts: jax.Array


class Conjugate(Rule):
    """Thompson sampling whose posterior follows from the sum and number of the rewards of each arm."""

    def init(self, arms: int) -> Sums:
        """Return no rewards."""
        return Sums(jnp.zeros(arms), jnp.zeros(arms))

    def learn(self, state: Sums, pulled: jax.Array, reward: jax.Array) -> Sums:
        """Add the reward to its arm's."""
        return Sums(state.rewards + pulled * reward, state.counts + pulled)


class Thompson(Conjugate):
    r"""Thompson sampling for rewards of 0 and 1.

        theta_a ~ Beta(prior_ones + ones_a, prior_zeros + zeros_a)
        a = argmax theta

    With the even prior its regret reaches the lower bound of Lai and Robbins as t grows. Source:
    Kaufmann, Korda and Munos 2012, "Thompson Sampling: An Asymptotically Optimal Finite Time Analysis".
    """

    kind: ClassVar[str] = "thompson"

    prior_ones: float = setting(1.0, above=0, help="ones that the prior counts as seen of each arm")
    prior_zeros: float = setting(1.0, above=0, help="zeros that the prior counts as seen of each arm")

    def check(self, arms: Arms) -> None:
        """Raise a `UsageError` for arms whose rewards are not 0 or 1."""
        if not arms.binary:
            raise UsageError(
                f"rule 'thompson' needs rewards of 0 and 1, and {arms.kind} arms give others; "
                "use rule 'thompson-gaussian'"
            )

    def choose(self, key: jax.Array, state: Sums, pulls: jax.Array) -> jax.Array:
        """Pull the arm whose drawn mean is the highest."""
        del pulls
        ones = self.prior_ones + state.rewards
        zeros = self.prior_zeros + state.counts - state.rewards
        return jnp.argmax(draw_beta(key, ones, zeros)).astype(jnp.int32)


class GaussianThompson(Conjugate):
    r"""Thompson sampling for rewards of known noise around means with a normal prior.

        precision_a = 1 / prior_deviation^2 + n_a / noise^2
        theta_a ~ Normal((prior_mean / prior_deviation^2 + sum_a / noise^2) / precision_a, 1 / precision_a)
        a = argmax theta

    Source: Russo et al. 2018, "A Tutorial on Thompson Sampling", section 4.
    """

    kind: ClassVar[str] = "thompson-gaussian"

    noise: float = setting(1.0, above=0, help="standard deviation of a reward around its mean, as believed")
    prior_mean: float = setting(0.0, help="mean of the prior of each arm's mean")
    prior_deviation: float = setting(1.0, above=0, help="standard deviation of that prior")

    def choose(self, key: jax.Array, state: Sums, pulls: jax.Array) -> jax.Array:
        """Pull the arm whose drawn mean is the highest."""
        del pulls
        prior, evidence = 1 / self.prior_deviation**2, 1 / self.noise**2
        precision = prior + evidence * state.counts
        mean = (prior * self.prior_mean + evidence * state.rewards) / precision
        drawn = mean + jax.random.normal(key, mean.shape) * lax.rsqrt(precision)
        return jnp.argmax(drawn).astype(jnp.int32)


def draw_beta(key: jax.Array, a: jax.Array, b: jax.Array) -> jax.Array:
    """Draw from Beta(a, b) for each entry, as `x / (x + y)` with `x ~ Gamma(a)`, `y ~ Gamma(b)`.

    `jax.random.beta` is several times slower in a loop on CPU, where it draws one number after another.
    """
    log_x, log_y = jnp.split(_draw_log_gamma(key, jnp.concatenate([a, b])), 2)
    return jax.nn.sigmoid(log_x - log_y)


def _draw_log_gamma(key: jax.Array, shape: jax.Array) -> jax.Array:
    """Draw log Gamma(shape, 1) for each entry (n,) by rejection, in rounds until all are accepted.

    Marsaglia and Tsang 2000, "A simple method for generating gamma variables"; a shape below 1 is drawn
    as `Gamma(shape + 1) * U^(1 / shape)`, in logarithms, where tiny numbers do not vanish.
    """
    below_one = shape < 1
    d = jnp.where(below_one, shape + 1, shape) - 1 / 3
    c = lax.rsqrt(9 * d)

    def going(loop: tuple[jax.Array, jax.Array, jax.Array]) -> jax.Array:
        # One in 20 is refused, so the limit is never reached but for shapes that are not numbers.
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
