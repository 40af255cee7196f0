"""DCGAN and ConditionalGAN: a discriminator's logits, and the non-saturating loss."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from populace.images.gans.learner import GAN
from populace.images.gans.losses import discriminator_loss, non_saturating_loss
from populace.images.gans.networks import Critic


class DCGAN(GAN):
    """`D = sigmoid(critic)` is trained by cross-entropy, the generator on `-log D(G(z))`.

    critic_loss = -(mean log D(x) + mean log(1 - D(G(z)))) / 2
    generator_loss = -mean log D(G(z))

    Both are log 2 = 0.693 where the critic cannot tell at all. Computed from logits, neither overflows.
    Real and made images go through the critic in batches of their own, so batch normalization does not mix
    them.

    Sources: I. Goodfellow et al. (2014), Generative Adversarial Nets; A. Radford, L. Metz, S. Chintala
    (2016), Unsupervised Representation Learning with Deep Convolutional Generative Adversarial Networks.
    """

    def critic_loss(
        self, critic: Critic, real: jax.Array, made: jax.Array, conditions: jax.Array, key: jax.Array
    ) -> tuple[jax.Array, tuple[dict[str, jax.Array], Critic]]:
        """Return the cross-entropy, and in how many of the images the critic is right."""
        first, second = jax.random.split(key)
        of_real, after = critic.learn(real, conditions, first)
        of_made, _ = critic.learn(made, conditions, second)
        right = jnp.mean(of_real > 0) / 2 + jnp.mean(of_made < 0) / 2
        return discriminator_loss(of_real, of_made), ({"critic_accuracy": right}, after)

    def generator_loss(self, scores: jax.Array) -> jax.Array:
        """Return the non-saturating loss."""
        return non_saturating_loss(scores)


class ConditionalGAN(DCGAN):
    """A DCGAN of `p(x | y)`: both networks are told the class, so that the asked class is made.

    The generator's latent is followed by the class, one-hot; the critic adds `v_y . phi(x)` to its logit.
    `label_accuracy` is the share of made images that the judge reads as the class that was asked for.

    Sources: M. Mirza, S. Osindero (2014), Conditional Generative Adversarial Nets; T. Miyato, M. Koyama
    (2018), cGANs with Projection Discriminator.
    """

    conditional: ClassVar[Any] = True
