"""PixelCNNLearner: the exact likelihood of images of a few levels, pixel by pixel, and samples of it."""

import math
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from populace.core.errors import UsageError
from populace.core.mean import Mean, Metrics
from populace.core.media import Visualization
from populace.core.random import root_key
from populace.core.settings import setting
from populace.images.generative import given
from populace.images.generative.learner import GenerativeModel
from populace.images.pixelcnn import quantization as quantizing
from populace.images.pixelcnn import sampling
from populace.images.pixelcnn.network import GatedPixelCNN, PixelCNN


class PixelCNNLearner(GenerativeModel):
    """`loss = -log p(x) = -sum_i log p(x_i | x_1, ..., x_(i-1))`, in nats per image: exact, not a bound.

    A pixel (each of its colors) is one of `levels` values. How greys become levels is the `quantization`:
    `dynamic` makes a pixel white with the probability that its grey says, anew at every step; `static` does
    so once for each image, by `quantization_seed`; both have 2 levels. `uniform` takes levels of equal width;
    `none` takes images that are made of levels already (uint8 from 0 to `levels - 1`, or floats on a grid
    from 0 to 1), and refuses others. What is judged is drawn once, by that seed.

    Score: `nll`, nats per image on the validation part; `bits_per_dim` is the same divided by the number of
    pixels times log 2.

    Sources: those of [`PixelCNN`][populace.images.pixelcnn.network.PixelCNN].
    """

    score: ClassVar[str] = "nll"
    samples_caption: ClassVar[str] = "Samples: drawn pixel by pixel"

    conditional: bool = setting(  # pyright: ignore[reportIncompatibleVariableOverride]
        False, help="whether the model is told the class of an image"
    )
    levels: int = setting(2, low=2, high=256, help="values of a pixel")
    quantization: str = setting(
        "dynamic", choices=quantizing.QUANTIZATIONS, help="how greys become levels; see docs/likelihood.md"
    )
    quantization_seed: int = setting(0, low=0, help="seed of what is quantized at random once")
    network: GatedPixelCNN = setting(  # pyright: ignore[reportIncompatibleVariableOverride]
        GatedPixelCNN(), help="masked convolutions"
    )

    def check(self) -> None:
        """Raise a `UsageError` for images that do not have the levels, and as every generative model does."""
        quantizing.check_rule(self.quantization, self.levels)
        super().check()
        if self.data is not None and self.quantization == "none":
            quantizing.check_levels(self.data, self.levels)

    def build(self, key: jax.Array) -> PixelCNN:
        """Return a fresh network for the data."""
        return self.network.build(self._data.shape, self.levels, self.classes, key=key)

    # -- training --------------------------------------------------------------------------------------

    def training_inputs(self, x: jax.Array, rows: jax.Array, key: jax.Array) -> jax.Array:
        """Return levels, int32."""
        if self.quantization == "dynamic":
            return quantizing.drawn(self.pixels(x), jax.random.split(key, len(x)))
        return self._levels(x, rows)

    def training_pass(
        self, network: Any, x: jax.Array, y: jax.Array, key: jax.Array, real: jax.Array, step: jax.Array
    ) -> tuple[jax.Array, Any]:
        """Return the log-likelihood of each image, (N,)."""
        del key, real, step
        return log_likelihood(network, x, self.conditions(y)), network

    def inference_pass(self, network: Any, x: jax.Array, y: jax.Array, examples: jax.Array) -> jax.Array:
        """Return the same, of levels that belong to the examples."""
        return log_likelihood(network, self._levels(x, examples), self.conditions(y))

    def losses(self, outputs: jax.Array, y: jax.Array) -> jax.Array:
        """Return nats of each image."""
        del y
        return -outputs

    def measure(self, outputs: jax.Array, y: jax.Array, weight: jax.Array) -> dict[str, jax.Array]:
        """Return the sum of nats."""
        del y
        return {"nll": -jnp.sum(outputs * weight)}

    def conclude(self, sums: dict[str, jax.Array], y: jax.Array, weight: jax.Array | None) -> Metrics:
        """Return nats per image, and bits per dimension."""
        del y, weight
        nll, count = sums["nll"], sums["count"]
        return {"nll": Mean(nll, count), "bits_per_dim": Mean(nll / self._bits, count)}

    # -- a trained model -------------------------------------------------------------------------------

    def quantize(self, x: Any, seed: int = 0) -> np.ndarray:
        """Return images of the model's levels, from 0 to 1, by its `quantization`, with draws of a seed."""
        given.whole("seed", seed, 0)
        if self.quantization == "none":
            return self._known(x).astype(np.float32) / (self.levels - 1)
        if self.quantization != "uniform":
            x = given.images(x, self._data.shape)
            return (np.random.default_rng(seed).random(x.shape, np.float32) < x).astype(np.float32)
        given.images(x, self._data.shape)
        return np.asarray(quantizing.uniform(jnp.asarray(x), self.levels), np.float32) / (self.levels - 1)

    def log_prob(self, model: PixelCNN, x: Any, label: Any = None) -> np.ndarray:
        """Return `log p(x)` of each image in nats, (N,): exact; of a conditional model `log p(x | label)`.

        Args:
            model: trained.
            x: images (N, height, width, channels) of the model's levels, from 0 to 1; `quantize` makes such.
            label: class of each image, or of all, by number or name; for conditional models.

        Raises:
            UsageError: a pixel that is no level; images of another size; a label missing or not taken.

        """
        levels, told = self._known(x), self.told(label, len(x))
        parts = [
            np.asarray(_log_likelihood(model, levels[i], told[i]))
            for i in given.batches(len(levels), self.evaluation_batch_size)
        ]
        return np.concatenate([np.zeros(0, np.float32), *parts])

    def outputs(self, model: Any, x: Any) -> np.ndarray:
        """Return the log-likelihood of each image."""
        return self.log_prob(model, x)

    def sample(
        self, model: PixelCNN, n: int = 64, label: Any = None, temperature: float = 1.0, seed: int = 0
    ) -> np.ndarray:
        """Return new images, (n, height, width, channels), from 0 to 1.

        Args:
            model: trained.
            n: how many.
            label: class of all, or of each; without one, a conditional model makes every class in turn.
            temperature: of the draw of each pixel; below 1 it is likelier to be the likeliest, 0 always.
            seed: of the draws.

        Raises:
            UsageError: a value outside its range; labels as in `log_prob`.

        """
        told = self.told_for_samples(n, label, temperature, seed)
        return self._drawn(model, told, temperature, seed, 0, np.zeros((n, *self._data.shape), np.int32))

    def complete(
        self, model: PixelCNN, x: Any, rows: int, label: Any = None, temperature: float = 1.0, seed: int = 0
    ) -> np.ndarray:
        """Return images of which the upper `rows` are those of x, and what is below them is drawn.

        Raises:
            UsageError: a value outside its range; x and labels as in `log_prob`.

        """
        known = self._known(x)
        given.whole("rows", rows, 0)
        told = self.told_for_samples(len(known), label, temperature, seed)
        return self._drawn(model, told, temperature, seed, rows * known.shape[2], known)

    # -- pictures --------------------------------------------------------------------------------------

    def visualize(self, state: Any, key: jax.Array) -> dict[str, Visualization]:
        """Return samples, and images of which the lower half is drawn anew."""
        from populace.images.pixelcnn import pictures

        return {**super().visualize(state, key), "completions": pictures.completions(self, state)}

    # -- privately -------------------------------------------------------------------------------------

    @property
    def _bits(self) -> float:
        """Nats per image of one bit per dimension."""
        return math.prod(self._data.shape) * math.log(2)

    def _levels(self, x: jax.Array, examples: jax.Array) -> jax.Array:
        """Return the levels of images as the data have them; random ones belong to the examples."""
        whole = x if x.dtype == jnp.uint8 else x + self._data.origin
        if self.quantization == "uniform":
            return quantizing.uniform(whole, self.levels)
        if self.quantization == "none":
            return quantizing.as_given(whole, self.levels)
        root = root_key(self.quantization_seed)
        keys = jax.vmap(lambda i: jax.random.fold_in(root, i))(examples)
        return quantizing.drawn(self.pixels(x), keys)

    def _known(self, x: Any) -> np.ndarray:
        """Return the levels of images that a person gave, int32."""
        pixels = given.images(x, self._data.shape)
        own = np.asarray(x).dtype == np.uint8 and self.quantization == "none"
        hint = "learner.quantize(x) makes levels of any images"
        return quantizing.exact_levels(np.asarray(x) if own else pixels, self.levels, hint)

    def _drawn(
        self, model: PixelCNN, told: np.ndarray, temperature: float, seed: int, start: int, known: np.ndarray
    ) -> np.ndarray:
        if model.levels != self.levels:
            raise UsageError(f"the model has {model.levels} levels, the learner {self.levels}")
        keys, parts = jax.random.split(root_key(seed), len(known)), []
        for i in given.batches(len(known), self.evaluation_batch_size):
            how = (jnp.float32(temperature), jnp.int32(start), known[i])
            parts.append(np.asarray(sampling.drawn(model, told[i], keys[i], *how)))
        return np.concatenate(parts).astype(np.float32) / (self.levels - 1)


def log_likelihood(network: PixelCNN, levels: Any, conditions: Any) -> jax.Array:
    """Return `sum_i log p(x_i | x_1, ..., x_(i-1))` of images of levels (N, height, width, colors), (N,)."""
    logits = jax.vmap(network)(quantizing.scaled(levels, network.levels), conditions)
    chosen = jnp.take_along_axis(jax.nn.log_softmax(logits), levels[..., None], -1)
    return jnp.sum(chosen, (1, 2, 3, 4))


_log_likelihood = eqx.filter_jit(log_likelihood)
