"""What generators and critics minimize, from the critic's scores of real and made images."""

from collections.abc import Callable

import jax
import jax.numpy as jnp


def discriminator_loss(real: jax.Array, made: jax.Array) -> jax.Array:
    """Return `-(E log D(x) + E log(1 - D(G(z)))) / 2` of logits, `D = sigmoid(logit)`.

    It is log 2 where all logits are 0, as it is the cross-entropy of a batch of which half is real.

    Source: I. Goodfellow (2016), NIPS 2016 Tutorial: Generative Adversarial Networks, equation 8.
    """
    return 0.5 * (jnp.mean(jax.nn.softplus(-real)) + jnp.mean(jax.nn.softplus(made)))


def non_saturating_loss(made: jax.Array) -> jax.Array:
    """Return `-E log D(G(z))` of logits, whose gradient does not vanish where D rejects every image.

    Source: I. Goodfellow et al. (2014), Generative Adversarial Nets.
    """
    return jnp.mean(jax.nn.softplus(-made))


def wasserstein_loss(real: jax.Array, made: jax.Array) -> jax.Array:
    """Return `E f(G(z)) - E f(x)`: minus an estimate of the distance, up to a factor.

    Source: M. Arjovsky, S. Chintala, L. Bottou (2017), Wasserstein GAN.
    """
    return jnp.mean(made) - jnp.mean(real)


def gradient_penalty(
    critic: Callable[[jax.Array, jax.Array], jax.Array],
    real: jax.Array,
    made: jax.Array,
    conditions: jax.Array,
    alpha: jax.Array,
) -> jax.Array:
    """Return `E (|grad f(x')| - 1)^2` at `x' = alpha x + (1 - alpha) G(z)`.

    The norm is that over the whole image, all of its pixels and channels.

    Args:
        critic: score of one image under its condition.
        real: images (N, height, width, channels).
        made: as many.
        conditions: of each, (N, classes).
        alpha: one number from 0 to 1 for each image, (N,).

    Source: I. Gulrajani et al. (2017), Improved Training of Wasserstein GANs.

    """
    share = alpha[:, None, None, None]
    between = share * real + (1 - share) * made
    gradients = jax.vmap(jax.grad(critic))(between, conditions)
    # The root has no derivative at 0, which a critic of constant score has.
    norms = jnp.sqrt(jnp.sum(gradients**2, (1, 2, 3)) + 1e-12)
    return jnp.mean((norms - 1) ** 2)
