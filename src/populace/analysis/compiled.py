"""The cost of one compiled program: FLOPs, bytes and memory from the compiler, time by measurement."""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, jaxpr_as_fun
from jax.interpreters.partial_eval import dce_jaxpr

from populace.core.system.single_call import Timer, memory_of
from populace.nn.conv import correlation
from populace.nn.recurrent import fused

_CALLS = re.compile(r'custom_call_target="([^"]+)"')
_KERNELS = {
    correlation.correlation_p: correlation.flops_of_kernel,
    fused.recur_p: fused.flops_of_kernel,
    fused.recur_back_p: fused.flops_of_kernel,
}
"""Native kernels whose work is known here."""
_COUNTED = {"populace_correlation", "populace_recur", "populace_recur_back"}


@dataclass(frozen=True)
class Counts:
    """The compiler's cost analysis of a program.

    `flops` and `bytes` come from XLA's cost analysis of the optimized program. XLA counts the body of a loop
    once; here the body of every `scan` is counted once per iteration. `memory` is the peak in bytes:
    arguments, results and temporaries.
    """

    flops: float
    bytes: float
    memory: int
    uncounted: tuple[str, ...] = ()
    """What `flops` and `bytes` do not include: library calls such as an SVD, and iterations of `while`."""


class Program:
    """A function compiled for the shapes of its array arguments."""

    def __init__(self, function: Callable[..., Any], *args: Any) -> None:
        self._arrays, rest = eqx.partition(args, eqx.is_array)

        def run(arrays: Any) -> Any:
            return eqx.filter(function(*eqx.combine(arrays, rest)), eqx.is_array)

        self._traced = jax.jit(run).trace(self._arrays)
        self._compiled = self._traced.lower().compile()
        self._timer = Timer(lambda: self._compiled(self._arrays))

    def counts(self) -> Counts:
        """Return FLOPs, bytes and memory; compiles the body of every loop again."""
        uncounted: set[str] = set(_CALLS.findall(self._compiled.as_text() or "")) - _COUNTED
        whole = self._traced.jaxpr.jaxpr
        needed, _ = dce_jaxpr(whole, [True] * len(whole.outvars))  # XLA eliminates dead code too
        flops, moved = _cost(self._compiled) + _repeated(needed, uncounted)
        return Counts(float(flops), float(moved), memory_of(self._compiled), tuple(sorted(uncounted)))

    def seconds(self) -> float:
        """Return the duration of one call in seconds: the mean over calls that together last 2 ms."""
        return self._timer.seconds()


def memory_here() -> int:
    """Return the available memory in bytes: of the device, or of the machine and its cgroup limit."""
    device = jax.local_devices()[0]
    if limit := (device.memory_stats() or {}).get("bytes_limit"):
        return int(limit)
    found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    with suppress(OSError, ValueError):  # not Linux, or no limit (`max`)
        found.append(int(Path("/sys/fs/cgroup/memory.max").read_text()))
    return min(found)


def _repeated(jaxpr: Jaxpr, uncounted: set[str]) -> np.ndarray:
    """Return the FLOPs and bytes that XLA does not count: loop iterations and native kernels.

    With X(body) XLA's count of a body compiled on its own, and R(body) the result of this function, a loop of
    n iterations costs `n (X(body) + R(body))`, of which XLA counts `X(body)` once per copy of the body in the
    unrolled program.
    """
    total = np.zeros(2)
    for equation in jaxpr.eqns:
        if flops_of_kernel := _KERNELS.get(equation.primitive):
            total[0] += flops_of_kernel(*(v.aval for v in equation.invars), **equation.params)
        inside = [_repeated(part, uncounted) for part in _parts(equation.params)]
        if not inside:
            continue
        if equation.primitive.name == "scan":
            body, turns, unroll = (equation.params[name] for name in ("jaxpr", "length", "unroll"))
            standing = min(turns, unroll + turns % max(unroll, 1))
            total += turns * inside[0] + (turns - standing) * _cost(_compile(body))
        elif equation.primitive.name == "cond":
            total += max(inside, key=lambda cost: cost[0])
        else:
            total += sum(inside)
            if equation.primitive.name == "while":
                uncounted.add("all iterations but one of a while loop")
    return total


def _parts(params: dict[str, Any]) -> Iterator[Jaxpr]:
    """Yield the programs nested in a program: loop bodies, branches, called functions."""
    for value in params.values():
        for part in value if isinstance(value, tuple | list) else (value,):
            if isinstance(part, ClosedJaxpr):
                yield part.jaxpr
            elif isinstance(part, Jaxpr):
                yield part


def _compile(body: ClosedJaxpr) -> Any:
    inputs = [jax.ShapeDtypeStruct(a.shape, a.dtype) for a in body.in_avals]
    return jax.jit(jaxpr_as_fun(body)).lower(*inputs).compile()


def _cost(compiled: Any) -> np.ndarray:
    found = compiled.cost_analysis() or {}
    return np.asarray([found.get("flops", 0.0), found.get("bytes accessed", 0.0)])
