"""LatentModel: what autoencoders share: an encoder and a decoder, and their use from Python."""

from abc import abstractmethod
from typing import Any, ClassVar

import equinox as eqx
import jax
import numpy as np

from populace.core.media import Image, Visualization
from populace.core.settings import setting
from populace.images.autoencoders.networks import AutoencoderNetwork, Convolutional, EncoderDecoder
from populace.images.generative import given
from populace.images.generative.learner import GenerativeModel


class LatentModel(GenerativeModel):
    """Encodes images to a latent of a few numbers, and decodes latents to images.

    Of a conditional model encoder and decoder are both told the class.
    """

    conditional: ClassVar[bool] = False
    """Whether encoder and decoder are told the class."""
    conditional_one: ClassVar[str] = "a ConditionalVAE"
    codes_per_latent: ClassVar[int] = 1
    """Numbers that the encoder has for each number of the latent."""

    @property
    def planes(self) -> int:
        """Numbers that the decoder has for each number of an image; the first are logits of the means."""
        return 1

    @property
    def black_and_white(self) -> bool:
        """Whether the encoder is given pixels of 0 and 1, whatever the images are."""
        return False

    latents: int = setting(2, low=1, help="size of the latent")
    network: AutoencoderNetwork = setting(  # pyright: ignore[reportIncompatibleVariableOverride]
        Convolutional(), help="encoder and decoder"
    )

    @abstractmethod
    def draw_latents(self, model: EncoderDecoder, n: int, seed: int) -> np.ndarray:
        """Return latents to decode samples of, (n, latents)."""

    @abstractmethod
    def latent_quantiles(self, codes: np.ndarray, levels: np.ndarray) -> np.ndarray:
        """Return the quantiles, (levels, latents), of what latents are drawn from."""

    # -- the network -------------------------------------------------------------------------------

    def build(self, key: jax.Array) -> EncoderDecoder:
        """Return a fresh encoder and decoder for the data."""
        codes = self.codes_per_latent * self.latents
        return self.network.build(self._data.shape, codes, self.latents, self.classes, self.planes, key=key)

    # -- a trained model ---------------------------------------------------------------------------

    def encode(self, model: EncoderDecoder, x: Any, label: Any = None) -> np.ndarray:
        """Return the latent of each image, (N, latents); of a VAE the mean of q(z | x).

        Args:
            model: trained.
            x: images (N, height, width, channels).
            label: class of each image, or of all, by number or name; for conditional models.

        Raises:
            UsageError: images of another size or range; a label that is missing, unknown or not taken.

        """
        x = given.images(x, self._data.shape)
        conditions = self.told(label, len(x))
        return self._in_batches(_encoded, model, x, conditions, self._codes)[:, : self.latents]

    def decode(self, model: EncoderDecoder, z: Any, label: Any = None) -> np.ndarray:
        """Return the image of each latent, (N, height, width, channels), from 0 to 1.

        Raises:
            UsageError: latents of another size; labels as in `encode`.

        """
        z = given.latents(z, self.latents)
        return self._in_batches(self._means, model, z, self.told(label, len(z)), self._data.shape)

    def reconstruct(self, model: EncoderDecoder, x: Any, label: Any = None) -> np.ndarray:
        """Return images encoded and decoded again, (N, height, width, channels)."""
        return self.decode(model, self.encode(model, x, label), label)

    def outputs(self, model: Any, x: Any) -> np.ndarray:
        """Return reconstructions."""
        return self.reconstruct(model, x)

    def sample(
        self, model: EncoderDecoder, n: int = 64, label: Any = None, temperature: float = 1.0, seed: int = 0
    ) -> np.ndarray:
        """Return new images, (n, height, width, channels), from 0 to 1: the mean of p(x | z) for drawn z.

        Args:
            model: trained.
            n: how many.
            label: class of all, or of each; without one, a conditional model makes every class in turn.
            temperature: factor on the deviation of z from its mean; below 1 samples are more alike.
            seed: of the draws.

        Raises:
            UsageError: a value outside its range; labels as in `encode`.

        """
        told = self.told_for_samples(n, label, temperature, seed)
        drawn = self.draw_latents(model, n, seed)
        center = self.latent_quantiles(drawn, np.array([0.5])) if temperature != 1 else np.float32(0)
        return self._in_batches(
            self._means, model, center + temperature * (drawn - center), told, self._data.shape
        )

    def interpolate(
        self, model: EncoderDecoder, first: Any, last: Any, steps: int = 8, label: Any = None
    ) -> np.ndarray:
        """Return images on the straight line between the latents of two, (steps, height, width, channels)."""
        given.whole("steps", steps, 2)
        z = self.encode(model, np.stack([np.asarray(first), np.asarray(last)]), label)
        share = np.linspace(0, 1, steps, dtype=np.float32)[:, None]
        if label is not None:
            label = np.resize(self.label_numbers(label), 1)[0]
        return self.decode(model, (1 - share) * z[0] + share * z[1], label)

    # -- pictures ----------------------------------------------------------------------------------

    def visualize(self, state: Any, key: jax.Array) -> dict[str, Visualization]:
        """Return the latent space, reconstructions, images over the latent's quantiles, and samples."""
        from populace.images.autoencoders import pictures

        return {**pictures.all_of(self, state), **super().visualize(state, key)}

    def log_artifacts(self, state: Any, key: jax.Array) -> dict[str, Image | np.ndarray]:
        """Return reconstructions and samples."""
        from populace.images.autoencoders import pictures

        return {"reconstructions": pictures.pairs(self, state), **super().log_artifacts(state, key)}

    # -- privately ---------------------------------------------------------------------------------

    @property
    def _codes(self) -> tuple[int]:
        return (self.codes_per_latent * self.latents,)

    def _means(self, model: EncoderDecoder, z: jax.Array, conditions: jax.Array) -> jax.Array:
        return _decoded(model, z, conditions, self._data.shape[-1])

    def _in_batches(
        self, function: Any, model: Any, x: np.ndarray, conditions: np.ndarray, shape: tuple[int, ...]
    ) -> np.ndarray:
        parts = [
            np.asarray(function(model, x[i], conditions[i]))
            for i in given.batches(len(x), self.evaluation_batch_size)
        ]
        return np.concatenate([np.zeros((0, *shape), np.float32), *parts])


@eqx.filter_jit
def _encoded(model: EncoderDecoder, x: jax.Array, conditions: jax.Array) -> jax.Array:
    return jax.vmap(model.encode)(x, conditions)


@eqx.filter_jit
def _decoded(model: EncoderDecoder, z: jax.Array, conditions: jax.Array, channels: int) -> jax.Array:
    return jax.nn.sigmoid(jax.vmap(model.decode)(z, conditions)[..., :channels])
