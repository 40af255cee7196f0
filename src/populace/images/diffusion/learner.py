"""Diffusion: images from noise, by a network that predicts the noise, or the image, at every level of it."""

import dataclasses
import math
from functools import partial
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from populace.core.errors import UsageError
from populace.core.mean import Mean, Metrics
from populace.core.media import Visualization
from populace.core.random import root_key
from populace.core.settings import setting
from populace.images.diffusion import sampling
from populace.images.diffusion.bound import bound
from populace.images.diffusion.process import (
    NOISE_SCHEDULES,
    PREDICTIONS,
    Process,
    image_of,
    spaced,
    target,
)
from populace.images.diffusion.unet import UNet, UNetModule
from populace.images.generative import given
from populace.images.generative.learner import GenerativeModel
from populace.optim.gradient_step import where
from populace.optim.moving_average import MovingAverage
from populace.supervised.learner import State

_FRAMES = 8


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


class Diffusion(GenerativeModel):
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
    timesteps: int = setting(1_000, low=2, help="T, levels of noise")
    noise_schedule: str = setting("cosine", choices=NOISE_SCHEDULES, help="how noise grows with t")
    prediction: str = setting("eps", choices=PREDICTIONS, help="what the network predicts")
    ema_decay: float = setting(0.999, low=0, high=0.99999, help="decay rate of the average of the weights")
    label_dropout: float = setting(
        0.1, low=0, high=1, help="share of training images whose class is hidden, for guidance"
    )
    sampler_steps: int = setting(50, low=1, help="steps of the sampler, evenly spaced from T down")
    eta: float = setting(0.0, low=0, high=1, help="noise of the sampler: 0 for DDIM, 1 for DDPM")
    guidance: float = setting(1.0, low=0, help="stress of the class in samples; 1 is the model itself")
    bound_samples: int = setting(4, low=1, help="times of each judged image that its bound is estimated by")
    network: UNet = setting(  # pyright: ignore[reportIncompatibleVariableOverride]
        UNet(), help="network that removes noise"
    )

    def check(self) -> None:
        """Raise a `UsageError` for more steps than T, and as every generative model does."""
        self._times(self.sampler_steps)
        super().check()

    def build(self, key: jax.Array) -> UNetModule:
        """Return a fresh network for the data."""
        return self.network.build(self._data.shape, self.classes, key=key)

    @property
    def process(self) -> Process:
        """The noise schedule."""
        return Process.of(self.noise_schedule, self.timesteps)

    # -- training --------------------------------------------------------------------------------------

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
        x, conditions = _levels(2 * self.pixels(x) - 1), self.conditions(y)
        t = jax.vmap(lambda key: jax.random.randint(key, (), 1, self.timesteps + 1))(keys[0])
        eps = jax.vmap(lambda key: jax.random.normal(key, x.shape[1:]))(keys[1])
        nats = self._bound(network, x, conditions, keys[2], self.bound_samples)
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

    # -- a trained model -------------------------------------------------------------------------------

    def log_prob(
        self, model: UNetModule, x: Any, label: Any = None, samples: int | None = None, seed: int = 0
    ) -> np.ndarray:
        """Return the variational bound of `log p(x)` of each image in nats, (N,).

        Args:
            model: trained.
            x: images (N, height, width, channels); floats are rounded to 256 levels.
            label: class of each image, or of all, for conditional models.
            samples: times of each image; all of them by default.
            seed: of the draws.

        Raises:
            UsageError: images of another size or range; a label missing or not taken.

        """
        samples = self.timesteps if samples is None else samples
        given.whole("samples", samples, 1)
        given.whole("seed", seed, 0)
        x = np.asarray(_levels(2 * jnp.asarray(given.images(x, self._data.shape)) - 1))
        told, keys = self.told(label, len(x)), jax.random.split(root_key(seed), len(x))
        find = eqx.filter_jit(partial(self._bound, samples=samples))
        parts = [
            -np.asarray(find(model, x[i], told[i], keys[i]))
            for i in given.batches(len(x), self.evaluation_batch_size)
        ]
        return np.concatenate([np.zeros(0, np.float32), *parts])

    def outputs(self, model: Any, x: Any) -> np.ndarray:
        """Return the bound of each image."""
        return self.log_prob(model, x)

    def sample(
        self,
        model: UNetModule,
        n: int = 64,
        label: Any = None,
        temperature: float = 1.0,
        seed: int = 0,
        *,
        steps: Any = None,
        eta: float | None = None,
        guidance: float | None = None,
    ) -> np.ndarray:
        """Return new images, (n, height, width, channels), from 0 to 1.

        Args:
            model: trained.
            n: how many.
            label: class of all, or of each; without one, a conditional model makes every class in turn.
            temperature: factor on all noise that is drawn; below 1 images are more alike.
            seed: of the draws.
            steps: how many, evenly spaced from T down; or the times, falling from T or less to 1 or more.
            eta: 0 for DDIM, 1 for DDPM (with `steps=T`).
            guidance: above 1 the class is stressed.

        Raises:
            UsageError: a value outside its range; a label unknown or not taken.

        """
        told = self.told_for_samples(n, label, temperature, seed)
        return self._drawn(model, told, temperature, seed, steps, eta, guidance)[0]

    # -- pictures --------------------------------------------------------------------------------------

    def visualize(self, state: Any, key: jax.Array) -> dict[str, Visualization]:
        """Return samples, and how they come out of the noise."""
        from populace.images.diffusion import pictures

        return {**super().visualize(state, key), "denoising": pictures.denoising(self, state)}

    @property
    def samples_caption(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        """How the samples were made."""
        return f"Samples: {self.sampler_steps} steps, eta {float(self.eta):g}"

    def trajectory(self, model: UNetModule, n: int, seed: int = 0) -> np.ndarray:
        """Return images from noise to the end, (frames, n, height, width, channels), from 0 to 1."""
        told = self.told_for_samples(n, None, 1.0, seed)
        made, way = self._drawn(model, told, 1.0, seed, None, None, None)
        frames = np.unique(np.linspace(0, len(way) - 1, _FRAMES).astype(int))
        return np.concatenate([np.clip((way[frames] + 1) / 2, 0, 1), made[None]])

    # -- privately -------------------------------------------------------------------------------------

    def _squared(
        self, network: Any, x: jax.Array, t: jax.Array, eps: jax.Array, conditions: jax.Array
    ) -> jax.Array:
        signal, noise = (part[:, None, None, None] for part in self.process.at(t))
        output = self._use(network, signal * x + noise * eps, t, conditions)
        return jnp.mean((output - target(self.prediction, x, eps, signal, noise)) ** 2, (1, 2, 3))

    def _use(self, network: Any, x: jax.Array, t: jax.Array, conditions: jax.Array) -> jax.Array:
        return jax.vmap(network)(x, t * (1_000 / self.timesteps), conditions)

    def _bound(self, network: Any, x: Any, conditions: Any, keys: jax.Array, samples: int) -> jax.Array:
        process = self.process

        def image(noisy: jax.Array, t: jax.Array) -> jax.Array:
            signal, noise = (part[:, None, None, None] for part in process.at(t))
            output = self._use(network, noisy, t, conditions)
            return jnp.clip(image_of(self.prediction, output, noisy, signal, noise), -1, 1)

        return bound(image, process, x, keys, samples)

    def _times(self, steps: Any) -> np.ndarray:
        last = self.timesteps
        if np.ndim(steps) == 0:
            given.whole("steps", steps, 1)
            if steps > last:
                raise UsageError(f"{steps} steps are more than the {last} timesteps of the model; take fewer")
            return spaced(int(steps), last)
        times = np.asarray(steps)
        if times.ndim != 1 or times.dtype.kind not in "iu" or not len(times) or (np.diff(times) >= 0).any():
            raise UsageError(f"steps must be a number, or falling times from {last} to 1, got {steps!r:.50}")
        if times[0] > last or times[-1] < 1:
            raise UsageError(f"times go from {last} (timesteps) down to 1, got {times[0]} to {times[-1]}")
        return times

    def _drawn(
        self, model: Any, told: np.ndarray, temperature: float, seed: int, steps: Any, eta: Any, guidance: Any
    ) -> tuple[np.ndarray, np.ndarray]:
        times = self._times(self.sampler_steps if steps is None else steps)
        eta, guidance = (
            float(own if value is None else value)
            for value, own in ((eta, self.eta), (guidance, self.guidance))
        )
        if not 0 <= eta <= 1 or not guidance >= 0:
            raise UsageError(f"eta must be in [0, 1] and guidance at least 0, got {eta:g} and {guidance:g}")
        keys, made, ways = jax.random.split(root_key(seed), len(told)), [], []
        how = (
            jnp.asarray(times, jnp.int32),
            self._data.shape,
            jnp.float32(eta),
            1.0 if guidance == 1 else jnp.float32(guidance),
        )
        for i in given.batches(len(told), self.evaluation_batch_size):
            process = (model, self.process, self.prediction, told[i], keys[i])
            x, way = sampling.drawn(*process, *how, jnp.float32(temperature))
            made.append(np.clip((np.asarray(x) + 1) / 2, 0, 1))
            ways.append(np.asarray(way))
        return np.concatenate(made), np.concatenate(ways, 1)


def _levels(x: jax.Array) -> jax.Array:
    """Return pixels from -1 to 1 rounded to 256 levels."""
    return jnp.round((x + 1) * 127.5) / 127.5 - 1
