"""Functions that look something up once, also where JAX is tracing.

Whoever calls `jax.jit(learner.init)` makes the learner's first look-ups under a trace. What they compute
would be tracers, which fail when they become NumPy arrays, or stay in a cache and fail later.
"""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import jax

P = ParamSpec("P")
R = TypeVar("R")


def eager(function: Callable[P, R]) -> Callable[P, R]:
    """Return a function that computes with values, whatever is traced where it is called."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        with jax.ensure_compile_time_eval():
            return function(*args, **kwargs)

    return call
