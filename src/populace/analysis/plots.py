"""Figures of gradient flow and of cost profiles."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from populace.analysis.cost import PASSES, QUANTITIES, Profile
from populace.analysis.gradient_flow import Flow
from populace.runs import figures

INK, MUTED, GRID = "#1d2226", "#5b646c", "#e3e6e8"
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b78103", "#4a4f55", "#3a9bd1")
MARKERS = "osD^vPX"
UNITS = {"seconds": "s", "flops": "FLOP", "bytes": "B", "memory": "B"}


def flow(found: Flow, *, title: str = "") -> np.ndarray:
    """Plot singular values over layers or steps, with the fitted rate and the bound: (H, W, 3) uint8.

    The y axis is logarithmic and may extend beyond the range of floats.
    """
    figure, (axes,) = _figure(1, 1, 7.2, 4.4)
    x, unit = np.arange(1, found.links + 1), "layer" if found.through == "depth" else "step"
    top = found.log_largest
    for i, values in enumerate(_others(found)):
        label = "" if i else "other singular values"
        axes.plot(x, values, color=COLORS[0], lw=0.8, alpha=0.5, label=label)
    seen = np.where(np.isfinite(top), top, np.nan)
    axes.plot(x, seen, color=COLORS[0], lw=2, label="largest singular value")
    if found.log_bound is not None:
        axes.plot(x, found.log_bound, color=COLORS[1], lw=1.5, ls="--", label="analytic bound")
    if np.isfinite(top).all() and found.rate.value > 0:
        fit = math.log10(found.rate.value) * (x - x.mean()) + top.mean()
        axes.plot(x, fit, color=INK, lw=1.2, ls=":", label=f"fit, x {found.rate.value:.3g} per {unit}")
    axes.axhline(0, color=MUTED, lw=0.8)
    axes.set_xlabel("layer" if found.through == "depth" else "time step")
    axes.set_ylabel("singular values of the Jacobian")
    axes.yaxis.set_major_formatter(lambda value, _: f"$10^{{{value:g}}}$")
    low, high = axes.get_ylim()
    axes.set_ylim(min(low, -1.0), max(high, 1.0))  # a constant must not look like a trend
    for axis in (axes.xaxis, axes.yaxis):
        axis.get_major_locator().set_params(integer=True)
    axes.set_title(f"{title}: {found.verdict}" if title else found.verdict, loc="left", color=INK)
    axes.legend(frameon=False, fontsize=9)
    return figures.to_image(figure, "").image


def costs(
    profiles: Sequence[Profile], orders: Mapping[str, float] | None = None, *, size: str = "size"
) -> np.ndarray:
    """Plot time, FLOPs, bytes and memory over size, forward and with the gradient: (H, W, 3) uint8.

    Args:
        profiles: one line each per panel, solid for the forward pass, dashed with the gradient.
        orders: documented exponents by name, drawn as a dotted slope if there is a single profile.
        size: label of the size, such as `length`.

    """
    figure, panels = _figure(2, 2, 9.6, 7.2)
    for axes, (quantity, name) in zip(panels, QUANTITIES.items()):
        for i, found in enumerate(profiles):
            for which in PASSES:
                _line(axes, found, which, quantity, i, alone=len(profiles) == 1)
        if len(profiles) == 1 and quantity in ("seconds", "flops"):
            _slope(axes, profiles[0], quantity, (orders or {}).get(profiles[0].name))
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        _ticks(axes)
        axes.set_title(name, loc="left", color=INK, fontsize=11)
        axes.set_xlabel(size)
        axes.yaxis.set_major_formatter(_engineering(UNITS[quantity]))
        sizes = sorted({n for found in profiles for n in found.sizes})
        if len(sizes) <= 8:
            axes.set_xticks(sizes, [f"{n:,}" for n in sizes], fontsize=8)
        axes.minorticks_off()
    if len(profiles) > 1:
        panels[0].plot([], [], color=MUTED, ls="--", label="with gradient")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower center", ncols=min(4, len(labels)), frameon=False, fontsize=9
    )
    figure.suptitle(", ".join(p.name for p in profiles) if len(profiles) < 5 else f"{len(profiles)} layers",
                    x=0.02, ha="left", color=INK)  # fmt: skip
    return figures.to_image(figure, "").image


def _line(axes: Any, found: Profile, which: str, quantity: str, i: int, *, alone: bool) -> None:
    values = np.asarray(found.values(which, quantity), np.float64)
    if not (values > 0).any():
        return
    gradient = which == "gradient"
    p = found.exponent(which, quantity).value
    own = "with gradient" if gradient else "forward"
    label = own if alone else None if gradient else found.name
    axes.plot(
        found.sizes, np.where(values > 0, values, np.nan), label=label,
        color=COLORS[(gradient if alone else i) % len(COLORS)], ls="--" if gradient else "-",
        marker=MARKERS[(i // len(COLORS)) % len(MARKERS)], ms=4, lw=1.5,
    )  # fmt: skip
    if alone and found.scales(which, quantity):
        axes.annotate(f"{p:.2f}", (found.sizes[-1], values[-1]), xytext=(6, -3), textcoords="offset points",
                      fontsize=9, color=COLORS[gradient])  # fmt: skip


def _slope(axes: Any, found: Profile, quantity: str, order: float | None) -> None:
    """Draw a line with the documented exponent through the last forward point."""
    last = found.values("forward", quantity)[-1]
    if order is None or last <= 0:
        return
    sizes = np.asarray(found.sizes, np.float64)
    line = last * (sizes / sizes[-1]) ** order
    axes.plot(sizes, line, color=MUTED, lw=1.2, ls=":", label=f"documented, size^{order:g}")


def _ticks(axes: Any) -> None:
    """Put ticks at 1, 2 and 5 where powers of ten alone would be one or none."""
    low, high = axes.get_ylim()
    if high < 100 * low:
        axes.yaxis.get_major_locator().set_params(subs=(1, 2, 5))


def _figure(rows: int, columns: int, width: float, height: float) -> tuple[Any, list[Any]]:
    figure, axes = figures.figure(width, height, nrows=rows, ncols=columns)
    panels = list(np.ravel(axes))
    for one in panels:
        one.spines[["left", "bottom"]].set_color(MUTED)
        one.tick_params(colors=MUTED, labelsize=9)
        one.grid(color=GRID, lw=0.8)
        one.set_axisbelow(True)
    return figure, panels


def _engineering(unit: str) -> Callable[[float, Any], str]:
    from populace.analysis.units import quantity

    return lambda value, _: quantity(value, unit)


def _others(found: Flow) -> list[np.ndarray]:
    """Return curves of at most 12 of the smaller singular values, NaN where a value is 0."""
    count = min(map(len, found.log_values))
    chosen = np.unique(np.linspace(1, count - 1, 12).round().astype(int)) if count > 1 else []
    curves = [np.asarray([values[k] for values in found.log_values]) for k in chosen]
    return [np.where(np.isfinite(curve), curve, np.nan) for curve in curves]
