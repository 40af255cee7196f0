"""Cost profile: what a layer costs over a range of sizes, and how that grows.

Time, FLOPs, bytes moved and memory held, forward and with the gradient, each with the exponent p that is
fitted to `cost = c * size^p`. FLOPs, bytes and memory come from the compiler and are the same in every
run; time is measured and is not.
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
"""What is profiled: attribute of `Cost`, and its name in words."""


@dataclass(frozen=True)
class Cost:
    """What one program costs at one size: timings of one call in seconds, and what XLA counts."""

    times: tuple[float, ...]
    counts: Counts

    @property
    def seconds(self) -> float:
        """Median time of one call."""
        return statistics.median(self.times)

    @property
    def flops(self) -> float:
        """Floating-point operations."""
        return self.counts.flops

    @property
    def bytes(self) -> float:
        """Bytes read and written by all operations of the optimised program."""
        return self.counts.bytes

    @property
    def memory(self) -> float:
        """Most bytes held at once: arguments, results and temporaries."""
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
    """Why sizes that were asked for are not there."""

    def values(self, which: str, quantity: str) -> list[float]:
        """Return one quantity (`seconds`, `flops`, `bytes`, `memory`) of `forward` or `gradient`."""
        return [getattr(cost, quantity) for cost in getattr(self, which)]

    def exponent(self, which: str, quantity: str) -> Interval:
        """Return p of `quantity = c * size^p` with its 95 % interval, from least squares in logarithms.

        The interval covers the scatter of the points around one power law. A sum of powers, such as
        `n^2 + n`, bends; p then lies between the powers, nearer to that of the sizes profiled. NaN
        with fewer than 3 sizes, or where something costs nothing.
        """
        if len(self.sizes) < 3:
            return Interval(math.nan, math.nan, math.nan)
        return exponent(self.sizes, self.values(which, quantity))

    @property
    def uncounted(self) -> tuple[str, ...]:
        """What FLOPs and bytes leave out, of all sizes."""
        return tuple(sorted({u for cost in (*self.forward, *self.gradient) for u in cost.counts.uncounted}))


def profile(name: str, build: Build, sizes: Sequence[int], *, repeats: int = 7, seed: int = 0) -> Profile:
    """Measure a layer over a range of sizes.

    Timings go round all sizes `repeats` times, so that what else the machine does now and then falls on
    all of them and not on one.

    Args:
        name: what to call it.
        build: `build(size, key=key)` returns the layer and the tuple of its arguments, one example. Any
            callable will do that Equinox can take apart into arrays and the rest. It is traced first,
            for the size of what it makes.
        sizes: at least 3 different whole numbers above 0.
        repeats: timings of each program, of which the median counts.
        seed: of the key for weights and inputs.

    Raises:
        UsageError: sizes or repeats that cannot be, and what the layer raises for a size.

    """
    *_, last = profiled(name, build, sizes, repeats=repeats, seed=seed)
    return last


def profiled(
    name: str, build: Build, sizes: Sequence[int], *, repeats: int = 7, seed: int = 0
) -> Iterator[Profile]:
    """Yield the profile as it grows: after every size that is compiled, and every round of timings.

    Arguments and errors are those of `profile`. A size that needs more memory than this machine has is left
    out with all above it, and said in `missing`; it is not run.
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
        if needed <= here:  # else not even the arguments fit
            pair = _Pair(*make())
            needed = pair.memory
        if pair is None or needed > here:
            missing = (f"{size:,} needs {needed / 2**30:,.1f} GiB of memory, {here / 2**30:,.1f} are here",)
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
    """The two programs of a layer at one size, and what is known of their costs."""

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
    """Return the sizes in order.

    Raises:
        UsageError: fewer than 3 different ones, or one below 1.

    """
    found = sorted(set(sizes))
    if len(found) < 3 or found[0] < 1:
        raise UsageError(f"sizes must be at least 3 different whole numbers above 0, got {list(sizes)}")
    return tuple(found)


def _bytes(tree: Any) -> int:
    arrays = [a for a in jax.tree.leaves(tree) if hasattr(a, "dtype")]
    return sum(a.size * a.dtype.itemsize for a in arrays)


def _forward(layer: Any, inputs: tuple[Any, ...]) -> Any:
    return eqx.filter(layer(*inputs), eqx.is_inexact_array)


def _gradient(layer: Any, inputs: tuple[Any, ...], weights: Any) -> tuple[Any, Any]:
    """Return the output and the gradient of its sum, weighted so that no term of it is trivial."""
    arrays, rest = eqx.partition((layer, inputs), eqx.is_inexact_array)
    out, pull = jax.vjp(lambda a: _forward(*eqx.combine(a, rest)), arrays)
    return out, pull(weights)[0]
