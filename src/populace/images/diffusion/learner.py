"""Diffusion: images from noise, by a network that predicts the noise, or the image, at every level of it."""

import dataclasses
import math
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from populace.core.mean import Mean, Metrics
from populace.core.media import Visualization
from populace.core.random import root_key
from populace.core.settings import setting
from populace.images.diffusion.denoiser import Denoiser, rounded
from populace.images.diffusion.process import target
from populace.images.diffusion.unet import UNet, UNetModule
from populace.images.generative.learner import GenerativeModel
from populace.optim.gradient_step import where
from populace.optim.moving_average import MovingAverage
from populace.supervised.learner import State


class DiffusionState(State):
    """A network while it trains, and the average of its weights that is judged and kept."""

    average: MovingAverage


class Errors(NamedTuple):
    """What a batch is measured by.

    Attributes:
        squared: mean squared error over the pixels of each image, (N,).
        nats: bound of `-log p(x)`, (N,); None in training.

    """

    squared: jax.Array
    nats: jax.Array | None = None


class Diffusion(Denoiser, GenerativeModel):
    """`loss = |network(sqrt(a_t) x_0 + sqrt(1 - a_t) eps, t) - target|^2`, t uniform in 1 ... T.

    The error is the mean over pixels; the target is eps, x_0 or v (`prediction`). What is judged, sampled
    from and kept is the exponential moving average of the weights (`ema_decay`), corrected for its start.

    A conditional model is told the class, except of a share `label_dropout` of the training images, so that
    it can be guided: its outputs are `u + guidance (c - u)`, c told the class and u not.

    Score: `bits_per_dim`, the variational bound of pixels of 256 levels (floats are rounded to these), by
    `bound_samples` times of the T for each image.

    Sources: J. Ho et al. 2020, "Denoising Diffusion Probabilistic Models"; J. Song et al. 2021, "Denoising
    Diffusion Implicit Models"; A. Nichol, P. Dhariwal 2021, "Improved Denoising Diffusion Probabilistic
    Models"; T. Salimans, J. Ho 2022, "Progressive Distillation", for v; J. Ho, T. Salimans 2022,
    "Classifier-Free Diffusion Guidance".
    """

    score: ClassVar[str] = "bits_per_dim"

    conditional: bool = setting(  # pyright: ignore[reportIncompatibleVariableOverride]
        False, help="whether the model is told the class of an image"
    )
    ema_decay: float = setting(0.999, low=0, high=0.99999, help="decay rate of the average of the weights")
    label_dropout: float = setting(
        0.1, low=0, high=1, help="share of training images whose class is hidden, for guidance"
    )
    network: UNet = setting(  # pyright: ignore[reportIncompatibleVariableOverride]
        UNet(), help="network that removes noise"
    )

    def check(self) -> None:
        """Raise a `UsageError` for more steps than T, and as every generative model does."""
        self.times(self.sampler_steps)
        super().check()

    def build(self, key: jax.Array) -> UNetModule:
        """Return a fresh network for the data."""
        return self.network.build(self._data.shape, self.classes, key=key)

    def init(self, key: jax.Array) -> DiffusionState:
        """Return fresh weights, and the average of none yet."""
        state = super().init(key)
        fields = {f.name: getattr(state, f.name) for f in dataclasses.fields(state)}
        return DiffusionState(**fields, average=MovingAverage.start(state.network))

    def step(self, state: Any, key: jax.Array) -> tuple[Any, Metrics]:
        """Take a gradient step, and average the weights that it came to."""
        after, metrics = super().step(state, key)
        average = state.average.after(after.network, self.ema_decay)
        if after.early_stopping is not None:
            average = where(after.early_stopping.running, average, state.average)
        return eqx.tree_at(lambda s: s.average, after, average), metrics

    def model(self, state: Any) -> UNetModule:
        """Return the network of the averaged weights."""
        return state.average.of(state.network)

    def with_model(self, state: Any, model: Any) -> Any:
        """Return the state that begins with a model; nothing is averaged yet."""
        fresh = (model, MovingAverage.start(model))
        return eqx.tree_at(lambda s: (s.network, s.average), state, fresh)

    def training_inputs(self, x: jax.Array, rows: jax.Array, key: jax.Array) -> jax.Array:
        """Return pixels from -1 to 1."""
        del rows
        return 2 * self.augment(self.pixels(x), key) - 1

    def training_pass(
        self, network: Any, x: jax.Array, y: jax.Array, key: jax.Array, real: jax.Array, step: jax.Array
    ) -> tuple[Errors, Any]:
        """Return the error of each image at a time of its own."""
        del real, step
        time_key, noise_key, label_key = jax.random.split(key, 3)
        t = jax.random.randint(time_key, (len(x),), 1, self.timesteps + 1)
        eps = jax.random.normal(noise_key, x.shape)
        conditions = self.conditions(y)
        if self.conditional:
            told = jax.random.uniform(label_key, (len(x), 1)) >= self.label_dropout
            conditions = jnp.where(told, conditions, 0)
        return Errors(self._squared(network, x, t, eps, conditions)), network

    def inference_pass(self, network: Any, x: jax.Array, y: jax.Array, examples: jax.Array) -> Errors:
        """Return error and bound of each image, with draws that belong to the examples."""
        keys = jax.vmap(lambda i: jax.random.split(jax.random.fold_in(root_key(0), i), 3), out_axes=1)(
            examples
        )
        x, conditions = rounded(2 * self.pixels(x) - 1), self.conditions(y)
        t = jax.vmap(lambda key: jax.random.randint(key, (), 1, self.timesteps + 1))(keys[0])
        eps = jax.vmap(lambda key: jax.random.normal(key, x.shape[1:]))(keys[1])
        nats = self.nats(network, x, conditions, keys[2], self.bound_samples)
        return Errors(self._squared(network, x, t, eps, conditions), nats)

    def losses(self, outputs: Errors, y: jax.Array) -> jax.Array:
        """Return the error of each image."""
        del y
        return outputs.squared

    def measure(self, outputs: Errors, y: jax.Array, weight: jax.Array) -> dict[str, jax.Array]:
        """Return the sum of the bounds."""
        del y
        assert outputs.nats is not None
        return {"nats": jnp.sum(outputs.nats * weight)}

    def conclude(self, sums: dict[str, jax.Array], y: jax.Array, weight: jax.Array | None) -> Metrics:
        """Return bits per dimension."""
        del y, weight
        per_bit = math.prod(self._data.shape) * math.log(2)
        return {"bits_per_dim": Mean(sums["nats"] / per_bit, sums["count"])}

    def visualize(self, state: Any, key: jax.Array) -> dict[str, Visualization]:
        """Return samples, and how they come out of the noise."""
        from populace.images.diffusion import pictures

        return {**super().visualize(state, key), "denoising": pictures.denoising(self, state)}

    @property
    def samples_caption(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        """How the samples were made."""
        return f"Samples: {self.sampler_steps} steps, eta {float(self.eta):g}"

    def _squared(
        self, network: Any, x: jax.Array, t: jax.Array, eps: jax.Array, conditions: jax.Array
    ) -> jax.Array:
        signal, noise = (part[:, None, None, None] for part in self.process.at(t))
        output = self.use(network, signal * x + noise * eps, t, conditions)
        return jnp.mean((output - target(self.prediction, x, eps, signal, noise)) ** 2, (1, 2, 3))
