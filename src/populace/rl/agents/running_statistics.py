"""Running normalization: observations to mean 0 and deviation 1, rewards to returns of deviation 1.

Mean and variance of all that was seen are kept per member, part of its state, and taken up a batch at a time
by the parallel form of Welford's update (Chan, Golub & LeVeque 1979):

    delta = mean_b - mean;  n' = n + n_b
    mean' = mean + delta n_b / n'
    M2'   = M2 + M2_b + delta^2 n n_b / n',        variance = M2' / n'

With no more than one value seen nothing is known of a spread, and values pass unchanged.
"""

import equinox as eqx
import jax
import jax.numpy as jnp

_CLIP = 10.0


class Moments(eqx.Module):
    """Count, mean and variance of what was seen, part by part.

    The count is a float: whole numbers would run over after 2^31 frames.
    """

    count: jax.Array
    mean: jax.Array
    variance: jax.Array

    def __init__(self, shape: tuple[int, ...] = ()) -> None:
        """Make the moments of nothing: mean 0 and variance 1 until more than one value was seen."""
        self.count, self.mean, self.variance = jnp.float32(0), jnp.zeros(shape), jnp.ones(shape)

    def update(self, batch: jax.Array) -> "Moments":
        """Return the moments with a batch (..., *shape) taken up."""
        axes = tuple(range(batch.ndim - self.mean.ndim))
        new = jnp.float32(batch.size // max(self.mean.size, 1))
        # The mean of equal numbers is rounded: their differences from one of them are exactly 0.
        one = batch[(0,) * len(axes)]
        off = batch - one
        shift = jnp.mean(off, axes)
        mean, spread = one + shift, jnp.mean((off - shift) ** 2, axes)
        count = self.count + new
        delta = mean - self.mean
        share = new / count  # of the batch among all, in a form that never squares a large count
        variance = self.variance * (1 - share) + spread * share + delta**2 * share * (1 - share)
        return eqx.tree_at(
            lambda m: (m.count, m.mean, m.variance), self, (count, self.mean + delta * share, variance)
        )

    def normalize(self, x: jax.Array) -> jax.Array:
        """Return `(x - mean) / deviation`, clipped to [-10, 10]."""
        return jnp.clip((x - self.mean) / self._deviation, -_CLIP, _CLIP)

    def denormalize(self, x: jax.Array) -> jax.Array:
        """Return `mean + deviation x`: what `normalize` took away, but for its clipping."""
        return self.mean + self._deviation * x

    def scale(self, x: jax.Array) -> jax.Array:
        """Return `x / deviation`, clipped to [-10, 10]: what is 0 stays 0."""
        return jnp.clip(x / self._deviation, -_CLIP, _CLIP)

    @property
    def _deviation(self) -> jax.Array:
        return jnp.where(self.count > 1, jnp.sqrt(self.variance + 1e-8), 1.0)


class Returns(eqx.Module):
    """Discounted sums of past rewards, `R_t = r_t + discount R_{t-1}` within an episode, and their moments.

    Rewards are divided by the deviation of R (Engstrom et al. 2020, "Implementation Matters in Deep Policy
    Gradients"), which leaves the sign of a reward alone.
    """

    running: jax.Array
    moments: Moments

    def __init__(self, copies: int) -> None:
        """Make them for so many copies of the environment at their start."""
        self.running, self.moments = jnp.zeros(copies), Moments()

    def update(self, reward: jax.Array, done: jax.Array, discount: jax.Array | float) -> "Returns":
        """Return them with a rollout (steps, copies) taken up, in the order of its steps."""

        def step(running: jax.Array, now: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
            reward, done = now
            total = reward + discount * running
            return jnp.where(done, 0.0, total), total

        running, totals = jax.lax.scan(step, self.running, (reward, done), unroll=16)
        return eqx.tree_at(lambda r: (r.running, r.moments), self, (running, self.moments.update(totals)))
