"""Processes as threads of one, with a store of messages that does what JAX's service does."""

import threading
import time
from collections.abc import Callable
from typing import Any

from populace.engine.hosts.joined import Joined


class Store:
    """The messages of all."""

    def __init__(self) -> None:
        self.entries: dict[str, Any] = {}
        self.changed = threading.Condition()


class Agent:
    """Answers as an agent does; `ended` plays the end of the first process."""

    def __init__(self, store: Store) -> None:
        self.store, self.ended, self.left = store, False, False

    def call(self, what: str, *args: Any) -> tuple[str, Any]:
        if self.ended:
            raise EOFError
        return getattr(self, what)(*args)

    def leave(self) -> None:
        self.left = True

    def key_value_set(self, key: str, value: Any, allow_overwrite: bool = False) -> tuple[str, Any]:
        with self.store.changed:
            if key in self.store.entries and not allow_overwrite:
                return "ALREADY_EXISTS", key
            self.store.entries[key] = value
            self.store.changed.notify_all()
        return "done", None

    key_value_set_bytes = key_value_set

    def blocking_key_value_get_bytes(self, key: str, milliseconds: int) -> tuple[str, Any]:
        until = time.monotonic() + min(milliseconds, 20) / 1000
        with self.store.changed:
            while key not in self.store.entries:
                if not self.store.changed.wait(until - time.monotonic()):
                    return "DEADLINE_EXCEEDED", key
            return "done", self.store.entries[key]

    def key_value_try_get(self, key: str) -> tuple[str, Any]:
        return ("done", self.store.entries[key]) if key in self.store.entries else ("NOT_FOUND", key)

    def key_value_dir_get(self, place: str) -> tuple[str, Any]:
        with self.store.changed:
            return "done", [(k, v) for k, v in self.store.entries.items() if k.startswith(place)]

    key_value_dir_get_bytes = key_value_dir_get

    def key_value_delete(self, place: str) -> tuple[str, Any]:
        with self.store.changed:
            for key in [k for k in self.store.entries if k.startswith(place)]:
                del self.store.entries[key]
        return "done", None


def processes(count: int, limit: float = 20.0, store: Store | None = None) -> list[Joined]:
    """Return so many processes that share a store."""
    store = store or Store()
    names = [f"process {i} on n{i}" for i in range(count)]
    return [Joined(Agent(store), i, names, limit) for i in range(count)]  # type: ignore[arg-type]


def at_once(joined: list[Joined], work: Callable[[Joined], Any]) -> list[Any]:
    """Return what each process's work returned or raised, all having worked at once."""
    found: list[Any] = [None] * len(joined)

    def run(i: int) -> None:
        try:
            found[i] = work(joined[i])
        except Exception as error:
            found[i] = error

    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(joined))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return found
