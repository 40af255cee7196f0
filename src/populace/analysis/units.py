"""Formatting of quantities with SI prefixes: `1.23 ms`, `45.6 GFLOP`."""

import math

_PREFIXES = {-9: "n", -6: "µ", -3: "m", 0: "", 3: "k", 6: "M", 9: "G", 12: "T", 15: "P"}


def quantity(value: float, unit: str = "") -> str:
    """Format a value with three significant digits and an SI prefix; `-` for NaN."""
    if not math.isfinite(value):
        return "-"
    if value == 0:
        return f"0 {unit}".rstrip()
    power = min(15, max(-9, 3 * math.floor(math.log10(abs(float(f"{value:.3g}"))) / 3)))
    return f"{value / 10.0**power:.3g} {_PREFIXES[power]}{unit}".rstrip()
