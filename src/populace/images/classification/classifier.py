"""ImageClassifier: a classifier for image data sets by name, with augmentation."""

import dataclasses
from typing import Any, Self

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from populace.core.media import Image, Visualization
from populace.core.settings import setting
from populace.images.classification.networks import CNN
from populace.images.datasets.splits import DATASETS, load
from populace.nn.modules.sequential import Sequential
from populace.supervised.classifier import Classifier
from populace.supervised.networks import Network

_WATCHED = 64  # images in TensorBoard's activation histograms
_FILTERS = ("sobel", "shift", "gaussian", "sharpen")


class ImageClassifier(Classifier):
    """Image classification by cross-entropy; see `Classifier`.

    A fraction `validation` of the training images is held out, stratified by class, with seed `split_seed`.
    Members are compared on it and finally evaluated on the data set's own test images. Training images may be
    randomly shifted and flipped.
    """

    dataset: str = setting("digits", choices=tuple(DATASETS), help="data set; see docs/data.md")
    validation: float = setting(
        0.1, low=0, high=0.9, static=True, help="fraction of the training images held out for validation"
    )
    split_seed: int = setting(0, low=0, help="seed of the validation split")
    shift: int = setting(0, low=0, help="largest random shift of training images, in pixels")
    mirror: bool = setting(False, help="flip training images horizontally with probability 1/2")
    network: Network = setting(CNN(), help="network; ignored if network_fn is given in Python")

    @property
    def task_name(self) -> str:
        """The data set; empty where the data were given in Python."""
        return self.dataset if self.data is None else ""

    def load_data(self) -> Self:
        """Return the learner with its data set, loaded once for all members."""
        if self.data is not None:
            return self
        found = load(self.dataset, self.validation, self.split_seed, "channel")
        return dataclasses.replace(self, data=found)

    def check(self) -> None:
        """Raise a `UsageError` if network and data do not match, once the data is loaded."""
        if self.data is not None:
            super().check()

    def augment(self, x: jax.Array, key: jax.Array) -> jax.Array:
        """Return images (N, H, W, C), each randomly flipped and shifted, with zero padding."""
        mirror_key, shift_key = jax.random.split(key)
        if self.mirror:
            turned = jax.random.bernoulli(mirror_key, 0.5, (x.shape[0], 1, 1, 1))
            x = jnp.where(turned, x[:, :, ::-1], x)
        if self.shift:
            by = jax.random.randint(shift_key, (2, x.shape[0]), -self.shift, self.shift + 1)
            x = _shifted(x, by[0], self.shift, axis=1)
            x = _shifted(x, by[1], self.shift, axis=2)
        return x

    def log_artifacts(self, state: Any, key: jax.Array) -> dict[str, Image | np.ndarray]:
        """Return activations of every layer on some validation images, and the predictions for them."""
        del key
        from populace.images.classification.gallery import samples

        pictures = self._data.examples("validation")[0][:_WATCHED]
        labels = self._data.answers("validation")[:_WATCHED]
        probabilities = np.asarray(self.predict_proba(state, pictures))
        shown: dict[str, Image | np.ndarray] = {
            "predictions": samples(pictures, labels, probabilities, self._data.names)
        }
        if isinstance(state, Sequential):
            inputs = self._data.inputs(jnp.asarray(self._data.keep(pictures)))
            found = eqx.filter_jit(eqx.filter_vmap(state.activations))(inputs)
            shown |= {f"activations/{name}": np.asarray(value) for name, value in found.items()}
        return shown

    def visualize(self, state: Any, key: jax.Array) -> dict[str, Visualization]:
        """Return confusion matrix, calibration, the most confident mistakes, and filters."""
        from populace.images.classification.gallery import mistakes
        from populace.images.filters import filter

        pictures, labels = self._data.examples("test")[0], self._data.answers("test")
        probabilities = np.asarray(self.predict_proba(state, pictures))
        return {
            **super().visualize(state, key),
            "mistakes": mistakes(pictures, labels, probabilities, self._data.names),
            "filters": Image(
                filter.show(pictures[0], _FILTERS),
                f"Examples of convolutions: a {self._data.called('test')} image before and after kernels "
                "that are known.",
            ),
        }


def _shifted(x: jax.Array, by: jax.Array, most: int, axis: int) -> jax.Array:
    """Shift each image along an axis: a sum over the possible shifts, because gathers are slow."""
    width = [(0, 0)] * x.ndim
    width[axis] = (most, most)
    padded, out = jnp.pad(x, width), jnp.zeros_like(x)
    for shift in range(-most, most + 1):
        moved = jax.lax.slice_in_dim(padded, most - shift, most - shift + x.shape[axis], axis=axis)
        out += moved * (by == shift).astype(x.dtype).reshape(-1, *[1] * (x.ndim - 1))
    return out
