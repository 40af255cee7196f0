"""Cost profiles: the cost of a layer over a range of sizes, and how it scales.

Time, FLOPs, bytes moved and peak memory, of the forward pass and with the gradient, each with the exponent p
of a fit of `cost = c * size^p`. FLOPs, bytes and memory come from the compiler and are the same in every run;
time is measured.
"""

import math
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from populace.analysis.compiled import Counts, Program, memory_here
from populace.analysis.fit import exponent
from populace.core.errors import UsageError
from populace.statistics import Interval

Build = Callable[..., tuple[Any, tuple[Any, ...]]]

PASSES = ("forward", "gradient")
QUANTITIES = {"seconds": "time", "flops": "FLOPs", "bytes": "bytes moved", "memory": "peak memory"}
"""Profiled quantities: attribute of `Cost` to its label."""


@dataclass(frozen=True)
class Cost:
    """The cost of one program at one size: times of single calls in seconds, and XLA's counts."""

    times: tuple[float, ...]
    counts: Counts

    @property
    def seconds(self) -> float:
        """Median time of one call, in seconds."""
        return statistics.median(self.times)

    @property
    def flops(self) -> float:
        """Floating-point operations."""
        return self.counts.flops

    @property
    def bytes(self) -> float:
        """Bytes read and written by all operations of the optimized program."""
        return self.counts.bytes

    @property
    def memory(self) -> float:
        """Peak memory in bytes: arguments, results and temporaries."""
        return self.counts.memory


@dataclass(frozen=True)
class Profile:
    """The costs of one layer by size, smallest first.

    `gradient` is the cost of the output and the gradient of weights and inputs in one program.
    """

    name: str
    sizes: tuple[int, ...] = ()
    forward: tuple[Cost, ...] = ()
    gradient: tuple[Cost, ...] = ()
    missing: tuple[str, ...] = field(default=(), kw_only=True)
    """Requested sizes that were not measured, with the reason."""

    def values(self, which: str, quantity: str) -> list[float]:
        """Return one quantity (`seconds`, `flops`, `bytes`, `memory`) of `forward` or `gradient`."""
        return [getattr(cost, quantity) for cost in getattr(self, which)]

    def exponent(self, which: str, quantity: str) -> Interval:
        """Return p of `quantity = c * size^p` with its 95 % interval, from least squares in logarithms.

        The interval covers the scatter of the points around a single power law. For a sum of powers, such as
        `n^2 + n`, p lies between the powers, closer to the one that dominates at the sizes profiled. NaN with
        fewer than 3 sizes, or if a cost is zero.
        """
        if len(self.sizes) < 3:
            return Interval(math.nan, math.nan, math.nan)
        return exponent(self.sizes, self.values(which, quantity))

    def scales(self, which: str, quantity: str) -> bool:
        """Return whether the exponent says how a cost grows: its 95 % interval is narrower than one power.

        A wider one does not tell n from n^2, be it for noise, sizes that lie too close, or a curve.
        """
        found = self.exponent(which, quantity)
        return found.high - found.low < 1

    @property
    def uncounted(self) -> tuple[str, ...]:
        """Operations that FLOPs and bytes do not include, at any size."""
        return tuple(sorted({u for cost in (*self.forward, *self.gradient) for u in cost.counts.uncounted}))


def profile(name: str, build: Build, sizes: Sequence[int], *, repeats: int = 7, seed: int = 0) -> Profile:
    """Profile a layer over a range of sizes.

    All sizes are timed in turn, `repeats` times, so that other load on the machine affects all of them alike.

    Args:
        name: name of the layer.
        build: `build(size, key=key)` returns the layer and the tuple of its arguments, a single example. The
            layer may be any callable pytree. `build` is traced first, to find the size of its result.
        sizes: at least 3 different positive integers.
        repeats: timings of each program; the median is reported.
        seed: seed of the weights and inputs.

    Raises:
        UsageError: invalid sizes or repeats, or whatever the layer raises for a size.

    """
    *_, last = profiled(name, build, sizes, repeats=repeats, seed=seed)
    return last


def profiled(
    name: str, build: Build, sizes: Sequence[int], *, repeats: int = 7, seed: int = 0
) -> Iterator[Profile]:
    """Yield the growing profile after every compiled size and every round of timings.

    Arguments and errors are those of `profile`. A size that needs more memory than this machine has is
    skipped, with all larger ones, and recorded in `missing`.
    """
    sizes = checked(sizes)
    if repeats < 1:
        raise UsageError(f"repeats must be at least 1, got {repeats}")
    measured: list[tuple[int, _Pair]] = []
    missing: tuple[str, ...] = ()

    def found() -> Profile:
        forward, gradient = ([pair.costs[i] for _, pair in measured] for i in (0, 1))
        done = tuple(size for size, _ in measured)
        return Profile(name, done, tuple(forward), tuple(gradient), missing=missing)

    for size in sizes:
        make = partial(build, size, key=jax.random.key(seed))
        pair, needed, here = None, _bytes(eqx.filter_eval_shape(make)), memory_here()
        if needed <= here:  # otherwise not even the arguments fit
            pair = _Pair(*make())
            needed = pair.memory
        if pair is None or needed > here:
            missing = (
                f"{size:,} needs {needed / 2**30:,.1f} GiB of memory, {here / 2**30:,.1f} GiB available",
            )
            break
        pair.time()
        measured.append((size, pair))
        yield found()
    for _ in range(repeats - 1):
        for _, pair in measured:
            pair.time()
        yield found()
    if missing:
        yield found()


class _Pair:
    """The two programs of a layer at one size, and their costs so far."""

    def __init__(self, layer: Any, inputs: tuple[Any, ...]) -> None:
        out = eqx.filter_eval_shape(_forward, layer, inputs)
        spread = lambda a: jnp.asarray(np.linspace(-1.0, 1.0, a.size).reshape(a.shape), a.dtype)  # noqa: E731
        weights = jax.tree.map(spread, out)
        self.programs = Program(_forward, layer, inputs), Program(_gradient, layer, inputs, weights)
        self.costs = [Cost((), program.counts()) for program in self.programs]

    @property
    def memory(self) -> int:
        return max(cost.counts.memory for cost in self.costs)

    def time(self) -> None:
        self.costs = [
            Cost((*cost.times, program.seconds()), cost.counts)
            for program, cost in zip(self.programs, self.costs)
        ]


def checked(sizes: Sequence[int]) -> tuple[int, ...]:
    """Return the sizes in ascending order.

    Raises:
        UsageError: fewer than 3 different sizes, or a size below 1.

    """
    found = sorted(set(sizes))
    if len(found) < 3 or found[0] < 1:
        raise UsageError(f"sizes must be at least 3 different positive integers, got {list(sizes)}")
    return tuple(found)


def _bytes(tree: Any) -> int:
    arrays = [a for a in jax.tree.leaves(tree) if hasattr(a, "dtype")]
    return sum(a.size * a.dtype.itemsize for a in arrays)


def _forward(layer: Any, inputs: tuple[Any, ...]) -> Any:
    return eqx.filter(layer(*inputs), eqx.is_inexact_array)


def _gradient(layer: Any, inputs: tuple[Any, ...], weights: Any) -> tuple[Any, Any]:
    """Return the output and the gradient of a weighted sum of it, in which no term is trivial."""
    arrays, rest = eqx.partition((layer, inputs), eqx.is_inexact_array)
    out, pull = jax.vjp(lambda a: _forward(*eqx.combine(a, rest)), arrays)
    return out, pull(weights)[0]
