"""Names of nodes: what they were called before they were numbered."""

from collections.abc import Hashable, Iterator, Sequence
from typing import Any

import numpy as np

from populace.core.errors import UsageError, unknown


class NodeNames(Sequence[str]):
    """Names of N nodes, all different; node i is called `names[i]`.

    They are a constant part of a graph: equal names are equal, and are hashed once.

    Raises:
        UsageError: a name that is given twice.

    """

    def __init__(self, names: Any) -> None:
        self._names = tuple(str(name) for name in names)
        self._places = {name: i for i, name in enumerate(self._names)}
        self._hash = hash(self._names)
        if len(self._places) < len(self._names):
            first = next(i for i, name in enumerate(self._names) if self._places[name] != i)
            again = self._places[self._names[first]]
            raise UsageError(
                f"nodes {first} and {again} are both called '{self._names[first]}'; give each its own name"
            )

    def index(self, value: Any, start: int = 0, stop: int | None = None) -> int:
        """Return the number of the node of a name.

        Raises:
            UsageError: there is no node of that name.

        """
        del start, stop  # all names differ
        if (place := self._places.get(str(value))) is None:
            raise unknown("node", str(value), self._names)
        return place

    def numbers(self, names: Sequence[Hashable]) -> np.ndarray:
        """Return the numbers of nodes by their names, (n,) int64, -1 for a name that no node has."""
        return np.fromiter((self._places.get(str(name), -1) for name in names), np.int64, len(names))

    def __getitem__(self, place: Any) -> Any:
        return self._names[place]

    def __len__(self) -> int:
        return len(self._names)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, NodeNames) and self._names == other._names)

    def __repr__(self) -> str:
        return f"NodeNames({', '.join(self._names[:3])}{', ...' if len(self) > 3 else ''})"


def in_order_of_appearance(pairs: np.ndarray) -> NodeNames:
    """Return the names in an array of edges (E, 2), each once, in the order in which they first appear."""
    return NodeNames(dict.fromkeys(str(name) for name in pairs.ravel().tolist()))
