"""Data: examples and what is to be predicted of them, checked and split once, shared by all members."""

from collections.abc import Mapping
from typing import Any, Self

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from populace.core.errors import UsageError
from populace.core.formatting import Overview, shortened
from populace.data import arrays
from populace.data.arrays import check_features, check_labels, check_targets, moments, restored
from populace.data.example_files import ExampleFiles, Selection, open_array
from populace.data.splits import hold_out
from populace.supervised.preparation import opened, pair, standard, statistics

Pair = tuple[Any, Any]
_SCALES = ("origin", "y_origin", "mean", "deviation", "y_mean", "y_deviation")
STANDARDIZE = ("none", "all", "feature", "channel")


class Data(Overview, eqx.Module):
    """Examples in three parts: to train on, to choose by (validation), and to judge by (test).

    Make one with [`from_classes`][populace.supervised.data.Data.from_classes] or
    [`from_targets`][populace.supervised.data.Data.from_targets]. The test part is looked at once, by the
    final evaluation, and nothing is chosen by it.

    Examples may stay on disk: `x` is then the path of a `.npy` file, or a `numpy.memmap`, and so may be those
    of `validation` and `test`. Batches are read while the ones before them are trained on, with the same
    results bit for bit; see the page on streaming. Labels and targets are always kept in memory.

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
        standardize: str = "feature",
        names: tuple[str, ...] = (),
        classes: int | None = None,
        seed: int = 0,
        memory: int | None = None,
    ) -> Self:
        """Return data of a classification.

        Args:
            x: examples, (N, ...); or where they are, see above.
            y: whole numbers from 0, (N,), or the path of a `.npy` file of them.
            test: examples and labels to judge by at the end.
            validation: share of the examples to choose by, drawn class by class, or 0 for none; or examples
                and labels.
            standardize: subtract mean and divide by deviation of the training rows: of each `feature`, of
                each `channel` (last axis), of `all` together, or `none`.
            names: of the classes.
            classes: how many there are; by default the highest label says, if it is below 1,000 or the number
                of examples.
            seed: of the split.
            memory: bytes of examples from files that may be held in memory at once; 256 MiB by default.

        Raises:
            UsageError: arrays that do not fit together, or hold what they must not; says which row; a file
                that is missing or holds no array; a limit on memory for examples that are in memory already.

        """
        classes = classes or len(names) or None
        x, memory = opened(x, memory)
        y = check_labels("y", open_array("y", y), len(x), classes)
        count = classes or int(y.max()) + 1
        if count < 2:
            raise UsageError("y has only the class 0; a classification needs at least two classes")

        def check(name: str, labels: Any, examples: int) -> np.ndarray:
            return check_labels(name, labels, examples, count)

        return cls._of(x, y, check, test, validation, standardize, seed, count, tuple(names), y, memory)

    @classmethod
    def from_targets(
        cls,
        x: Any,
        y: Any,
        *,
        test: Pair | None = None,
        validation: float | Pair = 0.1,
        standardize: str = "feature",
        seed: int = 0,
        memory: int | None = None,
    ) -> Self:
        """Return data of a regression; y is (N,) or (N, K); see `from_classes` for the arguments.

        Raises:
            UsageError: as `from_classes` does.

        """
        x, memory = opened(x, memory)
        y = check_targets("y", open_array("y", y), len(x))

        def check(name: str, targets: Any, examples: int) -> np.ndarray:
            return check_targets(name, targets, examples, y.shape[1])

        return cls._of(x, y, check, test, validation, standardize, seed, y.shape[1], (), None, memory)

    @classmethod
    def _of(
        cls, x: Any, y: Any, check: Any, test: Any, validation: Any, standardize: str, seed: int,
        outputs: int, names: tuple[str, ...], labels: Any, memory: int,
    ) -> Self:  # fmt: skip
        if standardize not in STANDARDIZE:
            raise UsageError(f"standardize must be one of {', '.join(STANDARDIZE)}, got {standardize!r}")
        files = [x] if memory else []
        test_x, test_y = (None, None) if test is None else pair("test", test, x, check)
        if isinstance(validation, float | int):
            if not 0 <= validation < 1:
                raise UsageError(
                    f"validation must be a share in [0, 1), or examples and labels, got {validation}"
                )
            rows, held = hold_out(labels, len(x), float(validation), seed)
        else:
            more_x, more_y = pair("validation", validation, x, check)
            rows = np.arange(len(x), dtype=np.int32)
            held = np.arange(len(x), len(x) + len(more_x), dtype=np.int32)
            y = np.concatenate([y, more_y])
            if files:
                files.append(more_x)
            else:
                x = np.concatenate([x, more_x])
        if not len(rows):
            raise UsageError(f"validation {validation:g} leaves no example to train on of {len(x)}")
        if files:
            origin, mean, deviation = statistics("x", x, rows, standardize)
            x = ExampleFiles(files, origin, memory)
            test_x = None if test_x is None else ExampleFiles([test_x], origin, memory)
        else:
            x, test_x, origin, mean, deviation = standard("x", x, test_x, rows, standardize)
        y_origin, y_mean, y_deviation = np.zeros((), np.float32), *moments(y, rows, "none")
        if labels is None:
            y, test_y, y_origin, y_mean, y_deviation = standard("y", y, test_y, rows, "feature")
        return cls(
            x, y, rows, held, test_x, test_y, origin, y_origin, mean, deviation, y_mean, y_deviation,
            outputs, names,
        )  # fmt: skip

    def scaling(self) -> dict[str, Any]:
        """Return what predicting needs of the data: shapes, names of classes, and what scales values."""
        arrays = {name: np.asarray(getattr(self, name)) for name in _SCALES}
        x = {"input_shape": list(self.shape), "input_dtype": str(self.x.dtype)}
        return {**x, "outputs": self.outputs, "classes": list(self.names), **arrays}

    @classmethod
    def from_scaling(cls, kept: Mapping[str, Any]) -> Self:
        """Return data of no examples that scale as those did which `scaling` was taken from."""
        x = np.zeros((0, *kept["input_shape"]), kept["input_dtype"])
        y = np.zeros((0, *np.shape(kept["y_mean"])), np.float32)
        rows: Any = np.zeros(0, np.int32)
        scales: Any = {name: jnp.asarray(kept[name]) for name in _SCALES}
        return cls(
            x=x, y=y, train=rows, validation=rows, test_x=None, test_y=None,
            outputs=kept["outputs"], names=tuple(kept["classes"]), **scales,
        )  # fmt: skip

    def _overview(self) -> tuple[str, dict[str, object]]:
        test = "none" if self.test_y is None else f"{len(self.test_y):,}"
        classes = self.y.ndim == 1
        return "Data", {
            "examples": f"{len(self.train):,} training, {len(self.validation):,} validation, {test} test",
            "shape": self.shape,
            "classes": (shortened(self.names) or self.outputs) if classes else "",
            "targets": "" if classes else self.outputs,
        }

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
        """Return examples of `x` as the network sees them: float32, standardized."""
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

    def examples(self, which: str) -> tuple[np.ndarray | Selection, np.ndarray]:
        """Return (x, y) of a part as they were given: raw examples, and labels or targets.

        Examples in files are read as they are indexed.
        """
        x, y, rows = self.part(which)
        y, rows = np.asarray(y), np.asarray(rows)
        if not len(rows):
            raise UsageError("the data that the member was trained on are not saved with it")
        if isinstance(x, ExampleFiles):
            return Selection(x, rows, self.origin), restored(y[rows], self.y_origin)
        return restored(np.asarray(x)[rows], self.origin), restored(y[rows], self.y_origin)
