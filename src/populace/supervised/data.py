"""Data: examples and what is to be predicted of them, checked and split once, shared by all members."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from populace.core.errors import UsageError
from populace.core.formatting import Overview, shortened
from populace.data import arrays, given
from populace.data.arrays import check_features, check_targets, restored
from populace.data.classes import Classes
from populace.data.example_files import ExampleFiles, Selection, open_array
from populace.supervised.preparation import check_columns, counted, opened, prepared

Part = tuple[Any, Any] | tuple[Any, Any, Any]
"""(x, y), or (x, y, sample_weight)."""
_SCALES = ("origin", "y_origin", "mean", "deviation", "y_mean", "y_deviation")


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
        test: rows of the test examples to judge by, or None.
        weight: what each row of `x` counts for, (N,) float32; None where all count the same.
        mean_weight: its mean over the training rows.
        test_weight: the same of test examples.
        counts: sum of the weights of the training rows of each class, (classes,), or None for targets.
        names: names of the classes, if there are any.
        named: whether labels were given as these names, and predictions are.
        columns: names of the columns, where examples are a data frame that has them.

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
    test: Any = None
    weight: Any = None
    mean_weight: Any = None
    test_weight: Any = None
    counts: Any = None
    names: tuple[str, ...] = eqx.field(default=(), static=True)
    named: bool = eqx.field(default=False, static=True)
    columns: tuple[str, ...] = eqx.field(default=(), static=True)

    @classmethod
    def from_classes(
        cls,
        x: Any,
        y: Any,
        *,
        test: Part | None = None,
        validation: float | Part = 0.1,
        standardize: str = "feature",
        names: Sequence[str] = (),
        classes: int | None = None,
        seed: int = 0,
        memory: int | None = None,
        sample_weight: Any = None,
    ) -> Self:
        """Return data of a classification.

        Args:
            x: examples, (N, ...): an array, lists, or a data frame of numbers; or where they are, see above.
            y: labels (N,), whole numbers from 0 or text, or the path of a `.npy` file of them. Of text,
                predictions are text too.
            test: examples and labels to judge by at the end, and their weights if they have any.
            validation: share of the examples to choose by, drawn class by class, or 0 for none; or examples
                and labels (and weights).
            standardize: subtract mean and divide by deviation of the training rows: of each `feature`, of
                each `channel` (last axis), of `all` together, or `none`.
            names: of the classes; by default, of labels that are text, these in alphabetical order.
            classes: how many there are; by default the highest label says, if it is below 1,000 or the number
                of examples.
            seed: of the split.
            memory: bytes of examples from files that may be held in memory at once; 256 MiB by default.
            sample_weight: what each example counts for, (N,), at least 0: in loss, metrics, mean and
                deviation. One of weight 0 counts as if it were not there.

        Raises:
            UsageError: arrays that do not fit together, or hold what they must not; says which row; a file
                that is missing or holds no array; a limit on memory for examples that are in memory already.

        """
        columns, (x, memory) = given.columns(x), opened(x, memory)
        found, y = Classes.of("y", open_array("y", y), len(x), names, classes)
        fields = prepared(
            x, y, found.codes, classes=True, columns=columns, memory=memory, sample_weight=sample_weight,
            test=test, validation=validation, standardize=standardize, seed=seed,
        )  # fmt: skip
        named = {"outputs": found.count, "names": found.names, "named": found.named, "columns": columns}
        return cls(**fields, counts=counted(fields, found), **named)

    @classmethod
    def from_targets(
        cls,
        x: Any,
        y: Any,
        *,
        test: Part | None = None,
        validation: float | Part = 0.1,
        standardize: str = "feature",
        seed: int = 0,
        memory: int | None = None,
        sample_weight: Any = None,
    ) -> Self:
        """Return data of a regression; y is (N,) or (N, K); see `from_classes` for the arguments.

        Raises:
            UsageError: as `from_classes` does.

        """
        columns, (x, memory) = given.columns(x), opened(x, memory)
        y = check_targets("y", open_array("y", y), len(x))
        outputs = y.shape[1]

        def check(name: str, targets: Any, examples: int) -> np.ndarray:
            return check_targets(name, targets, examples, outputs)

        fields = prepared(
            x, y, check, classes=False, columns=columns, memory=memory, sample_weight=sample_weight,
            test=test, validation=validation, standardize=standardize, seed=seed,
        )  # fmt: skip
        return cls(**fields, outputs=outputs, columns=columns)

    def scaling(self) -> dict[str, Any]:
        """Return what predicting needs of the data: shapes, names, and what scales values."""
        arrays = {name: np.asarray(getattr(self, name)) for name in _SCALES}
        x = {"input_shape": list(self.shape), "input_dtype": str(self.x.dtype), "columns": list(self.columns)}
        return {**x, "outputs": self.outputs, "classes": list(self.names), "named": self.named, **arrays}

    @classmethod
    def from_scaling(cls, kept: Mapping[str, Any]) -> Self:
        """Return data of no examples that scale as those did which `scaling` was taken from."""
        x = np.zeros((0, *kept["input_shape"]), kept["input_dtype"])
        y = np.zeros((0, *np.shape(kept["y_mean"])), np.float32)
        rows: Any = np.zeros(0, np.int32)
        scales: Any = {name: jnp.asarray(kept[name]) for name in _SCALES}
        return cls(
            x=x, y=y, train=rows, validation=rows, test_x=None, test_y=None, outputs=kept["outputs"],
            names=tuple(kept["classes"]), named=kept.get("named", False),
            columns=tuple(kept.get("columns", ())), **scales,
        )  # fmt: skip

    def _overview(self) -> tuple[str, dict[str, object]]:
        test = "none" if self.test is None else f"{len(self.test):,}"
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
            UsageError: examples of another shape or other columns, or a row with what they must not hold;
                says which.

        """
        check_columns("x", x, self.columns)
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
            return self.test_x, self.test_y, self.test
        return self.x, self.y, self.validation if name == "validation" else self.train

    def weights(self, which: str) -> Any:
        """Return what each row of the arrays that `part` returns counts for; None if all count the same."""
        return self.test_weight if self.called(which) == "test" else self.weight

    def called(self, which: str) -> str:
        """Return what a part really is: `training`, `validation`, or `test`; see `part`."""
        if which == "test" and self.test_x is not None:
            return "test"
        return "validation" if which != "train" and len(self.validation) else "training"

    def examples(self, which: str) -> tuple[np.ndarray | Selection, np.ndarray]:
        """Return (x, y) of a part as they were given: raw examples, and labels or targets.

        Examples in files are read as they are indexed.
        """
        x, _, rows = self.part(which)
        rows, y = np.asarray(rows), self.answers(which)
        if isinstance(x, ExampleFiles):
            return Selection(x, rows, self.origin), self.labels(y)
        return restored(np.asarray(x)[rows], self.origin), self.labels(y)

    def answers(self, which: str) -> np.ndarray:
        """Return the numbers of the classes, or the targets, of a part.

        Raises:
            UsageError: the data are those of a saved member, which keeps no examples.

        """
        _, y, rows = self.part(which)
        if not len(rows):
            raise UsageError("the data that the member was trained on are not saved with it")
        return restored(np.asarray(y)[np.asarray(rows)], self.y_origin)

    def labels(self, y: np.ndarray) -> np.ndarray:
        """Return numbers of classes as labels were given, and targets as they are."""
        return Classes(self.outputs, self.names, self.named).labels(y)
