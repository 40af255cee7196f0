"""Made: a sequence whose entries are made when somebody looks at them, for there may be very many."""

from collections.abc import Callable, Sequence
from typing import Any


class Made(Sequence[Any]):
    """So many entries, of which none is kept.

    Args:
        count: how many.
        make: returns the entry of an index.

    """

    def __init__(self, count: int, make: Callable[[int], Any]) -> None:
        self._indices, self._make = range(count), make

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, index: Any) -> Any:
        found = self._indices[index]
        return [self._make(i) for i in found] if isinstance(found, range) else self._make(found)
