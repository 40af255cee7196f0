"""Window: how a kernel slides over the spatial axes of an input: size, stride, dilation, padding.

Convolutions, their adjoints and pooling share this geometry and its checks. Along an axis of `n` entries
padded by `low` and `high`, a kernel of `k` elements spans `(k - 1) dilation + 1` entries and is applied at
`(n + low + high - span) // stride + 1` positions; element `t` at position `i` reads entry
`i stride + t dilation - low`.
"""

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from populace.core.errors import UsageError, unknown

Pair = tuple[int, int]
Padding = str | int | Sequence[int | Pair]
NAMED = ("valid", "same", "causal")
_AXES = {1: ("length",), 2: ("height", "width"), 3: ("depth", "height", "width")}


@dataclass(frozen=True)
class Window:
    """A kernel's geometry, one entry per spatial axis; made by `Window.of`, which checks it.

    Attributes:
        layer: name used in error messages.
        size: size of the kernel.
        stride: distance between positions.
        dilation: distance between the elements of the kernel.
        padding: `"valid"`, `"same"`, `"causal"`, or zeros (before, after) every axis.

    """

    layer: str
    size: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    padding: str | tuple[Pair, ...]

    @classmethod
    def of(
        cls,
        layer: str,
        spatial: int,
        size: int | Sequence[int],
        stride: int | Sequence[int] = 1,
        dilation: int | Sequence[int] = 1,
        padding: Padding = "valid",
    ) -> Self:
        """Return the window over `spatial` axes; a single number applies to every axis.

        `"valid"` adds no padding. `"same"` pads both sides evenly, with an odd zero at the end, so that there
        are `ceil(n / stride)` positions. `"causal"` pads `(size - 1) dilation` before and nothing after, so
        that position `i` depends on nothing after entry `i stride`. A number pads both sides of every axis; a
        sequence has one entry per axis, a number for both sides or a pair (before, after).

        Raises:
            UsageError: a number below 1 (padding: below 0), a sequence of the wrong length, or an unknown
                name.

        """
        if spatial < 1:
            raise UsageError(f"{layer}: expected at least 1 spatial axis, got {spatial}")

        def each(name: str, value: int | Sequence[int]) -> tuple[int, ...]:
            return _each(layer, name, value, spatial)

        sides = _sides(layer, padding, spatial)
        return cls(
            layer, each("kernel size", size), each("stride", stride), each("dilation", dilation), sides
        )

    @property
    def span(self) -> tuple[int, ...]:
        """Entries from the first element of the kernel to the last, both included."""
        return tuple((k - 1) * d + 1 for k, d in zip(self.size, self.dilation))

    def pads(self, sizes: Sequence[int]) -> tuple[Pair, ...]:
        """Return the zeros before and after every axis of an input of these spatial sizes.

        Raises:
            UsageError: the kernel does not fit into the padded input.

        """
        if self.padding == "valid":
            pads = [(0, 0)] * len(self.size)
        elif self.padding == "causal":
            pads = [(span - 1, 0) for span in self.span]
        elif isinstance(self.padding, str):
            ends = ((-(-n // s) - 1) * s + span for n, s, span in zip(sizes, self.stride, self.span))
            short = [max(end - n, 0) for end, n in zip(ends, sizes)]
            pads = [(p // 2, p - p // 2) for p in short]
        else:
            pads = list(self.padding)
        padded = tuple(n + low + high for n, (low, high) in zip(sizes, pads))
        if any(n < span for n, span in zip(padded, self.span)):
            dilated = f" spanning {self.span}" if self.span != self.size else ""
            grown = f" padded to {padded}" if padded != tuple(sizes) else ""
            raise UsageError(
                f"{self.layer}: input of spatial size {tuple(sizes)}{grown} is smaller than its kernel "
                f"{self.size}{dilated}"
            )
        return tuple(pads)

    def outputs(self, sizes: Sequence[int]) -> tuple[int, ...]:
        """Return the number of positions along every axis of an input of these spatial sizes."""
        pads = zip(sizes, self.pads(sizes), self.span, self.stride)
        return tuple((n + low + high - span) // s + 1 for n, (low, high), span, s in pads)

    def inputs(self, positions: Sequence[int], chosen: int | Sequence[int] | None = None) -> tuple[int, ...]:
        """Return the spatial sizes of an input that has these positions: the output sizes of the adjoint.

        With a stride, several sizes have the same positions. `"same"` and `"causal"` take the largest,
        `positions x stride`; the others take the smallest, every entry of which is read.

        Args:
            positions: number of positions along every axis.
            chosen: sizes to return instead, after checking that they have these positions.

        Raises:
            UsageError: no size has these positions, or the chosen one does not.

        """
        sides = self.padding
        if chosen is not None:
            sizes = _each(self.layer, "output size", chosen, len(self.size))
        elif sides in ("same", "causal"):
            sizes = tuple(n * s for n, s in zip(positions, self.stride))
        else:
            cut = [0] * len(self.size) if isinstance(sides, str) else map(sum, sides)
            whole = zip(positions, self.stride, self.span, cut)
            sizes = tuple((n - 1) * s + span - c for n, s, span, c in whole)
        if min(sizes) < 1 or self.outputs(sizes) != tuple(positions):
            raise UsageError(
                f"{self.layer}: input of spatial size {tuple(positions)} cannot become an output of {sizes}"
            )
        return sizes


def check_input(layer: str, shape: tuple[int, ...], spatial: int, channels: int | None = None) -> None:
    """Raise unless the shape of an example is (*spatial, channels).

    Raises:
        UsageError: wrong number of axes, or of channels if `channels` is given.

    """
    if len(shape) != spatial + 1 or (channels is not None and shape[-1] != channels):
        axes = _AXES.get(spatial, tuple(f"axis {i}" for i in range(spatial)))
        expected = ", ".join([*axes, "channels" if channels is None else str(channels)])
        raise UsageError(f"{layer}: input has shape {shape}, expected ({expected})")


def check_channels(layer: str, in_channels: int, out_channels: int, groups: int) -> None:
    """Raise unless the numbers of channels are positive integers divisible by the number of groups.

    Raises:
        UsageError: a number that is not a positive integer, or not divisible.

    """
    for name, value in (("in_channels", in_channels), ("out_channels", out_channels), ("groups", groups)):
        try:
            whole = operator.index(value)
        except TypeError:
            raise UsageError(f"{layer}: {name} must be a whole number, got {value!r}") from None
        if whole < 1:
            raise UsageError(f"{layer}: {name} must be at least 1, got {value}")
    if in_channels % groups or out_channels % groups:
        raise UsageError(
            f"{layer}: {in_channels} input and {out_channels} output channels are not divisible by "
            f"{groups} groups"
        )


def _each(layer: str, name: str, value: Any, spatial: int, least: int = 1) -> tuple[int, ...]:
    try:
        whole = tuple(
            operator.index(v) for v in (value if isinstance(value, Sequence) else [value] * spatial)
        )
    except TypeError:
        raise UsageError(f"{layer}: {name} must be whole numbers, got {value!r}") from None
    if len(whole) != spatial:
        raise UsageError(f"{layer}: {name} must be one number or {spatial}, got {value!r}")
    if min(whole) < least:
        raise UsageError(f"{layer}: {name} must be at least {least}, got {value!r}")
    return whole


def _sides(layer: str, padding: Any, spatial: int) -> str | tuple[Pair, ...]:
    if isinstance(padding, str):
        if padding not in NAMED:
            raise unknown("padding", padding, NAMED, where=f" of {layer}")
        return padding
    entries = padding if isinstance(padding, Sequence) else [padding] * spatial
    if len(entries) != spatial:
        raise UsageError(
            f"{layer}: padding must have one entry per spatial axis ({spatial}), got {padding!r}"
        )
    pairs = (_each(layer, "padding", entry, 2, least=0) for entry in entries)
    return tuple((low, high) for low, high in pairs)
