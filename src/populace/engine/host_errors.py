"""Callbacks: what code on the host raises while a compiled program waits for it.

JAX turns any such exception into one of its own, a traceback long. Here it becomes again what it was.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import jax

from populace.core.errors import PopulaceError

_raised: list[PopulaceError] = []


def record(error: PopulaceError) -> None:
    """Keep an error that a callback is about to raise into a program."""
    _raised.append(error)


@contextmanager
def reraised() -> Iterator[None]:
    """Raise what a callback raised, instead of what JAX makes of it; also a decorator.

    Raises:
        PopulaceError: a callback raised it.

    """
    _raised.clear()
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if not _raised:
            raise
        with suppress(Exception):
            _forget_tokens()
        raise _raised[0] from error


def _forget_tokens() -> None:
    """Let JAX forget the programs that failed; it would wait for them at exit, and complain once more."""
    from jax._src import dispatch

    tokens: Any = dispatch.runtime_tokens
    tokens.clear()
