"""Threads of libraries that go on when a write has failed: they print tracebacks and leave files behind.

Orbax writes many arrays at once, in event loops of its own. When one fails, its loop is closed; threads
of TensorStore finish the others, make folders again that were removed, and find nobody to tell.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from populace.core.files import remove

_LOGGERS = ("absl", "asyncio")
_QUIET, _LONGEST = 0.2, 5.0  # seconds without a new file that tell the end; of waiting for it


class _Loop(asyncio.SelectorEventLoop):
    """An event loop that does not mind late news."""

    def call_soon_threadsafe(self, callback: Callable[..., object], *args: Any, context: Any = None) -> Any:
        """Call back soon; not at all once the loop is closed."""
        try:
            return super().call_soon_threadsafe(callback, *args, context=context)
        except RuntimeError:
            if not self.is_closed():
                raise


class _Policy(asyncio.DefaultEventLoopPolicy):
    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        return _Loop()


@contextlib.contextmanager
def silenced() -> Iterator[None]:
    """Give what is written in here such loops, and keep the loggers silent for good once it has failed."""
    usual = asyncio.get_event_loop_policy()
    levels = [logging.getLogger(name).level for name in _LOGGERS]
    asyncio.set_event_loop_policy(_Policy())
    for name in _LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        asyncio.set_event_loop_policy(usual)
    for name, level in zip(_LOGGERS, levels):
        logging.getLogger(name).setLevel(level)


@contextlib.contextmanager
def outlasted(folder: Path) -> Iterator[None]:
    """On an error, remove `folder` until nothing has been written into it for a moment."""
    try:
        yield
    except BaseException:
        begun = quiet = time.monotonic()
        while (now := time.monotonic()) - quiet < _QUIET and now - begun < _LONGEST:
            if folder.exists():
                remove(folder)
                quiet = time.monotonic()
            time.sleep(0.01)
        raise
