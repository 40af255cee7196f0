"""Early stopping by the validation nodes, one rule for each of the papers that compare graph networks."""

from typing import Self

import equinox as eqx
import jax
import jax.numpy as jnp

RULES = ("never", "window", "patience")


class EarlyStoppingState(eqx.Module):
    """What a member's validation has been so far.

    `window` stops when the loss rises above the mean of the last ones (Kipf and Welling 2017), `patience`
    when neither loss nor accuracy was as good as the best for so many epochs (Velickovic et al. 2018).

    Attributes:
        best_loss: lowest so far.
        best_score: highest so far.
        waited: epochs since either was reached.
        losses: the last ones, oldest first; only for `window`.
        stopped_at: epoch at which the member stopped, or -1.

    """

    best_loss: jax.Array
    best_score: jax.Array
    waited: jax.Array
    losses: jax.Array
    stopped_at: jax.Array

    @classmethod
    def start(cls, rule: str, patience: int) -> Self:
        """Return what is known before the first epoch."""
        return cls(
            best_loss=jnp.float32(jnp.inf),
            best_score=jnp.float32(-jnp.inf),
            waited=jnp.int32(0),
            losses=jnp.full(patience if rule == "window" else 1, jnp.inf, jnp.float32),
            stopped_at=jnp.int32(-1),
        )

    def after(
        self, epoch: jax.Array, loss: jax.Array, score: jax.Array, rule: str, patience: int
    ) -> "EarlyStoppingState":
        """Return what is known after an epoch, the count of which begins with 1."""
        losses, waited = self.losses, self.waited
        if rule == "window":
            stop = (epoch > patience) & (loss > jnp.mean(losses))
            losses = jnp.concatenate([losses[1:], loss[None]])
        else:
            reached = (loss <= self.best_loss) | (score >= self.best_score)
            waited = jnp.where(reached, 0, waited + 1)
            stop = waited >= patience
        return EarlyStoppingState(
            best_loss=jnp.minimum(loss, self.best_loss),
            best_score=jnp.maximum(score, self.best_score),
            waited=waited,
            losses=losses,
            stopped_at=jnp.where(stop, epoch, self.stopped_at),
        )
