"""Early stopping: when a member's training ends, by its loss and score on the validation part, once an epoch.

A member that has stopped keeps its state as it is, and the others go on.
"""

from abc import abstractmethod
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from populace.core.settings import Settings, setting
from populace.optim.optimizers import named


class EarlyStoppingState(eqx.Module):
    """What a member's validation has been so far.

    Attributes:
        best_loss: lowest so far.
        best_score: highest so far; of a score whose low end is the good one, its negative.
        waited: epochs since the last improvement.
        losses: the last ones, oldest first; None where the rule does not look back.
        stopped_at: step at which the member stopped, or -1.

    """

    best_loss: jax.Array
    best_score: jax.Array
    waited: jax.Array
    losses: jax.Array | None
    stopped_at: jax.Array

    @property
    def running(self) -> jax.Array:
        """Whether the member trains on."""
        return self.stopped_at < 0


class EarlyStopping(Settings):
    """A rule of early stopping."""

    def __check_init__(self) -> None:
        """Refuse a class that a recipe could not name."""
        named(self, "early_stopping")

    @property
    def enabled(self) -> bool:
        """Whether a member may ever stop: what never asks for the validation part costs nothing."""
        return True

    @property
    def history(self) -> int:
        """How many losses the rule looks back on."""
        return 0

    def start(self) -> EarlyStoppingState | None:
        """Return what is known before the first epoch; None where nobody asks."""
        if not self.enabled:
            return None
        return EarlyStoppingState(
            best_loss=jnp.float32(jnp.inf),
            best_score=jnp.float32(-jnp.inf),
            waited=jnp.int32(0),
            losses=jnp.full(self.history, jnp.inf, jnp.float32) if self.history else None,
            stopped_at=jnp.int32(-1),
        )

    def after(
        self, seen: EarlyStoppingState, step: jax.Array, loss: jax.Array, score: jax.Array
    ) -> EarlyStoppingState:
        """Return what is known with the loss and score of another epoch, which ended at `step`."""
        waited = jnp.where(self.improved(seen, loss, score), 0, seen.waited + 1)
        stop = seen.running & self.stops(seen, waited, loss)
        losses = seen.losses
        if losses is not None:
            losses = jnp.concatenate([losses[1:], loss[None]])
        return EarlyStoppingState(
            best_loss=jnp.minimum(loss, seen.best_loss),
            best_score=jnp.maximum(score, seen.best_score),
            waited=waited,
            losses=losses,
            stopped_at=jnp.where(stop, step, seen.stopped_at),
        )

    def improved(self, seen: EarlyStoppingState, loss: jax.Array, score: jax.Array) -> jax.Array:
        """Return whether this epoch counts as an improvement."""
        del score
        return loss < seen.best_loss

    @abstractmethod
    def stops(self, seen: EarlyStoppingState, waited: jax.Array, loss: jax.Array) -> jax.Array:
        """Return whether to stop: `waited` epochs have passed since the last improvement."""


class Never(EarlyStopping):
    """Trains to the last step."""

    kind: ClassVar[str] = "never"

    @property
    def enabled(self) -> bool:
        """No."""
        return False

    def stops(self, seen: EarlyStoppingState, waited: jax.Array, loss: jax.Array) -> jax.Array:
        """Return False."""
        del seen, waited, loss
        return jnp.bool(False)


class Patience(EarlyStopping):
    """Stops after so many epochs without an improvement.

    With `loss` an epoch improves whose validation loss is below every one before; with `loss-or-score` one
    whose loss or score is as good as the best before (Velickovic et al. 2018).
    """

    kind: ClassVar[str] = "patience"
    epochs: int = setting(10, low=1, help="epochs without an improvement before a member stops")
    watch: str = setting("loss", choices=("loss", "loss-or-score"), help="what has to improve")

    def improved(self, seen: EarlyStoppingState, loss: jax.Array, score: jax.Array) -> jax.Array:
        """Return whether the loss fell, or whether either is as good as its best."""
        if self.watch == "loss":
            return loss < seen.best_loss
        return (loss <= seen.best_loss) | (score >= seen.best_score)

    def stops(self, seen: EarlyStoppingState, waited: jax.Array, loss: jax.Array) -> jax.Array:
        """Return whether patience is at its end."""
        del seen, loss
        return waited >= self.epochs


class Window(EarlyStopping):
    """Stops when the validation loss exceeds the mean of the last ones (Kipf and Welling 2017)."""

    kind: ClassVar[str] = "window"
    epochs: int = setting(10, low=1, help="epochs whose mean validation loss is compared with")

    @property
    def history(self) -> int:
        """As many as the window is long."""
        return self.epochs

    def stops(self, seen: EarlyStoppingState, waited: jax.Array, loss: jax.Array) -> jax.Array:
        """Return whether the loss is above the mean, which is infinite until the window is full."""
        del waited
        assert seen.losses is not None
        return loss > jnp.mean(seen.losses)
