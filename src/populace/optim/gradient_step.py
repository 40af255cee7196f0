"""A gradient step: loss, descend, recombine. Every learner that has a loss takes this one.

With the gradient g over all weights w, the learner's settings, and an optimizer of Optax's:

    g <- g min(1, max_gradient_norm / |g|)                       where max_gradient_norm > 0
    u <- optimizer(g, learning_rate factor(t))                   factor: of the schedule
    w <- w + u - learning_rate factor(t) weight_decay w          matrices only

Weight decay is decoupled (Loshchilov and Hutter 2019, "Decoupled Weight Decay Regularization"), so that with
`adam` it is AdamW; biases and scales, which are arrays of one axis, do not decay. Clipping is by the global
norm (Pascanu et al. 2013, "On the difficulty of training recurrent neural networks").
"""

from collections.abc import Callable
from typing import Any, Protocol

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

from populace.core.settings import setting
from populace.nn.primitives.buffer import trainable
from populace.optim.optimizers import Optimizer
from populace.optim.schedules import Schedule


class Descends(Protocol):
    """A learner with the settings of a gradient step, all declared by the functions below."""

    @property
    def learning_rate(self) -> Any: ...  # noqa: D102
    @property
    def optimizer(self) -> Optimizer: ...  # noqa: D102
    @property
    def schedule(self) -> Schedule: ...  # noqa: D102
    @property
    def weight_decay(self) -> Any: ...  # noqa: D102
    @property
    def max_gradient_norm(self) -> Any: ...  # noqa: D102


def learning_rate(default: float) -> Any:
    """Declare the setting `learning_rate`."""
    return setting(default, above=0, help="learning rate of the optimizer")


def optimizer(default: Optimizer) -> Any:
    """Declare the setting `optimizer`."""
    return setting(default, help="optimizer")


def schedule(default: Schedule) -> Any:
    """Declare the setting `schedule`."""
    return setting(default, help="factor on the learning rate over the iterations")


def weight_decay(default: float | None = 0.0) -> Any:
    """Declare the setting `weight_decay`; by None it is left out of the program.

    Where networks are as small as those of agents, a decay of 0 costs a few percent of a step all the same.
    """
    text = "decoupled weight decay, times the learning rate; 0 disables"
    return setting(default, low=0, static=False, help=text)


def max_gradient_norm(default: float | None = 0.0) -> Any:
    """Declare the setting `max_gradient_norm`; None leaves it out of the program, as with `weight_decay`."""
    text = "gradients are clipped to this global norm; 0 disables"
    return setting(default, low=0, static=False, help=text)


def initial_opt_state(learner: Descends, network: Any) -> Any:
    """Return what the optimizer remembers before its first step."""
    return _transformation(learner, learner.learning_rate).init(eqx.filter(network, trainable(network)))


def gradient_step(
    learner: Descends,
    loss: Callable[[Any], tuple[jax.Array, Any]],
    network: Any,
    opt_state: Any,
    step: jax.Array | int,
) -> tuple[Any, Any, jax.Array, Any]:
    """Take one step down the gradient of a loss.

    Args:
        learner: settings of the step.
        loss: from a network to its loss, a scalar, and anything else that is wanted of the pass.
        network: a pytree of modules; its weights are what [`trainable`][populace.nn.trainable] marks.
        opt_state: what the optimizer remembers, as of `initial_opt_state`.
        step: iterations of the learner before this one, for the schedule.

    Returns:
        the network after the step, `opt_state` after it, the loss, and what else `loss` returned.

    """
    weights, rest = eqx.partition(network, trainable(network))

    def loss_of(weights: Any) -> tuple[jax.Array, Any]:
        return loss(eqx.combine(weights, rest))

    (value, found), gradient = jax.value_and_grad(loss_of, has_aux=True)(weights)
    rate = learner.learning_rate * learner.schedule.factor(jnp.asarray(step))
    updates, opt_state = _transformation(learner, rate).update(gradient, opt_state, weights)
    return eqx.combine(optax.apply_updates(weights, updates), rest), opt_state, value, found


def with_buffers(network: Any, after: Any) -> Any:
    """Return the network's weights with the buffers (running means, counts) that another pass left behind."""
    return eqx.combine(eqx.filter(network, trainable(network)), after)


def where(condition: jax.Array, new: Any, old: Any) -> Any:
    """Return `new` where a condition holds and `old` elsewhere, for every array; what is no array stays."""
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b) if eqx.is_array(a) else a, new, old)


def _transformation(learner: Descends, rate: Any) -> optax.GradientTransformation:
    clip = decay = optax.identity()
    if (limit := learner.max_gradient_norm) is not None:
        clip = optax.clip_by_global_norm(jnp.where(limit > 0, limit, jnp.inf))
    if learner.weight_decay is not None:
        decay = optax.add_decayed_weights(-rate * learner.weight_decay, _matrices)
    return optax.chain(clip, learner.optimizer.transformation(rate), decay)


def _matrices(weights: Any) -> Any:
    return jax.tree.map(lambda w: w.ndim > 1, weights)
