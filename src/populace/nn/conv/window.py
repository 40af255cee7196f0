"""Window: how a kernel slides over the spatial axes of an input: size, stride, dilation, padding.

Convolutions, their adjoints and pools share this one geometry, and its refusals. Along an axis of `n`
entries padded by `low` and `high`, a kernel of `k` taps spans `(k - 1) dilation + 1` entries and is laid
down at `(n + low + high - span) // stride + 1` places; place `i` reads `i stride + tap dilation - low`.
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
        layer: whose window it is, for what errors say.
        size: taps of the kernel.
        stride: step from one place to the next.
        dilation: step from one tap to the next.
        padding: `"valid"`, `"same"`, `"causal"`, or zeros put (before, after) every axis.

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
        """Return the window over `spatial` axes; a single number counts for every axis.

        `"valid"` pads nothing. `"same"` pads so that there are `ceil(n / stride)` places, evenly, and an
        odd zero goes behind. `"causal"` pads `(size - 1) dilation` before and nothing behind, so that
        place `i` sees nothing after entry `i stride`. Or a number for both sides of every axis, or one
        entry per axis: a number for both sides, or a pair (before, after).

        Raises:
            UsageError: a number below 1 (padding: below 0), a wrong count, or an unknown name.

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
        """Entries from the first tap to the last, both included."""
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
        """Return the number of places along every axis of an input of these spatial sizes."""
        pads = zip(sizes, self.pads(sizes), self.span, self.stride)
        return tuple((n + low + high - span) // s + 1 for n, (low, high), span, s in pads)

    def inputs(self, places: Sequence[int], chosen: int | Sequence[int] | None = None) -> tuple[int, ...]:
        """Return spatial sizes of an input that has these places: what the adjoint returns.

        With a stride several sizes have the same places. `"same"` and `"causal"` take the largest,
        `places x stride`; the others the smallest, of which every entry is seen.

        Args:
            places: along every axis.
            chosen: the sizes to return instead, checked to have these places.

        Raises:
            UsageError: no size has these places, or not the chosen one.

        """
        sides = self.padding
        if chosen is not None:
            sizes = _each(self.layer, "output size", chosen, len(self.size))
        elif sides in ("same", "causal"):
            sizes = tuple(n * s for n, s in zip(places, self.stride))
        else:
            cut = [0] * len(self.size) if isinstance(sides, str) else map(sum, sides)
            whole = zip(places, self.stride, self.span, cut)
            sizes = tuple((n - 1) * s + span - c for n, s, span, c in whole)
        if min(sizes) < 1 or self.outputs(sizes) != tuple(places):
            raise UsageError(
                f"{self.layer}: input of spatial size {tuple(places)} cannot become an output of {sizes}"
            )
        return sizes


def check_input(layer: str, shape: tuple[int, ...], spatial: int, channels: int | None = None) -> None:
    """Refuse an example whose shape is not (*spatial, channels).

    Raises:
        UsageError: another number of axes, or of channels where `channels` says how many.

    """
    if len(shape) != spatial + 1 or (channels is not None and shape[-1] != channels):
        axes = _AXES.get(spatial, tuple(f"axis {i}" for i in range(spatial)))
        expected = ", ".join([*axes, "channels" if channels is None else str(channels)])
        raise UsageError(f"{layer}: input has shape {shape}, expected ({expected})")


def check_channels(layer: str, in_channels: int, out_channels: int, groups: int) -> None:
    """Refuse channels that are no whole numbers, below 1, or do not divide into the groups.

    Raises:
        UsageError: the numbers do not fit.

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
