"""What one call of a compiled function costs: its time by measurement, its memory from the compiler."""

import time
from collections.abc import Callable
from typing import Any

import jax

_SHORTEST = 2e-3
"""Minimum duration of one timing in seconds: the function is called repeatedly to reach it."""


class Timer:
    """Times calls of a function that gives arrays; the first timing finds how many calls last long enough."""

    def __init__(self, call: Callable[[], Any]) -> None:
        self._call, self._calls = call, 0

    def seconds(self) -> float:
        """Return the duration of one call in seconds: the mean over calls that together last 2 ms."""
        if not self._calls:
            self._time(1)  # the first call also loads the program
            self._calls = 1
            while (taken := self._time(self._calls)) < _SHORTEST:
                self._calls = max(2 * self._calls, int(self._calls * _SHORTEST / max(taken, 1e-9)))
        return self._time(self._calls) / self._calls

    def _time(self, calls: int) -> float:
        start = time.perf_counter()
        for _ in range(calls):
            jax.block_until_ready(self._call())
        return time.perf_counter() - start


def memory_of(compiled: Any) -> int:
    """Return the peak memory of a compiled function in bytes: arguments, results and temporaries."""
    found = compiled.memory_analysis()
    return int(
        found.argument_size_in_bytes
        + found.output_size_in_bytes
        + found.temp_size_in_bytes
        - found.alias_size_in_bytes
    )
