"""Autoencoder: images through a narrow latent and back, by the squared error of pixels."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple, Self

import jax
import jax.numpy as jnp
import numpy as np

from populace.core.mean import Mean, Metrics
from populace.core.settings import setting
from populace.data.example_files import Selection
from populace.images.autoencoders.learner import LatentModel
from populace.images.autoencoders.networks import EncoderDecoder

_MOST_CODES = 10_000  # training images whose codes the Gaussian of samples is fitted to


class Reconstruction(NamedTuple):
    """Logits of a batch's pixels, and the pixels, (N, height, width, channels)."""

    logits: jax.Array
    pixels: jax.Array


class Autoencoder(LatentModel):
    """`z = encoder(x); x' = sigmoid(decoder(z))`, trained on `mean over pixels of (x - x')^2`.

    With `loss = "cross_entropy"` on `-x log x' - (1 - x) log(1 - x')` instead: of a grey pixel that is no
    likelihood, and never 0. Score: the squared error on the validation part.

    The latent has no distribution of its own. Samples are decoded from a Gaussian that is fitted to the codes
    of the training images.

    Source: G. Hinton, R. Salakhutdinov (2006), Reducing the Dimensionality of Data with Neural Networks.
    """

    score: ClassVar[str] = "mse"
    samples_caption: ClassVar[str] = (
        "Samples: decoded from a Gaussian that is fitted to the codes of the training images"
    )

    code_moments: tuple[Any, Any] | None = None
    """Mean and covariance of the training images' codes, in a saved member."""

    loss: str = setting("mse", choices=("mse", "cross_entropy"), help="error of pixels that is minimized")

    def training_inputs(self, x: jax.Array, rows: jax.Array, key: jax.Array) -> jax.Array:
        """Return pixels from 0 to 1."""
        return self.augment(self.pixels(x), key)

    def training_pass(
        self, network: Any, x: jax.Array, y: jax.Array, key: jax.Array, real: jax.Array, step: jax.Array
    ) -> tuple[Reconstruction, Any]:
        """Return the reconstructions of a batch."""
        del key, real, step
        conditions = self.conditions(y)
        codes = jax.vmap(network.encode)(x, conditions)
        return Reconstruction(jax.vmap(network.decode)(codes, conditions), x), network

    def inference_pass(self, network: Any, x: jax.Array, y: jax.Array, examples: jax.Array) -> Reconstruction:
        """Return the reconstructions of a batch."""
        return self.training_pass(network, self.pixels(x), y, examples, examples, examples)[0]

    def losses(self, outputs: Reconstruction, y: jax.Array) -> jax.Array:
        """Return the mean error over the pixels of each image."""
        del y
        logits, x = outputs
        if self.loss == "cross_entropy":
            return jnp.mean(jax.nn.softplus(logits) - x * logits, (1, 2, 3))
        return _squared_error(outputs)

    def measure(self, outputs: Reconstruction, y: jax.Array, weight: jax.Array) -> dict[str, jax.Array]:
        """Return the sum of the squared errors."""
        del y
        return {"mse": jnp.sum(_squared_error(outputs) * weight)}

    def conclude(self, sums: dict[str, jax.Array], y: jax.Array, weight: jax.Array | None) -> Metrics:
        """Return the mean squared error of a pixel, of pixels from 0 to 1."""
        del y, weight
        return {"mse": Mean(sums["mse"], sums["count"])}

    def draw_latents(self, model: EncoderDecoder, n: int, seed: int) -> np.ndarray:
        """Return draws from the Gaussian with the mean and the covariance of the training images' codes."""
        mean, covariance = self.moments(model)
        values, vectors = np.linalg.eigh(covariance)  # a code that never varies has no Cholesky factor
        normal = np.random.default_rng(seed).standard_normal((n, self.latents))
        return mean + (normal * np.sqrt(np.maximum(values, 0))) @ vectors.T

    def latent_quantiles(self, codes: np.ndarray, levels: np.ndarray) -> np.ndarray:
        """Return the quantiles of the codes, number by number."""
        return np.quantile(codes, levels, axis=0)

    def moments(self, model: EncoderDecoder) -> tuple[np.ndarray, np.ndarray]:
        """Return mean (latents,) and covariance (latents, latents) of the training images' codes."""
        if self.code_moments is not None:
            mean, covariance = self.code_moments
            return np.asarray(mean), np.asarray(covariance)
        x, _ = self._data.examples("train")
        codes = self.encode(model, x[:_MOST_CODES] if isinstance(x, np.ndarray | Selection) else x)
        return codes.mean(0), np.cov(codes, rowvar=False, ddof=0).reshape(self.latents, self.latents)

    def inference_data(self, model: Any) -> dict[str, Any]:
        """Return what images are scaled by, and the moments of codes that samples are drawn from."""
        mean, covariance = self.moments(model)
        kept = {"code_mean": mean.astype(np.float32), "code_covariance": covariance.astype(np.float32)}
        return super().inference_data(model) | kept

    def with_inference_data(self, kept: Mapping[str, Any]) -> Self:
        """Return the learner ready to encode, decode and sample."""
        moments = (kept["code_mean"], kept["code_covariance"])
        return dataclasses.replace(super().with_inference_data(kept), code_moments=moments)


def _squared_error(outputs: Reconstruction) -> jax.Array:
    return jnp.mean((jax.nn.sigmoid(outputs.logits) - outputs.pixels) ** 2, (1, 2, 3))
