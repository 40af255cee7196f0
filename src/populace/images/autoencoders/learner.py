"""LatentModel: what autoencoders share: data by name, an encoder and a decoder, and their use from Python."""

import dataclasses
from abc import abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar, Self

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from populace.core.errors import UsageError
from populace.core.media import Image, Visualization
from populace.core.random import root_key
from populace.core.settings import setting
from populace.images.autoencoders import given
from populace.images.autoencoders.networks import AutoencoderNetwork, Convolutional, EncoderDecoder
from populace.images.datasets.splits import DATASETS, MNIST_OR_DIGITS, load, resolved
from populace.supervised.learner import Supervised


class LatentModel(Supervised):
    """Encodes images to a latent of a few numbers, and decodes latents to images.

    Images that are uint8 hold 0 to 255; those of floats 0 to 1, as all that is decoded does. Labels are not
    learned from, except by a conditional model, whose encoder and decoder are both told the class.
    """

    mode: ClassVar[Any] = "min"
    conditional: ClassVar[bool] = False
    """Whether encoder and decoder are told the class."""
    codes_per_latent: ClassVar[int] = 1
    """Numbers that the encoder has for each number of the latent."""

    dataset: str = setting(
        MNIST_OR_DIGITS, choices=(MNIST_OR_DIGITS, *DATASETS), help="data set; see docs/data.md"
    )
    validation: float = setting(
        0.1, low=0, high=0.9, static=True, help="fraction of the training images held out for validation"
    )
    split_seed: int = setting(0, low=0, help="seed of the validation split")
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

    # -- data and network --------------------------------------------------------------------------

    @property
    def task_name(self) -> str:
        """The data set; empty where the data were given in Python."""
        return resolved(self.dataset) if self.data is None else ""

    def load_data(self) -> Self:
        """Return the learner with its data set, loaded once for all members."""
        if self.data is not None:
            return self
        found = load(resolved(self.dataset), self.validation, self.split_seed, "none")
        return dataclasses.replace(self, data=found)

    def check(self) -> None:
        """Raise a `UsageError` where images or labels are not what the model takes, once they are loaded."""
        for name in ("network_fn", "loss_fn"):
            if getattr(self, name) is not None:
                raise UsageError(f"{type(self).__name__} takes no {name}; choose its network by settings")
        if self.data is not None:
            super().check()
            given.check_pixels(self.data)
            if self.conditional and self.data.y.ndim != 1:
                raise UsageError(
                    f"{type(self).__name__} needs the label of every image; the data have none: "
                    "give image_data(x, labels=...)"
                )

    def _check_network(self) -> None:
        eqx.filter_eval_shape(self.build, root_key(0))

    def build(self, key: jax.Array) -> EncoderDecoder:
        """Return a fresh encoder and decoder for the data."""
        codes = self.codes_per_latent * self.latents
        return self.network.build(self._data.shape, codes, self.latents, self._classes, key=key)

    def pixels(self, x: jax.Array) -> jax.Array:
        """Return images as the data have them as float32 from 0 to 1."""
        whole = 255.0 if self._data.x.dtype == np.uint8 else 1.0
        return (x.astype(jnp.float32) + self._data.origin) / whole

    def conditions(self, y: jax.Array) -> jax.Array:
        """Return what encoder and decoder are told of each image, (N, classes), or (N, 0)."""
        if not self.conditional:
            return jnp.zeros((y.shape[0], 0))
        return jax.nn.one_hot(y, self._classes)

    @property
    def _classes(self) -> int:
        return self._data.outputs if self.conditional else 0

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
        conditions = self._told(label, len(x))
        return self._in_batches(_encoded, model, x, conditions, self._codes)[:, : self.latents]

    def decode(self, model: EncoderDecoder, z: Any, label: Any = None) -> np.ndarray:
        """Return the image of each latent, (N, height, width, channels), from 0 to 1.

        Raises:
            UsageError: latents of another size; labels as in `encode`.

        """
        z = np.asarray(z, np.float32)
        if z.ndim != 2 or z.shape[1] != self.latents:
            raise UsageError(f"latents have shape {z.shape}; expected (N, {self.latents})")
        return self._in_batches(_decoded, model, z, self._told(label, len(z)), self._data.shape)

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
        given.whole("n", n, 1)
        given.whole("seed", seed, 0)
        if not temperature >= 0:
            raise UsageError(f"temperature must be at least 0, got {temperature!r:.50}")
        if self.conditional and label is None:
            label = np.arange(n) % self._classes
        drawn = self.draw_latents(model, n, seed)
        center = self.latent_quantiles(drawn, np.array([0.5])) if temperature != 1 else np.float32(0)
        return self.decode(model, center + temperature * (drawn - center), label)

    def interpolate(
        self, model: EncoderDecoder, first: Any, last: Any, steps: int = 8, label: Any = None
    ) -> np.ndarray:
        """Return images on the straight line between the latents of two, (steps, height, width, channels)."""
        given.whole("steps", steps, 2)
        z = self.encode(model, np.stack([np.asarray(first), np.asarray(last)]), label)
        share = np.linspace(0, 1, steps, dtype=np.float32)[:, None]
        if label is not None:
            label = np.resize(self._numbers(label), 1)[0]
        return self.decode(model, (1 - share) * z[0] + share * z[1], label)

    # -- pictures ----------------------------------------------------------------------------------

    def visualize(self, state: Any, key: jax.Array) -> dict[str, Visualization]:
        """Return the latent space, reconstructions, images over the latent's quantiles, and samples."""
        del key
        from populace.images.autoencoders import pictures

        return pictures.all_of(self, state)

    def log_artifacts(self, state: Any, key: jax.Array) -> dict[str, Image | np.ndarray]:
        """Return reconstructions and samples."""
        del key
        from populace.images.autoencoders import pictures

        return {"reconstructions": pictures.pairs(self, state), "samples": pictures.samples(self, state)}

    # -- privately ---------------------------------------------------------------------------------

    @property
    def _codes(self) -> tuple[int]:
        return (self.codes_per_latent * self.latents,)

    def _numbers(self, label: Any) -> np.ndarray:
        return given.labels(label, self._classes, self._data.names)

    def _told(self, label: Any, n: int) -> np.ndarray:
        """Return conditions of n examples, (n, classes), for labels that a person gave."""
        name = type(self).__name__
        if not self.conditional:
            if label is not None:
                raise UsageError(f"{name} knows no labels, got one; a ConditionalVAE does")
            return np.zeros((n, 0), np.float32)
        if label is None:
            raise UsageError(f"{name} needs the label of each image; give label=, a class or one for each")
        numbers = self._numbers(label)
        if numbers.ndim > 1 or (numbers.ndim and len(numbers) != n):
            raise UsageError(f"label has shape {numbers.shape}; expected one class, or one for each of {n}")
        return np.eye(self._classes, dtype=np.float32)[np.broadcast_to(numbers, (n,))]

    def _in_batches(
        self, function: Any, model: Any, x: np.ndarray, conditions: np.ndarray, shape: tuple[int, ...]
    ) -> np.ndarray:
        parts = [np.asarray(function(model, x[i], conditions[i])) for i in self._batches(len(x))]
        return np.concatenate([np.zeros((0, *shape), np.float32), *parts])

    def _batches(self, n: int) -> Iterator[slice]:
        size = self.evaluation_batch_size
        return (slice(start, start + size) for start in range(0, n, size))


@eqx.filter_jit
def _encoded(model: EncoderDecoder, x: jax.Array, conditions: jax.Array) -> jax.Array:
    return jax.vmap(model.encode)(x, conditions)


@eqx.filter_jit
def _decoded(model: EncoderDecoder, z: jax.Array, conditions: jax.Array) -> jax.Array:
    return jax.nn.sigmoid(jax.vmap(model.decode)(z, conditions))
