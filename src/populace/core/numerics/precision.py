"""Precision: programs of one learner in float64, while everything else in the process stays in float32.

JAX has one switch for both widths, and a program is traced, compiled and fed under it. A learner that needs
float64 says so (`Learner.x64`); the engine then turns the switch on around that learner's programs alone, in
this thread alone, so that no other learner is computed differently because of it.
"""

import contextlib
from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

import jax


class _HasX64(Protocol):
    @property
    def x64(self) -> bool: ...


P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S", bound=_HasX64)


def precision(x64: bool) -> contextlib.AbstractContextManager[Any]:
    """Return the context in which arrays of 64 bits stay as they are; without it nothing changes."""
    return jax.enable_x64(True) if x64 else contextlib.nullcontext()


def at_precision(method: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], R]:
    """Run a method in the precision that its object asks for by `x64`."""

    @wraps(method)
    def call(self: S, *args: P.args, **kwargs: P.kwargs) -> R:
        with precision(self.x64):
            return method(self, *args, **kwargs)

    return call
