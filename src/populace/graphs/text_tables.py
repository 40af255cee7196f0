"""Numbers from text files, whatever separates them; a bad line is named."""

import gzip
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from populace.datasets import damaged

_SEPARATORS = (",", ";", "\t", " ")


def table(path: str | Path, columns: tuple[int, ...] | None = None, *, gaps: bool = False) -> np.ndarray:
    """Read numbers, (rows, columns) float64, from a text file, packed with gzip or not.

    Args:
        path: the file. The separator is the first of comma, semicolon, tab and space in its first line.
        columns: how many are allowed.
        gaps: whether nothing between two separators is NaN.

    Raises:
        RunError: no such file, or a line that is not as the others, with its number.

    """
    try:
        content = Path(path).read_bytes()
        text = (gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content).decode("utf-8-sig")
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise damaged(path, f"cannot be read ({getattr(error, 'strerror', None) or error})") from None
    lines = text.splitlines()
    first = next((i for i, line in enumerate(lines) if line.strip()), len(lines))
    separator = next((s for s in _SEPARATORS if first < len(lines) and s in lines[first].strip()), ",")
    if (
        first < len(lines)
        and _row(lines[first], separator, gaps) is None
        and not _some(lines[first], separator)
    ):
        first += 1  # a header
    try:
        if gaps or first == len(lines):
            raise ValueError
        values = np.loadtxt(
            lines[first:], delimiter=None if separator == " " else separator, ndmin=2, comments=None
        )
    except ValueError:
        values = _slowly(path, lines, first, separator, gaps)
    if not values.size:
        values = np.zeros((0, columns[0] if columns else 1))
    if columns is not None and values.shape[1] not in columns:
        expected = " or ".join(map(str, columns))
        raise damaged(path, f"has {values.shape[1]} columns in line {first + 1}, expected {expected}")
    return values


def _slowly(path: Any, lines: list[str], first: int, separator: str, gaps: bool) -> np.ndarray:
    """Read line by line, to say which is wrong."""
    rows: list[list[float]] = []
    for number, line in enumerate(lines[first:], first + 1):
        if not line.strip():
            continue
        row = _row(line, separator, gaps)
        if row is None:
            raise damaged(path, f"has in line {number} '{line.strip()[:40]}', expected numbers")
        if rows and len(row) != len(rows[0]):
            raise damaged(path, f"has {len(row)} columns in line {number}, {len(rows[0])} in the others")
        rows.append(row)
    return np.array(rows, np.float64).reshape(len(rows), -1 if rows else 0)


def _row(line: str, separator: str, gaps: bool) -> list[float] | None:
    """Return the numbers of a line, None if it has anything else."""
    fields = line.split() if separator == " " else line.split(separator)
    try:
        return [np.nan if gaps and not field.strip() else float(field) for field in fields]
    except ValueError:
        return None


def _some(line: str, separator: str) -> bool:
    """Return whether any field of a line is a number."""
    return any(
        _row(field, "\0", False) is not None for field in line.split(None if separator == " " else separator)
    )
