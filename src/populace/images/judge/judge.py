"""Judge: a frozen classifier of real images, by whose features and answers made images are judged."""

import hashlib
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from populace.core.errors import UsageError
from populace.core.model import weights
from populace.images.generative import given
from populace.nn.modules.sequential import Sequential, use
from populace.supervised.data import Data

_BATCH = 250


class Judge(eqx.Module):
    """A trained convolutional classifier that no longer changes.

    `features` are the activations before its last layer, divided by one number, so that their mean square
    over the images that it was trained on is 1.

    Attributes:
        body: all layers but the last one.
        head: the last layer, from features to logits.
        mean: what pixels are centered by, in the units of `white`.
        deviation: what they are divided by.
        scale: what features are divided by.
        white: value of a white pixel in the images that it was trained on.
        shape: (height, width, channels) of an image.
        classes: names of the classes.
        accuracy: on the test images that it was measured on.

    """

    body: Sequential
    head: Any
    mean: Any
    deviation: Any
    scale: Any
    white: float = eqx.field(static=True)
    shape: tuple[int, ...] = eqx.field(static=True)
    classes: tuple[str, ...] = eqx.field(static=True)
    accuracy: float = eqx.field(static=True)

    @classmethod
    def of(cls, network: Sequential, data: Data, accuracy: float, scale: Any = 1.0) -> "Judge":
        """Return the judge of a trained network.

        Args:
            network: layers of which the last one gives logits.
            data: what it was trained on, or what scales images as that did.
            accuracy: on test images.
            scale: of the features, as it was found before; `with_scale` finds it.

        """
        white = 255.0 if data.x.dtype == np.uint8 else 1.0
        body, head = Sequential(network.layers[:-1]), network.layers[-1]
        # Data of floats are kept less their origin; made images come as they are.
        mean = jnp.asarray(data.mean + data.origin, jnp.float32)
        return cls(
            body, head, mean, jnp.asarray(data.deviation), jnp.float32(scale), white, data.shape,
            class_names(data), float(accuracy),
        )  # fmt: skip

    def with_scale(self, x: np.ndarray) -> "Judge":
        """Return the judge whose features have a mean square of 1 over images from 0 to 1."""
        features, _ = self.look(x)
        scale = self.scale * np.sqrt(np.mean(features.astype(np.float64) ** 2))
        return eqx.tree_at(lambda judge: judge.scale, self, jnp.float32(scale))

    def __call__(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Return features (N, d) and logits (N, classes) of images (N, height, width, channels), 0 to 1."""
        inputs = (x * self.white - self.mean) / self.deviation
        raw = use(self.body, inputs)
        return raw / self.scale, jax.vmap(self.head)(raw)

    def look(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return features (N, d) and the class that is read, (N,), of any number of images from 0 to 1."""
        self.check_shape(x.shape[1:])
        found = [_looked(self, x[rows]) for rows in given.batches(len(x), _BATCH)]
        features, read = (np.concatenate([np.asarray(part[i]) for part in found]) for i in range(2))
        return features, read

    @property
    def sha256(self) -> str:
        """Digest of every number in it."""
        found = hashlib.sha256()
        for name, array in sorted(weights.named(self).items()):
            found.update(f"{name}{array.shape}".encode())
            found.update(np.ascontiguousarray(array).tobytes())
        return found.hexdigest()

    def check_shape(self, shape: tuple[int, ...]) -> None:
        """Raise a `UsageError` for images of another size."""
        if tuple(shape) != self.shape:
            raise UsageError(f"the judge was trained on images {self.shape}; these are {tuple(shape)}")

    def check(self, data: Data) -> None:
        """Raise a `UsageError` for data of other images or classes than it was trained on."""
        self.check_shape(data.shape)
        if data.y.ndim != 1:
            return
        unseen = [name for name in class_names(data) if name not in self.classes]
        if unseen:
            known = ", ".join(self.classes[:10])
            raise UsageError(
                f"the judge has not seen the class {unseen[0]}, it knows {known}; "
                "train one on these data: populace.images.judge.training.train_judge(data)"
            )
        if class_names(data) != self.classes:
            raise UsageError(
                f"the judge knows {len(self.classes)} classes, the data have {data.outputs}: their numbers "
                "mean other classes; train one on these data"
            )


def class_names(data: Data) -> tuple[str, ...]:
    """Return the name of each class, or its number where it has none."""
    return tuple(data.names) or tuple(str(number) for number in range(data.outputs))


@eqx.filter_jit
def _looked(judge: Judge, x: Any) -> tuple[jax.Array, jax.Array]:
    features, logits = judge(x)
    return features, jnp.argmax(logits, -1)
