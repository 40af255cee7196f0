"""Number formatting: as many digits as the confidence interval supports."""

import math
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from populace.statistics import FEWEST, Interval

MISSING = "–"
_THIN = "\u202f"  # a narrow space that does not break, the separator of thousands
_MINUS = "\u2212"


def number(value: float | None, digits: int = 4) -> str:
    """Format a number with the given significant digits; a dash for None or NaN."""
    if value is None or math.isnan(value):
        return MISSING
    if math.isinf(value):
        return "∞" if value > 0 else f"{_MINUS}∞"
    if value == 0:
        return "0"
    size = math.floor(math.log10(abs(value)))
    if size < -4 or size > 9:
        mantissa, exponent = f"{value:.{max(digits - 2, 0)}e}".split("e")
        return f"{_trim(mantissa)}e{int(exponent)}".replace("-", _MINUS)
    return _trim(fixed(value, max(0, digits - 1 - size)))


def rough(value: float | None, digits: int = 3) -> str:
    """Format a measured quantity rounded to the given significant digits."""
    if not value or not math.isfinite(value):
        return number(value)
    return number(round(value, digits - 1 - math.floor(math.log10(abs(value)))), digits)


def significant(value: float) -> float:
    """Round a number to six significant digits: scores that differ by less, the rounding of float32, tie."""
    return float(f"{value:.6g}")


def column(values: Sequence[float | None], digits: int = 4) -> list[str]:
    """Format a column of numbers with the decimals that give the largest of them the significant digits.

    All have the same decimals, without the zeros that all end in; very small or large ones are formatted by
    `number`, each alone.
    """
    known = [v for v in values if v is not None and math.isfinite(v)]
    largest = max(map(abs, known), default=0.0)
    if known and not (largest == 0 or 1e-4 <= largest < 1e10):
        return [number(v, digits) for v in values]
    size = math.floor(math.log10(largest)) if largest else 0
    decimals = max(0, digits - 1 - size)
    while decimals and all(f"{v:.{decimals}f}".endswith("0") for v in known):
        decimals -= 1
    return [number(v) if v is None or not math.isfinite(v) else fixed(v, decimals) for v in values]


def moment(text: str | None) -> str:
    """Format an ISO time as `2026-01-05 14:03 UTC`; other text is returned unchanged."""
    try:
        return datetime.fromisoformat(text or "").strftime("%Y-%m-%d %H:%M %Z").strip()
    except ValueError:
        return text or ""


def fixed(value: float, decimals: int) -> str:
    """Format a number with a fixed number of decimals and thin spaces between thousands."""
    text = f"{value:,.{decimals}f}"
    if float(text.replace(",", "")) == 0:
        text = text.lstrip("-")
    text = text.replace(",", _THIN if abs(value) >= 10_000 else "")
    return text.replace("-", _MINUS)


def whole(value: float | None) -> str:
    """Format a count."""
    return MISSING if value is None else fixed(round(value), 0)


def interval(found: Interval | None, *, named: bool = False) -> str:
    """Format an interval as `499.2 (496.0 to 500.0)`; `named` says what the bounds are, as `bounds_name`.

    Decimals are chosen to give two significant digits of the interval's width: more would be noise. An
    interval of zero width (one seed, or equal scores) is formatted as the value alone.
    """
    if found is None or math.isnan(found.value):
        return MISSING
    if not has_width(found):
        return number(found.value)
    name = ""
    if named:
        name = f"{bounds_name([found.range_of])}: " if found.range_of else f"{bounds_name([FEWEST])} "
    return f"{value_of(found)} ({name}{bounds_of(found)})"


def bounds_name(counts: Iterable[int]) -> str:
    """Return what the bounds around values over these numbers of seeds are.

    `95 % interval`, `range of 4 seeds`, or `95 % interval, or range of fewer than 5 seeds`; empty where every
    value is of a single seed, and has no bounds.
    """
    distinct = {count for count in counts if count > 1}
    few = distinct & set(range(FEWEST))
    names = ["95 % interval"] if distinct - few else []
    if few:
        names.append(f"range of {f'{few.pop()}' if len(few) == 1 else f'fewer than {FEWEST}'} seeds")
    return ", or ".join(names)


def value_of(found: Interval) -> str:
    """Format the point estimate of an interval with the digits that its width supports."""
    return _like(found, found.value) if has_width(found) else number(found.value)


def bounds_of(found: Interval) -> str:
    """Format the bounds of an interval, `496.0 to 500.0`."""
    return f"{_like(found, found.low)} to {_like(found, found.high)}"


def has_width(found: Interval) -> bool:
    """Return whether an interval is finite and has nonzero width."""
    return math.isfinite(found.high - found.low) and found.high > found.low


def setting(value: Any) -> str:
    """Format the value of a setting as in a recipe."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        short = f"{value:.6g}"
        return short if float(short) == value else f"{value:.4g}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(setting(item) for item in value) + "]"
    return str(value)


def duration(seconds: float | None) -> str:
    """Format a duration: `0.42 s`, `31 s`, `2 min 14 s`, `1 h 05 min`."""
    if seconds is None or math.isnan(seconds):
        return MISSING
    if seconds < 60:
        return f"{number(seconds, 2)} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"


def count(amount: int, noun: str) -> str:
    """Format a count with its noun: `1 seed` or `4 seeds`."""
    return f"{whole(amount)} {noun}{'' if amount == 1 else 's'}"


def _like(found: Interval, value: float) -> str:
    width = found.high - found.low
    largest = max(abs(found.low), abs(found.high))
    if largest < 1e-4:
        return number(value, 4)
    decimals = 1 - math.floor(math.log10(width))
    # For a very narrow interval, limit the value itself to six significant digits.
    enough = 5 - math.floor(math.log10(largest))
    return fixed(value, min(max(0, decimals), max(0, enough)))


def _trim(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text
