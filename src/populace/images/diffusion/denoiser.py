"""Denoiser: images from a trained diffusion model, and how likely it finds given ones."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from populace.core.errors import UsageError
from populace.core.random import root_key
from populace.core.settings import setting
from populace.images.diffusion import sampling
from populace.images.diffusion.bound import bound
from populace.images.diffusion.process import NOISE_SCHEDULES, PREDICTIONS, Process, image_of, spaced
from populace.images.diffusion.unet import UNetModule
from populace.images.generative import given
from populace.images.generative.image_model import ImageModel

_FRAMES = 8


class Denoiser(ImageModel):
    """Makes images out of noise by a network that removes it, step by step; `Diffusion` trains it."""

    timesteps: int = setting(1_000, low=2, help="T, levels of noise")
    noise_schedule: str = setting("cosine", choices=NOISE_SCHEDULES, help="how noise grows with t")
    prediction: str = setting("eps", choices=PREDICTIONS, help="what the network predicts")
    sampler_steps: int = setting(50, low=1, help="steps of the sampler, evenly spaced from T down")
    eta: float = setting(0.0, low=0, high=1, help="noise of the sampler: 0 for DDIM, 1 for DDPM")
    guidance: float = setting(1.0, low=0, help="stress of the class in samples; 1 is the model itself")
    bound_samples: int = setting(4, low=1, help="times of each judged image that its bound is estimated by")
    evaluation_batch_size: int = setting(250, low=1, help="images evaluated or made at a time")

    @property
    def process(self) -> Process:
        """The noise schedule."""
        return Process.of(self.noise_schedule, self.timesteps)

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
        x = np.asarray(rounded(2 * jnp.asarray(given.images(x, self._data.shape)) - 1))
        told, keys = self.told(label, len(x)), jax.random.split(root_key(seed), len(x))
        find = eqx.filter_jit(partial(self.nats, samples=samples))
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
        how = (temperature, seed, steps, eta, guidance)
        return np.concatenate([made for made, _ in self._drawn(model, told, *how, watched=False)])

    def trajectory(self, model: UNetModule, n: int, seed: int = 0) -> np.ndarray:
        """Return images from noise to the end, (frames, n, height, width, channels), from 0 to 1."""
        told = self.told_for_samples(n, None, 1.0, seed)
        parts = zip(*self._drawn(model, told, 1.0, seed, None, None, None, watched=True))
        made, way = (np.concatenate(part, axis) for part, axis in zip(parts, (0, 1)))
        frames = np.unique(np.linspace(0, len(way) - 1, _FRAMES).astype(int))
        return np.concatenate([np.clip((way[frames] + 1) / 2, 0, 1), made[None]])

    def use(self, network: Any, x: jax.Array, t: jax.Array, conditions: jax.Array) -> jax.Array:
        """Return what a network predicts of images (N, ...) at times 1 to T, (N,)."""
        return jax.vmap(network)(x, t * (1_000 / self.timesteps), conditions)

    def nats(self, network: Any, x: Any, conditions: Any, keys: jax.Array, samples: int) -> jax.Array:
        """Return the bound of `-log p(x)` of images (N, ...) at so many times each, (N,)."""
        process = self.process

        def image(noisy: jax.Array, t: jax.Array) -> jax.Array:
            signal, noise = (part[:, None, None, None] for part in process.at(t))
            output = self.use(network, noisy, t, conditions)
            return jnp.clip(image_of(self.prediction, output, noisy, signal, noise), -1, 1)

        return bound(image, process, x, keys, samples)

    def times(self, steps: Any) -> np.ndarray:
        """Return the falling times of a number of steps, or those given; raise a `UsageError` for others."""
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
        self, model: Any, told: np.ndarray, temperature: float, seed: int, steps: Any, eta: Any,
        guidance: Any, *, watched: bool,
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:  # fmt: skip
        """Yield images from 0 to 1, and the way to them if it is watched, batch by batch."""
        times = self.times(self.sampler_steps if steps is None else steps)
        eta, guidance = (
            float(own if value is None else value)
            for value, own in ((eta, self.eta), (guidance, self.guidance))
        )
        if not 0 <= eta <= 1 or not guidance >= 0:
            raise UsageError(f"eta must be in [0, 1] and guidance at least 0, got {eta:g} and {guidance:g}")
        keys = jax.random.split(root_key(seed), len(told))
        how = (
            jnp.asarray(times, jnp.int32),
            self._data.shape,
            jnp.float32(eta),
            1.0 if guidance == 1 else jnp.float32(guidance),
            jnp.float32(temperature),
            watched,
        )
        for i in given.batches(len(told), self.evaluation_batch_size):
            process = (model, self.process, self.prediction, told[i], keys[i])
            x, way = sampling.drawn(*process, *how)
            yield np.clip((np.asarray(x) + 1) / 2, 0, 1), np.asarray(way)


def rounded(x: jax.Array) -> jax.Array:
    """Return pixels from -1 to 1 rounded to 256 levels."""
    return jnp.round((x + 1) * 127.5) / 127.5 - 1
