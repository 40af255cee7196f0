"""VAE and ConditionalVAE: autoencoders with a distribution of the latent, so images have a likelihood."""

import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from populace.core.mean import Mean, Metrics
from populace.core.random import root_key
from populace.core.settings import setting
from populace.images.autoencoders.bounds import (
    ACTIVE,
    bernoulli_log_likelihood,
    discretized_logistic_log_likelihood,
    gaussian_kl,
)
from populace.images.autoencoders.learner import LatentModel
from populace.images.autoencoders.networks import EncoderDecoder
from populace.images.autoencoders.posterior import log_p, posterior, posterior_of
from populace.images.generative import given

BINARIZATIONS = ("dynamic", "static", "none")
LIKELIHOODS = {"bernoulli": bernoulli_log_likelihood, "logistic": discretized_logistic_log_likelihood}


class Terms(NamedTuple):
    """What the ELBO of a batch is made of, in nats.

    Attributes:
        log_likelihood: `log p(x | z)` of one z from q, summed over pixels, (N,).
        kl: `KL(q(z | x) || p(z))` of each number of the latent, (N, latents).
        mean: of q, (N, latents).
        beta: factor of the divergence in the loss.
        log_p: importance-weighted bound of `log p(x)`, (N,); None where it is not asked for.

    """

    log_likelihood: jax.Array
    kl: jax.Array
    mean: jax.Array
    beta: Any
    log_p: jax.Array | None = None

    @property
    def elbo(self) -> jax.Array:
        """The bound of each image's log-likelihood, whatever beta is."""
        return self.log_likelihood - jnp.sum(self.kl, -1)


class VAE(LatentModel):
    """`loss = -log p(x | z) + beta KL(q(z | x) || N(0, I))`, summed over pixels and latents.

    The loss is the mean over the batch. `q(z | x) = N(mean, diag(variance))` by the encoder, `z = mean +
    sqrt(variance) eps`, and `p(x | z)` is a product over pixels. For the Bernoulli likelihood pixels are made
    black and white: a grey pixel is white with the probability that it says. `dynamic` draws anew at every
    step; `static` once for each image, by `binarization_seed`; `none` takes images that are black and white
    already. What is judged is always drawn once, by that seed, so that all evaluations see the same images.
    For the discretized logistic likelihood pixels keep their grey, rounded to 256 levels, and nothing is
    binarized: its nats are those of 8-bit images, and `bits_per_dim` compares them with other models of such.

    Score: the ELBO in nats with one z per image (`beta` left out of it) on the validation part. The final
    evaluation adds `log_p`, the importance-weighted bound with `importance_samples` draws.

    Sources: D. Kingma, M. Welling (2014), Auto-Encoding Variational Bayes; I. Higgins et al. (2017),
    beta-VAE; S. Bowman et al. (2016), Generating Sentences from a Continuous Space, for the warm-up.
    """

    score: ClassVar[str] = "elbo"
    mode: ClassVar[Any] = "max"
    codes_per_latent: ClassVar[int] = 2
    samples_caption: ClassVar[str] = "Samples: decoded from the prior"

    likelihood: str = setting(
        "bernoulli",
        choices=tuple(LIKELIHOODS),
        help="p(x | z): of black and white pixels, or of 256 levels of grey",
    )
    beta: float = setting(1.0, low=0, help="factor of the divergence in the loss; 1 is the ELBO")
    beta_warmup: float = setting(0.0, low=0, help="steps over which that factor rises from 0; 0 for none")
    binarization: str = setting(
        "dynamic", choices=BINARIZATIONS, help="how grey pixels become black or white in training"
    )
    binarization_seed: int = setting(0, low=0, help="seed of what is binarized once")
    importance_samples: int = setting(
        100, low=0, help="draws per test image of the bound log_p in the final evaluation; 0 for none"
    )

    def check(self) -> None:
        """Raise a `UsageError` for grey images that are not binarized, and as autoencoders do."""
        super().check()
        if self.data is not None and self.black_and_white and self.binarization == "none":
            given.check_pixels(self.data, binary=True)

    @property
    def black_and_white(self) -> bool:
        """Whether pixels are of 0 and 1: those of the Bernoulli likelihood."""
        return self.likelihood == "bernoulli"

    @property
    def planes(self) -> int:
        """The Bernoulli likelihood has one number for each of an image, the logistic one a scale too."""
        return 1 if self.black_and_white else 2

    @property
    def log_likelihood(self) -> Callable[[jax.Array, jax.Array], jax.Array]:
        """From the decoder's outputs and images (..., height, width, channels) to `log p(x | z)`, (...)."""
        return LIKELIHOODS[self.likelihood]

    def beta_at(self, step: jax.Array) -> jax.Array:
        """Return the factor of the divergence in the step after so many: it rises linearly to `beta`."""
        rise = (step + 1) / jnp.maximum(self.beta_warmup, 1.0)
        return self.beta * jnp.minimum(1.0, rise)

    def training_inputs(self, x: jax.Array, rows: jax.Array, key: jax.Array) -> jax.Array:
        """Return pixels of 0 and 1, or of 256 levels."""
        augment_key, key = jax.random.split(key)
        x = self.augment(self.pixels(x), augment_key)
        if self.black_and_white and self.binarization == "dynamic":
            return _binarized(x, jax.random.split(key, len(x)))
        return self._fixed(x, self._keys(rows)[0])

    def training_pass(
        self, network: Any, x: jax.Array, y: jax.Array, key: jax.Array, real: jax.Array, step: jax.Array
    ) -> tuple[Terms, Any]:
        """Return the terms of the ELBO, with one z for each image."""
        del real
        noise = jax.random.normal(key, (x.shape[0], self.latents))
        return self.terms(network, x, self.conditions(y), noise, self.beta_at(step)), network

    def inference_pass(self, network: Any, x: jax.Array, y: jax.Array, examples: jax.Array) -> Terms:
        """Return the same with draws that belong to the examples; on test images also `log_p`."""
        keys, conditions = self._keys(examples), self.conditions(y)
        x = self._fixed(self.pixels(x), keys[0])
        noise = jax.vmap(lambda key: jax.random.normal(key, (self.latents,)))(keys[1])
        terms = self.terms(network, x, conditions, noise, self.beta)
        if self.evaluation_split != "test" or not self.importance_samples:
            return terms
        bound = log_p(self.log_likelihood, network, x, conditions, keys[2], self.importance_samples)
        return terms._replace(log_p=bound)

    def terms(
        self, network: EncoderDecoder, x: jax.Array, conditions: jax.Array, noise: jax.Array, beta: Any
    ) -> Terms:
        """Return the terms of the ELBO of images, for standard normal noise (N, latents)."""
        mean, log_variance = posterior(network, x, conditions)
        z = mean + jnp.exp(0.5 * log_variance) * noise
        outputs = jax.vmap(network.decode)(z, conditions)
        return Terms(self.log_likelihood(outputs, x), gaussian_kl(mean, log_variance), mean, beta)

    def losses(self, outputs: Terms, y: jax.Array) -> jax.Array:
        """Return the loss of each image: minus the ELBO where beta is 1."""
        del y
        return outputs.beta * jnp.sum(outputs.kl, -1) - outputs.log_likelihood

    def measure(self, outputs: Terms, y: jax.Array, weight: jax.Array) -> dict[str, jax.Array]:
        """Return sums of the terms, and of the means and their squares, latent by latent."""
        del y
        found = {
            "elbo": outputs.elbo,
            "reconstruction": -outputs.log_likelihood,
            "kl": jnp.sum(outputs.kl, -1),
        }
        if outputs.log_p is not None:
            found["log_p"] = outputs.log_p
        sums = {name: jnp.sum(value * weight) for name, value in found.items()}
        return sums | {"mean": weight @ outputs.mean, "square": weight @ outputs.mean**2}

    def conclude(self, sums: dict[str, jax.Array], y: jax.Array, weight: jax.Array | None) -> Metrics:
        """Return, in nats per image, ELBO, its two terms and `log_p`; and how many latents are active.

        Of grey pixels also the ELBO in bits per dimension, `bits_per_dim`.
        """
        del y, weight
        count = sums["count"]
        names = ("elbo", "log_p", "reconstruction", "kl")
        found = {name: Mean(sums[name], count) for name in names if name in sums}
        variance = sums["square"] / count - (sums["mean"] / count) ** 2
        if not self.black_and_white:
            per_bit = -math.prod(self._data.shape) * math.log(2)
            found["bits_per_dim"] = Mean(sums["elbo"] / per_bit, count)
        return found | {"active_units": Mean(jnp.sum(variance > ACTIVE))}

    def caveats(self, metrics: Mapping[str, np.ndarray]) -> list[str]:
        """Return in how many members a latent carries nothing (posterior collapse)."""
        active = metrics["active_units"]
        few = active[active < self.latents]
        if not few.size:
            return []
        low, high = int(few.min()), int(few.max())
        count = f"{low}" if low == high else f"{low} to {high}"
        return [
            f"Posterior collapse in {few.size} of {active.size} members: {count} of {self.latents} latents "
            "carry something, the others nothing; lower beta, lengthen beta_warmup, or take fewer latents."
        ]

    # -- a trained model ---------------------------------------------------------------------------

    def log_prob(
        self, model: EncoderDecoder, x: Any, label: Any = None, samples: int = 5_000, seed: int = 0
    ) -> np.ndarray:
        """Return the importance-weighted bound of `log p(x)` of each image, in nats, (N,).

        Args:
            model: trained.
            x: images (N, height, width, channels), black and white for the Bernoulli likelihood (`binarize`
                makes such), else of any grey, rounded to 256 levels.
            label: as in `encode`; the bound is then of `log p(x | label)`.
            samples: K, draws per image; the bound rises with it towards `log p(x)`.
            seed: of the draws.

        Raises:
            UsageError: grey images, and as `encode` does.

        """
        given.whole("samples", samples, 1)
        given.whole("seed", seed, 0)
        x = given.images(x, self._data.shape)
        if self.black_and_white:
            given.check_binary(x)
        else:
            x = np.asarray(_rounded(x))
        conditions = self.told(label, len(x))
        keys = jax.random.split(root_key(seed), len(x))
        parts = [
            log_p(self.log_likelihood, model, x[i], jnp.asarray(conditions[i]), keys[i], samples)
            for i in given.batches(len(x), self.evaluation_batch_size)
        ]
        return np.concatenate([np.zeros(0, np.float32), *map(np.asarray, parts)])

    def binarize(self, x: Any, seed: int = 0) -> np.ndarray:
        """Return images of 0 and 1: a pixel is 1 with the probability that its grey says."""
        x = given.images(x, self._data.shape)
        return (np.random.default_rng(seed).random(x.shape, np.float32) < x).astype(np.float32)

    def draw_latents(self, model: EncoderDecoder, n: int, seed: int) -> np.ndarray:
        """Return draws from the prior, N(0, I)."""
        del model
        return np.random.default_rng(seed).standard_normal((n, self.latents))

    def latent_quantiles(self, codes: np.ndarray, levels: np.ndarray) -> np.ndarray:
        """Return the quantiles of the prior."""
        from scipy.special import ndtri

        return np.repeat(ndtri(levels)[:, None], codes.shape[1], 1)

    def posterior(self, model: EncoderDecoder, x: Any, label: Any = None) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and log-variance of `q(z | x)`, each (N, latents)."""
        x = given.images(x, self._data.shape)
        told = self.told(label, len(x))
        both = [
            np.stack(posterior_of(model, x[i], jnp.asarray(told[i])))
            for i in given.batches(len(x), self.evaluation_batch_size)
        ]
        mean, log_variance = np.concatenate([np.zeros((2, 0, self.latents), np.float32), *both], 1)
        return mean, log_variance

    def visualize(self, state: Any, key: jax.Array) -> dict[str, Any]:
        """Return what autoencoders draw, and what each latent carries; warns of posterior collapse."""
        from populace.images.autoencoders import pictures

        return {**super().visualize(state, key), "information": pictures.information(self, state)}

    # -- privately ---------------------------------------------------------------------------------

    def _keys(self, examples: jax.Array) -> jax.Array:
        """Return three keys of each example, (3, N): of its pixels, of z, and of the importance weights."""
        root = root_key(self.binarization_seed)
        return jax.vmap(lambda i: jax.random.split(jax.random.fold_in(root, i), 3), out_axes=1)(examples)

    def _fixed(self, x: jax.Array, keys: jax.Array) -> jax.Array:
        if not self.black_and_white:
            return _rounded(x)
        return x if self.binarization == "none" else _binarized(x, keys)


class ConditionalVAE(VAE):
    """A VAE of `p(x | y)`: encoder and decoder are told the class y, so that the asked class is sampled.

    The ELBO is one of `log p(x | y)`; what the class says is not in the latent any more.

    Source: D. Kingma et al. (2014), Semi-supervised Learning with Deep Generative Models; K. Sohn et al.
    (2015), Learning Structured Output Representation using Deep Conditional Generative Models.
    """

    conditional: ClassVar[bool] = True


def _rounded(x: Any) -> jax.Array:
    """Return pixels from 0 to 1 at the nearest of 256 levels."""
    return jnp.round(jnp.asarray(x) * 255) / 255


def _binarized(x: jax.Array, keys: jax.Array) -> jax.Array:
    """Return 1 with the probability of each pixel, else 0, by one key for each image."""
    uniform = jax.vmap(lambda key: jax.random.uniform(key, x.shape[1:]))(keys)
    return (uniform < x).astype(jnp.float32)
