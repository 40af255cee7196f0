"""LatentGenerator: images from a latent, from Python: decode, sample, interpolate."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Self

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from populace.core.errors import UsageError
from populace.core.settings import setting
from populace.core.values import plain
from populace.images.generative import given
from populace.images.generative.image_model import ImageModel
from populace.nn.modules import sequential
from populace.supervised.data import Data


class LatentGenerator(ImageModel):
    """Makes an image of a latent of independent standard normal numbers, and of a class if it is told one."""

    conditional_one = "a ConditionalGAN"

    evaluation_split: str = eqx.field(default="validation", static=True)
    """The part of the data that made images are compared with."""

    latents: int = setting(64, low=1, help="size of the latent")
    evaluation_batch_size: int = setting(250, low=1, help="images made at a time in an evaluation")

    def images(self, generator: Any, z: jax.Array, conditions: jax.Array) -> jax.Array:
        """Return images from 0 to 1 at inference, (N, height, width, channels)."""
        return (sequential.use(generator, jnp.concatenate([z, conditions], -1)) + 1) / 2

    def decode(self, model: Any, z: Any, label: Any = None) -> np.ndarray:
        """Return the image of each latent, (N, height, width, channels), from 0 to 1.

        Args:
            model: trained.
            z: latents (N, latents).
            label: class of all, or of each; for conditional models.

        Raises:
            UsageError: latents of another size; a label that is missing, unknown or not taken.

        """
        z = given.latents(z, self.latents)
        told = self.told(label, len(z))
        parts = [
            np.asarray(_images(self, model, z[i], told[i]))
            for i in given.batches(len(z), self.evaluation_batch_size)
        ]
        return np.concatenate([np.zeros((0, *self._data.shape), np.float32), *parts])

    def sample(
        self, model: Any, n: int = 64, label: Any = None, temperature: float = 1.0, seed: int = 0
    ) -> np.ndarray:
        """Return new images, (n, height, width, channels), from 0 to 1.

        Args:
            model: trained.
            n: how many.
            label: class of all, or of each; without one, a conditional model makes every class in turn.
            temperature: factor on the latents; below 1 images are more alike.
            seed: of the latents.

        Raises:
            UsageError: a value outside its range; labels as in `decode`.

        """
        told = self.told_for_samples(n, label, temperature, seed)
        label = told.argmax(1) if self.conditional else None
        return self.decode(model, temperature * self._drawn(n, seed), label)

    def interpolate(self, model: Any, first: Any, last: Any, steps: int = 8, label: Any = None) -> np.ndarray:
        """Return images on the way from one latent to another, (steps, height, width, channels).

        The way is the arc `(sin((1 - t) w) a + sin(t w) b) / sin w` with w the angle between a and b. Latents
        of many numbers all lie near a sphere; those on a straight line would be unlike any in training.

        Args:
            model: trained.
            first: a latent (latents,), or the seed of one.
            last: another.
            steps: how many, both ends among them.
            label: one class, for conditional models.

        Raises:
            UsageError: latents of another size, fewer than 2 steps; labels as in `decode`.

        """
        given.whole("steps", steps, 2)
        a, b = self._latent("first", first), self._latent("last", last)
        cosine = a @ b / max(np.linalg.norm(a) * np.linalg.norm(b), 1e-12)
        angle, t = np.arccos(np.clip(cosine, -1, 1)), np.linspace(0, 1, steps)[:, None]
        if np.sin(angle) < 1e-4:
            z = (1 - t) * a + t * b
        else:
            z = (np.sin((1 - t) * angle) * a + np.sin(t * angle) * b) / np.sin(angle)
        return self.decode(model, z, label)

    def inference_data(self, model: Any) -> dict[str, Any]:
        """Return the shape of images and the names of classes."""
        del model
        return self._data.scaling()

    def with_inference_data(self, kept: Mapping[str, Any]) -> Self:
        """Return the learner ready to make images, with data of no examples."""
        return dataclasses.replace(self, data=Data.from_scaling(kept))

    def _latent(self, name: str, value: Any) -> np.ndarray:
        if isinstance(plain(value), int) and not isinstance(value, bool):
            given.whole(name, value, 0)
            return self._drawn(1, int(value))[0]
        z = np.asarray(value, np.float32)
        if z.shape != (self.latents,):
            raise UsageError(
                f"{name} has shape {z.shape}; expected a latent ({self.latents},), or the seed of one"
            )
        return z

    def _drawn(self, n: int, seed: int) -> np.ndarray:
        return np.random.default_rng(seed).standard_normal((n, self.latents), np.float32)


@eqx.filter_jit
def _images(learner: LatentGenerator, model: Any, z: Any, conditions: Any) -> jax.Array:
    return learner.images(model, z, conditions)
