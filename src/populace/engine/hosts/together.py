"""Together: what the rest of the house asks of the other processes; alone, everything is answered at once.

All processes must ask the same at the same point of the program.
"""

import contextlib
import json
from collections.abc import Callable
from typing import Any

import numpy as np

from populace.engine.hosts.joined import Joined, pack_arrays, unpack_arrays

_joined: Joined | None = None


def joined() -> Joined | None:
    """Return this process among the others; None where it is alone."""
    return _joined


def become(found: Joined | None) -> None:
    """Let this process be one of several from here on, or alone again."""
    global _joined
    _joined = found


def count() -> int:
    """Return how many processes train together."""
    return len(_joined.names) if _joined else 1


def index() -> int:
    """Return which of them this is; the first is 0."""
    return _joined.index if _joined else 0


def is_writer() -> bool:
    """Return whether this process is the one that writes the run folder."""
    return index() == 0


def fetch(array: Any) -> np.ndarray:
    """Return an array of this process's devices on the host, as a copy."""
    return np.array(array)


def gathered(value: Any, what: str, *, endless: bool = False, lane: str = "main") -> list[Any]:
    """Return what every process gave, in their order, to all; values are what JSON can hold."""
    if _joined is None:
        return [value]
    given = json.dumps(value).encode()
    return [json.loads(x) for x in _joined.exchange(given, what, endless=endless, lane=lane)]


def from_writer(value: Any, what: str, *, endless: bool = False) -> Any:
    """Return what the first process gave; what the others give is left."""
    return gathered(value if is_writer() else None, what, endless=endless)[0]


def barrier(what: str, *, endless: bool = False, lane: str = "main") -> None:
    """Wait until all processes have come here."""
    gathered(None, what, endless=endless, lane=lane)


def any_of(flag: bool, what: str = "a window's end") -> bool:
    """Return whether any process says yes, the same answer to all."""
    return any(gathered(bool(flag), what))


def arrays(own: dict[str, np.ndarray], what: str, *, everywhere: bool = True) -> list[dict[str, np.ndarray]]:
    """Return the arrays that every process gave, by name; only to the first process, unless `everywhere`."""
    if _joined is None:
        return [own]
    return [unpack_arrays(x) for x in _joined.exchange(pack_arrays(own), what, everywhere=everywhere)]


_at_loss: list[Callable[[], None]] = []


@contextlib.contextmanager
def if_lost(act: Callable[[], None]) -> Any:
    """Do something before this process ends because another one was lost, while the block lasts."""
    _at_loss.append(act)
    try:
        yield
    finally:
        _at_loss.remove(act)


def before_ending() -> None:
    """Do what is due before the process ends."""
    for act in reversed(_at_loss):
        with contextlib.suppress(Exception):
            act()
