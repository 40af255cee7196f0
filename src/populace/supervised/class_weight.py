"""Weights of classes in the loss of a classification, as scikit-learn has them."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from populace.core.errors import UsageError, unknown
from populace.core.settings import Settings, setting
from populace.core.values import plain
from populace.supervised.data import Data


class ClassWeight(Settings):
    """A rule that says what the examples of each class weigh in the loss, beside their own weight.

    In Python and in recipes also `None`, or a table of classes and weights, such as `{"cat": 2.0}`: see
    [`PerClass`][populace.supervised.class_weight.PerClass].
    """

    @classmethod
    def from_plain(cls, value: Any) -> Any:
        """Return what None, or a table of classes, stands for."""
        if value is None:
            return {"kind": Equal.kind}
        if not isinstance(value, Mapping) or "kind" in value:
            return value
        weights = [plain(weight) for weight in value.values()]
        if bad := [w for w in weights if isinstance(w, bool) or not isinstance(w, int | float)]:
            raise UsageError(f"class_weight must have a number for each class, got {bad[0]!r}")
        classes, values = [*map(_called, value)], [*map(float, weights)]
        return {"kind": PerClass.kind, "classes": classes, "values": values}

    @abstractmethod
    def weights(self, data: Data) -> jax.Array | None:
        """Return the weight of each class, (classes,), or None where all weigh the same."""

    def check(self, data: Data) -> None:
        """Raise a `UsageError` where the rule does not fit the data; by default it does."""
        del data

    def factors(self, data: Data) -> jax.Array | None:
        """Return the weights of classes, scaled so that their mean over training examples is 1."""
        weights = self.weights(data)
        if weights is None:
            return None
        counts = jnp.asarray(data.counts)
        return weights * (jnp.sum(counts) / jnp.sum(counts * weights))


class Equal(ClassWeight):
    """All classes weigh the same."""

    kind: ClassVar[str] = "none"

    def weights(self, data: Data) -> None:
        """Return None."""
        del data


class Balanced(ClassWeight):
    """A class weighs the more the fewer its examples: `w_c = n / (K n_c)`.

    n_c is the sum of the weights of the training examples of class c, n that of all, and K the number of
    classes that have any.

    Source: G. King, L. Zeng (2001), Logistic Regression in Rare Events Data; scikit-learn's
    `compute_class_weight`.
    """

    kind: ClassVar[str] = "balanced"

    def weights(self, data: Data) -> jax.Array:
        """Return the weight of each class, 0 for one without examples."""
        return balanced(jnp.asarray(data.counts))


def balanced(counts: jax.Array) -> jax.Array:
    """Return `n / (K n_c)` of classes with n_c examples, (classes,), 0 for one without; K have any."""
    there = counts > 0
    return jnp.where(
        there, jnp.sum(counts) / (jnp.maximum(jnp.sum(there), 1) * jnp.where(there, counts, 1)), 0
    )


class PerClass(ClassWeight):
    """Each class has the weight that is given, the ones not named weigh 1."""

    kind: ClassVar[str] = "per_class"
    classes: tuple[str, ...] = setting((), help="classes, by name or by number")
    values: tuple[float, ...] = setting((), low=0, help="weight of each of them")

    def weights(self, data: Data) -> jax.Array:
        """Return the weight of each class."""
        found = np.ones(data.outputs, np.float32)
        for name, value in zip(self.classes, self.values):
            found[self._number(name, data)] = value
        return jnp.asarray(found)

    def check(self, data: Data) -> None:
        """Raise a `UsageError` for an unknown class, or if no training example has a weight."""
        if len(self.classes) != len(self.values):
            raise UsageError(
                f"class_weight has {len(self.classes)} classes and {len(self.values)} values; give one each"
            )
        for name in self.classes:
            self._number(name, data)
        weights = np.asarray(self.weights(data))
        for which in ("train", "validation", "test"):
            _, y, rows = data.part(which)
            if not weights[np.asarray(y)[np.asarray(rows)]].any():
                raise UsageError(
                    f"class_weight is zero for all {data.called(which)} examples; some class must be above 0"
                )

    @staticmethod
    def _number(name: str, data: Data) -> int:
        numbers = [*map(str, range(data.outputs))]
        for known in (data.names, () if data.named else numbers):
            if name in known:
                return known.index(name)
        raise unknown("class", name, data.names or numbers, where=" in class_weight")


def _called(label: Any) -> str:
    """Return how a table of classes names one: text, or a whole number."""
    label = plain(label)
    return str(int(label)) if isinstance(label, int | float) and label == int(label) else str(label)
