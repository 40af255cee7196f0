"""Data: examples and what is to be predicted of them, checked and split once, shared by all members."""

from typing import Any, Self

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from populace.core.errors import UsageError
from populace.data import arrays
from populace.data.arrays import check_features, check_labels, check_targets, moments
from populace.data.splits import hold_out

Pair = tuple[Any, Any]
STANDARDISE = ("none", "all", "feature", "channel")


class Data(eqx.Module):
    """Examples in three parts: to train on, to choose by (validation), and to judge by (test).

    Make one with [`from_classes`][populace.supervised.Data.from_classes] or
    [`from_targets`][populace.supervised.Data.from_targets]. The test part is looked at once, by the
    final evaluation, and nothing is chosen by it.

    Attributes:
        x: training and validation examples, (N, ...), uint8 or float32, less `origin`.
        y: labels (N,) int32, or targets (N, K) float32, less `y_origin`.
        train: rows to train on.
        validation: rows to choose by.
        test_x: test examples as `x` has them, or None.
        test_y: what they are, or None.
        origin: taken off examples in float64, before float32 would make close values equal that lie far
            from zero; 0 where there are none of these.
        y_origin: the same of targets.
        mean: taken off every example; over the training rows.
        deviation: every example is divided by it; over the training rows.
        y_mean: mean of the training targets, (K,), or 0 for classes.
        y_deviation: their standard deviation, (K,), or 1 for classes.
        outputs: number of classes, or K.
        names: names of the classes, if there are any.

    """

    x: Any
    y: Any
    train: Any
    validation: Any
    test_x: Any
    test_y: Any
    origin: Any
    y_origin: Any
    mean: Any
    deviation: Any
    y_mean: Any
    y_deviation: Any
    outputs: int = eqx.field(static=True)
    names: tuple[str, ...] = eqx.field(static=True)

    @classmethod
    def from_classes(
        cls,
        x: Any,
        y: Any,
        *,
        test: Pair | None = None,
        validation: float | Pair = 0.1,
        standardise: str = "feature",
        names: tuple[str, ...] = (),
        classes: int | None = None,
        seed: int = 0,
    ) -> Self:
        """Return data of a classification.

        Args:
            x: examples, (N, ...).
            y: whole numbers from 0, (N,).
            test: examples and labels to judge by at the end.
            validation: share of the examples to choose by, drawn class by class; or examples and labels.
            standardise: subtract mean and divide by deviation of the training rows: of each `feature`, of
                each `channel` (last axis), of `all` together, or `none`.
            names: of the classes.
            classes: how many there are; by default the highest label says.
            seed: of the split.

        Raises:
            UsageError: arrays that do not fit together, or hold what they must not; says which row.

        """
        classes = classes or len(names) or None
        x = check_features("x", x)
        y = check_labels("y", y, len(x), classes)
        count = classes or int(y.max()) + 1
        if count < 2:
            raise UsageError("y has only the class 0; a classification needs at least two classes")

        def check(name: str, labels: Any, examples: int) -> np.ndarray:
            return check_labels(name, labels, examples, count)

        return cls._of(x, y, check, test, validation, standardise, seed, count, tuple(names), y)

    @classmethod
    def from_targets(
        cls,
        x: Any,
        y: Any,
        *,
        test: Pair | None = None,
        validation: float | Pair = 0.1,
        standardise: str = "feature",
        seed: int = 0,
    ) -> Self:
        """Return data of a regression; y is (N,) or (N, K); see `from_classes` for the arguments.

        Raises:
            UsageError: arrays that do not fit together, or hold what they must not; says which row.

        """
        x = check_features("x", x)
        y = check_targets("y", y, len(x))

        def check(name: str, targets: Any, examples: int) -> np.ndarray:
            return check_targets(name, targets, examples, y.shape[1])

        return cls._of(x, y, check, test, validation, standardise, seed, y.shape[1], (), None)

    @classmethod
    def _of(
        cls, x: Any, y: Any, check: Any, test: Any, validation: Any, standardise: str, seed: int,
        outputs: int, names: tuple[str, ...], labels: Any,
    ) -> Self:  # fmt: skip
        if standardise not in STANDARDISE:
            raise UsageError(f"standardise must be one of {', '.join(STANDARDISE)}, got {standardise!r}")
        test_x, test_y = (None, None) if test is None else _pair("test", test, x, check)
        if isinstance(validation, float | int):
            if not 0 <= validation < 1:
                raise UsageError(
                    f"validation must be a share in [0, 1), or examples and labels, got {validation}"
                )
            rows, held = hold_out(labels, len(x), float(validation), seed)
        else:
            more_x, more_y = _pair("validation", validation, x, check)
            rows = np.arange(len(x), dtype=np.int32)
            held = np.arange(len(x), len(x) + len(more_x), dtype=np.int32)
            x, y = np.concatenate([x, more_x]), np.concatenate([y, more_y])
        if not len(rows):
            raise UsageError(f"validation {validation:g} leaves no example to train on of {len(x)}")
        x, test_x, origin, mean, deviation = _standard("x", x, test_x, rows, standardise)
        y_origin, y_mean, y_deviation = np.zeros((), np.float32), *moments(y, rows, "none")
        if labels is None:
            y, test_y, y_origin, y_mean, y_deviation = _standard("y", y, test_y, rows, "feature")
        return cls(
            x, y, rows, held, test_x, test_y, origin, y_origin, mean, deviation, y_mean, y_deviation,
            outputs, names,
        )  # fmt: skip

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one example."""
        return tuple(self.x.shape[1:])

    def keep(self, x: Any) -> np.ndarray:
        """Return raw examples as `x` has them.

        Raises:
            UsageError: examples of another shape, or a row with what they must not hold; says which row.

        """
        found = check_features("x", x, least=0)
        if found.shape[1:] != self.shape:
            raise UsageError(f"x has examples of shape {found.shape[1:]}; expected {self.shape}")
        return arrays.kept(found, self.origin)

    def inputs(self, x: jax.Array) -> jax.Array:
        """Return examples of `x` as the network sees them: float32, standardised."""
        return (x.astype(jnp.float32) - self.mean) / self.deviation

    def part(self, which: str) -> tuple[Any, Any, Any]:
        """Return (x, y, rows) of a part: `train`, `validation`, or `test`.

        Where there is no test part it is the validation part, where none of that either the training part.
        """
        name = self.called(which)
        if name == "test":
            return self.test_x, self.test_y, np.arange(len(self.test_x), dtype=np.int32)
        return self.x, self.y, self.validation if name == "validation" else self.train

    def called(self, which: str) -> str:
        """Return what a part really is: `training`, `validation`, or `test`; see `part`."""
        if which == "test" and self.test_x is not None:
            return "test"
        return "validation" if which != "train" and len(self.validation) else "training"

    def examples(self, which: str) -> tuple[np.ndarray, np.ndarray]:
        """Return (x, y) of a part as they were given: raw examples, and labels or targets."""
        x, y, rows = (np.asarray(a) for a in self.part(which))
        return restored(x[rows], self.origin), restored(y[rows], self.y_origin)


def restored(values: Any, origin: Any) -> Any:
    """Return values with their origin added again: in float64, where there is one."""
    origin = np.asarray(origin, np.float64)
    return np.asarray(values, np.float64) + origin if origin.any() else values


def _standard(
    name: str, x: np.ndarray, test: np.ndarray | None, rows: np.ndarray, how: str
) -> tuple[Any, ...]:
    """Return values and test values as they are kept, then origin, mean and deviation."""
    origin = arrays.origin(x, rows, how)
    arrays.warn_of_loss(name, x, origin, how)
    x, test = arrays.kept(x, origin), None if test is None else arrays.kept(test, origin)
    return x, test, origin, *moments(x, rows, how)


def _pair(name: str, pair: Any, x: np.ndarray, check: Any) -> tuple[np.ndarray, np.ndarray]:
    if not (isinstance(pair, tuple | list) and len(pair) == 2):
        raise UsageError(f"{name} must be a pair (x, y), got {type(pair).__name__}")
    other = check_features(f"{name} x", pair[0])
    if other.shape[1:] != x.shape[1:]:
        raise UsageError(f"{name} x has examples of shape {other.shape[1:]}; those of x have {x.shape[1:]}")
    other = other.astype(np.uint8, copy=False) if x.dtype == np.uint8 else other
    return other, check(f"{name} y", pair[1], len(other))
