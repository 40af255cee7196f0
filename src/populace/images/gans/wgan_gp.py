"""WGANGP: the Wasserstein distance by a critic whose gradient is kept at norm 1."""

import jax

from populace.core.errors import UsageError
from populace.core.settings import setting
from populace.images.gans.learner import GAN
from populace.images.gans.losses import gradient_penalty, wasserstein_loss
from populace.images.gans.networks import Critic, GANNetworks
from populace.optim.optimizers import Adam, Optimizer


class WGANGP(GAN):
    """The critic estimates a Wasserstein distance, which the generator lowers.

    critic_loss = mean f(G(z)) - mean f(x) + penalty mean (|grad f(x')| - 1)^2
    generator_loss = -mean f(G(z))

    x' is drawn on the straight line between a real and a made image, `alpha` uniform from 0 to 1 and one for
    each pair; the norm is that over the whole image. Batch normalization would make the critic's score of an
    image depend on the others of its batch, where the penalty asks for a gradient by each image alone, so it
    is refused in the critic.

    `wasserstein_distance` in the training metrics is the critic's estimate on its own batches,
    `mean f(x) - mean f(G(z))`.

    Source: I. Gulrajani et al. (2017), Improved Training of Wasserstein GANs.
    """

    network: GANNetworks = setting(GANNetworks(critic_norm="none"), help="generator and critic")
    critic_steps: int = setting(5, low=1, help="gradient steps of the critic per step of the generator")
    learning_rate: float = setting(1e-4, above=0, help="learning rate of the generator")
    critic_learning_rate: float = setting(1e-4, above=0, help="learning rate of the critic")
    optimizer: Optimizer = setting(Adam(b1=0.0, b2=0.9), help="optimizer of the generator")
    critic_optimizer: Optimizer = setting(Adam(b1=0.0, b2=0.9), help="optimizer of the critic")
    penalty: float = setting(10.0, low=0, help="weight of the gradient penalty in the critic's loss")

    def check(self) -> None:
        """Raise a `UsageError` for batch normalization in the critic, and as GANs do."""
        if self.network.critic_norm == "batch":
            raise UsageError(
                "the gradient penalty is of each image alone, batch normalization in the critic mixes them; "
                "set network.critic_norm = none"
            )
        super().check()

    def critic_loss(
        self, critic: Critic, real: jax.Array, made: jax.Array, conditions: jax.Array, key: jax.Array
    ) -> tuple[jax.Array, tuple[dict[str, jax.Array], Critic]]:
        """Return the loss, and its two terms."""
        alpha_key, first, second = jax.random.split(key, 3)
        of_real, after = critic.learn(real, conditions, first)
        of_made, _ = critic.learn(made, conditions, second)
        alpha = jax.random.uniform(alpha_key, (real.shape[0],))
        steep = gradient_penalty(critic, real, made, conditions, alpha)
        distance = -wasserstein_loss(of_real, of_made)
        seen = {"wasserstein_distance": distance, "gradient_penalty": steep}
        return self.penalty * steep - distance, (seen, after)

    def generator_loss(self, scores: jax.Array) -> jax.Array:
        """Return minus the mean score."""
        return -scores.mean()
