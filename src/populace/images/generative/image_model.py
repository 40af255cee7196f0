"""ImageModel: what every learner of images that are made shares: data by name, pixels, classes, samples."""

import dataclasses
from abc import abstractmethod
from typing import Any, ClassVar, Self

import jax
import jax.numpy as jnp
import numpy as np

from populace.core.errors import UsageError
from populace.core.learner import Learner
from populace.core.media import Image, Visualization
from populace.core.settings import setting
from populace.images.datasets.splits import DATASETS, MNIST_OR_DIGITS, load, resolved
from populace.images.generative import given
from populace.supervised.data import Data


class ImageModel(Learner):
    """Learns to make images, whatever the way.

    Images that are uint8 hold 0 to 255; those of floats 0 to 1, as all that is made does. Labels are not
    learned from, except by a conditional model, which is told the class of every image.
    """

    mode: ClassVar[Any] = "min"
    data: Data | None = None
    conditional: ClassVar[Any] = False
    """Whether the model is told the class: of the kind of learner, or a setting of it."""

    dataset: str = setting(
        MNIST_OR_DIGITS, choices=(MNIST_OR_DIGITS, *DATASETS), help="data set; see docs/data.md"
    )
    validation: float = setting(
        0.1, low=0, high=0.9, static=True, help="fraction of the training images held out for validation"
    )
    split_seed: int = setting(0, low=0, help="seed of the validation split")

    @abstractmethod
    def sample(
        self, model: Any, n: int = 64, label: Any = None, temperature: float = 1.0, seed: int = 0
    ) -> np.ndarray:
        """Return new images, (n, height, width, channels), from 0 to 1."""

    # -- data ----------------------------------------------------------------------------------------

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
        super().check()
        if self.data is not None:
            given.check_pixels(self.data)
            if self.conditional and self.data.y.ndim != 1:
                raise UsageError(
                    f"{type(self).__name__} needs the label of every image; the data have none: "
                    "give image_data(x, labels=...)"
                )

    def pixels(self, x: jax.Array) -> jax.Array:
        """Return images as the data have them as float32 from 0 to 1."""
        whole = 255.0 if self._data.x.dtype == np.uint8 else 1.0
        return (x.astype(jnp.float32) + self._data.origin) / whole

    def conditions(self, y: jax.Array) -> jax.Array:
        """Return what the model is told of each image, (N, classes), or (N, 0)."""
        if not self.conditional:
            return jnp.zeros((y.shape[0], 0))
        return jax.nn.one_hot(y, self.classes)

    @property
    def classes(self) -> int:
        """Classes that the model is told of; 0 for a model that is told of none."""
        return self._data.outputs if self.conditional else 0

    @property
    def _data(self) -> Data:
        if self.data is None:
            name = type(self).__name__
            raise UsageError(f"{name} has no data; make it in Python, with image_data")
        return self.data

    # -- labels and sizes that a person gave -----------------------------------------------------------

    def label_numbers(self, label: Any) -> np.ndarray:
        """Return the number of each class, given by number or by name."""
        return given.labels(label, self.classes, self._data.names)

    def told(self, label: Any, n: int) -> np.ndarray:
        """Return conditions of n examples, (n, classes), for one label or one of each.

        Raises:
            UsageError: a label that is missing, unknown or not taken, or another number of them.

        """
        name = type(self).__name__
        if not self.conditional:
            if label is not None:
                raise UsageError(f"{name} knows no labels, got one; {self.conditional_one} does")
            return np.zeros((n, 0), np.float32)
        if label is None:
            raise UsageError(f"{name} needs the label of each image; give label=, a class or one for each")
        numbers = self.label_numbers(label)
        if numbers.ndim > 1 or (numbers.ndim and len(numbers) != n):
            raise UsageError(f"label has shape {numbers.shape}; expected one class, or one for each of {n}")
        return np.eye(self.classes, dtype=np.float32)[np.broadcast_to(numbers, (n,))]

    conditional_one: ClassVar[str] = "one with conditional = true"
    """Which learner knows labels, for whoever gives one to a learner that does not."""

    def told_for_samples(self, n: int, label: Any, temperature: float, seed: int) -> np.ndarray:
        """Return conditions of n samples; without a label, of every class in turn.

        Raises:
            UsageError: a value outside its range, or a label as in `told`.

        """
        given.whole("n", n, 1)
        given.whole("seed", seed, 0)
        if not temperature >= 0:
            raise UsageError(f"temperature must be at least 0, got {temperature!r:.50}")
        if self.conditional and label is None:
            label = np.arange(n) % self.classes
        return self.told(label, n)

    # -- pictures --------------------------------------------------------------------------------------

    samples_caption: ClassVar[str] = "Samples"

    def visualize(self, state: Any, key: jax.Array) -> dict[str, Visualization]:
        """Return samples."""
        del key
        from populace.images.generative import pictures

        return {"samples": pictures.samples(self, state)}

    def log_artifacts(self, state: Any, key: jax.Array) -> dict[str, Image | np.ndarray]:
        """Return samples."""
        del key
        from populace.images.generative import pictures

        return {"samples": pictures.samples(self, state)}
