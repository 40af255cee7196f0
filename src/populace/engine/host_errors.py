"""Errors of callbacks: code on the host that a compiled program calls.

JAX replaces an exception of a callback by one of its own, with a long traceback. This module raises the
original one instead.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jax

from populace.core.errors import PopulaceError, RunError, typed_line

_jax_log = logging.getLogger("jax._src.callback")
# A callback runs in a thread of XLA and does not know who called the program, and JAX keeps only the text of
# its exception. So every open `reraised` collects the errors of the process, and raises one only if its own
# program failed.
_collected: list[list[PopulaceError]] = []


def record(error: PopulaceError) -> None:
    """Remember an error that a callback is about to raise."""
    for errors in list(_collected):
        errors.append(error)


@contextmanager
def recorded(what: str) -> Iterator[None]:
    """Record whatever a callback raises, before JAX replaces it; also a decorator.

    Args:
        what: what failed, for an exception that is not one of populace's own and becomes a `RunError`.

    """
    try:
        yield
    except PopulaceError as error:
        record(error)
        raise
    except Exception as error:
        told = RunError(f"{what}: {typed_line(error)}")
        record(told)
        raise told from error


@contextmanager
def reraised() -> Iterator[None]:
    """Raise the first error of a callback, instead of JAX's error about it; also a decorator.

    Raises:
        PopulaceError: a callback raised it.

    """
    errors: list[PopulaceError] = []
    _collected.append(errors)
    level = _jax_log.level
    _jax_log.setLevel(logging.CRITICAL)  # it prints the traceback of every callback that raises
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        _forget_failed_programs()
        if not errors:
            raise
        raise errors[0] from error
    finally:
        _jax_log.setLevel(level)
        # By identity: lists that are empty or hold the same errors compare equal.
        del _collected[next(i for i, other in enumerate(_collected) if other is errors)]


def _forget_failed_programs() -> None:
    """Keep JAX from waiting for the failed programs at exit, where it would print their tracebacks again.

    JAX has no public call for that: `jax.effects_barrier` waits for the same programs, raises the same error,
    and keeps them. Without this the run still ends with its one line, and tracebacks follow it; so a JAX that
    has moved these internals must not hide the error. A test of this file fails if it has.
    """
    try:
        from jax._src.dispatch import runtime_tokens
    except ImportError:
        return
    clear: Any = getattr(runtime_tokens, "clear", None)
    if clear is not None:
        clear()
