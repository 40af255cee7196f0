"""Classes: how labels, numbers from 0 or text, become the numbers that are computed with, and come back."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from populace.core.errors import UsageError, unknown
from populace.core.values import plain
from populace.data import given
from populace.data.arrays import check_labels, same_length

MOST = 2**20
"""Classes there may be: a network has an output for each."""


@dataclass(frozen=True)
class Classes:
    """The classes of a classification.

    Attributes:
        count: how many there are.
        names: what they are called, in the order of their numbers; empty if nobody said.
        named: whether labels are these names; else they are whole numbers from 0.

    """

    count: int
    names: tuple[str, ...] = ()
    named: bool = False

    @classmethod
    def of(
        cls, name: str, y: Any, examples: int, names: Any = (), count: Any = None
    ) -> tuple[Self, np.ndarray]:
        """Return the classes of labels, and the labels as numbers (N,) int32.

        Args:
            name: of the labels, for errors.
            y: labels (N,): whole numbers from 0, or text.
            examples: N.
            names: names of the classes, if they are known; else text gives them, in alphabetical order.
            count: how many there are, if it is known; else the highest label says.

        Raises:
            UsageError: labels that are missing, of two kinds, or none of the classes; fewer than two classes.

        """
        names, count = _checked(names, count)
        read = given.labels(name, y)
        named = read.dtype.kind == "U"
        if named and not names:
            same_length(name, read, examples)
            names = tuple(map(str, np.unique(read)))
            if count and count != len(names):
                raise UsageError(
                    f"{name} has {len(names)} classes, and classes says {count}; give the names of all"
                )
        found = cls(count or len(names), names, named)
        codes = found.codes(name, read, examples)
        if not found.count:
            found = cls(int(codes.max()) + 1)
        if found.count < 2:
            only = f"'{names[0]}'" if names else "0"
            raise UsageError(f"{name} has only the class {only}; a classification needs at least two classes")
        return found, codes

    def codes(self, name: str, y: Any, examples: int) -> np.ndarray:
        """Return labels as numbers (N,) int32.

        Raises:
            UsageError: a label that is none of the classes, or is of another kind than theirs.

        """
        read = given.labels(name, y)
        if read.dtype.kind != "U":
            if self.named and read.size:
                raise UsageError(
                    f"{name} holds numbers, and the labels of these classes are text, such as "
                    f"'{self.names[0]}'; give text"
                )
            return check_labels(name, read, examples, self.count or None)
        same_length(name, read, examples)
        if read.ndim != 1:
            raise UsageError(f"{name} has shape {read.shape}; expected ({examples},), one label per example")
        if not self.names:
            raise UsageError(
                f"{name} holds text, '{read[0]}', and the labels of these classes are numbers from 0; "
                "give numbers, or names of the classes"
            )
        numbers = {label: number for number, label in enumerate(self.names)}
        distinct, places, back = np.unique(read, return_index=True, return_inverse=True)
        for label, place in zip(map(str, distinct), places):
            if label not in numbers:
                raise unknown("class", label, self.names, where=f" in {name}, row {place}")
        return np.array([numbers[str(label)] for label in distinct], np.int32)[back]

    def labels(self, codes: np.ndarray) -> np.ndarray:
        """Return numbers of classes as labels were given."""
        return np.array(self.names)[codes] if self.named else codes


def _checked(names: Any, count: Any) -> tuple[tuple[str, ...], int | None]:
    names, count = () if names is None else names, plain(count)
    if isinstance(names, str) or not all(isinstance(name, str) for name in names):
        raise UsageError(f"names must be a list of text, one for each class, got {names!r}")
    names = tuple(map(str, names))
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise UsageError(f"names has '{twice}' more than once; each class needs a name of its own")
    if count is not None and (
        isinstance(count, bool) or not isinstance(count, int) or not 2 <= count <= MOST
    ):
        raise UsageError(f"classes must be a whole number from 2 to {MOST:,}, got {count!r}")
    if names and count and count != len(names):
        raise UsageError(f"classes is {count}, and names has {len(names)}; leave one of them out")
    return names, count or len(names) or None
