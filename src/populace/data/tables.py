"""Numbers from text files, whatever separates them; a bad line is named."""

import csv
import gzip
import io
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from populace.data.download import damaged

_SEPARATORS = (",", ";", "\t", " ")
_COMMENTS = "#%"
_PACKED, _SMALL = 200, 2**20  # the most that a byte of a packed table holds, and what any may


def table(path: str | Path, columns: tuple[int, ...] | None = None, *, gaps: bool = False) -> np.ndarray:
    """Return the numbers of [`numbered`][populace.data.tables.numbered], without their lines."""
    return numbered(path, columns, gaps=gaps)[0]


def numbered(
    path: str | Path, columns: tuple[int, ...] | None = None, *, gaps: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Read numbers, (rows, columns) float64, from a text file, and the line each row is in, from 1.

    Args:
        path: the file, packed with gzip or not. The separator is the first of comma, semicolon, tab and space
            in its first line. Empty lines, and those that begin with # or %, are passed over. Numbers may
            be quoted.
        columns: how many are allowed.
        gaps: whether nothing between two separators is NaN.

    Raises:
        RunError: no such file, or a line that is not as the others, with its number.

    """
    lines, kept = _lines(path)
    separator = next((s for s in _SEPARATORS if kept and s in lines[kept[0]].strip()), ",")
    if kept and _row(lines[kept[0]], separator, gaps) is None and not _some(lines[kept[0]], separator):
        del kept[0]  # a header
    rows = lines if len(kept) == len(lines) else [lines[i] for i in kept]
    try:
        if gaps or not rows:
            raise ValueError
        values = np.loadtxt(rows, delimiter=None if separator == " " else separator, ndmin=2, comments=None)
    except ValueError:
        values = _slowly(path, rows, kept, separator, gaps)
    if not values.size:
        values = np.zeros((0, columns[0] if columns else 1))
    if columns is not None and values.shape[1] not in columns:
        expected = " or ".join(map(str, columns))
        raise damaged(path, f"has {values.shape[1]} columns in line {kept[0] + 1}, expected {expected}")
    return values, np.array(kept, np.int64) + 1


def fields(path: str | Path) -> tuple[list[list[str]], np.ndarray]:
    """Read the fields of rows, as words, from a text file as `numbered` takes it, and the line of each row.

    Fields may be quoted, also where they hold the separator; blanks around them are left out. No line is
    taken for a header, and rows may differ in length.

    Raises:
        RunError: a file that cannot be read.

    """
    lines, kept = _lines(path)
    separator = next((s for s in _SEPARATORS if kept and s in lines[kept[0]].strip()), ",")
    texts = (" ".join(lines[i].split()) if separator == " " else lines[i] for i in kept)
    rows = csv.reader(texts, delimiter=separator, skipinitialspace=True)
    try:
        return [[_unquoted(field) for field in row] for row in rows], np.array(kept, np.int64) + 1
    except csv.Error as error:
        raise damaged(path, f"cannot be read ({error})") from None


def _lines(path: str | Path) -> tuple[list[str], list[int]]:
    """Return all lines of a file, packed or not, and the places of those with more than a comment."""
    try:
        content = Path(path).read_bytes()
        text = (_unpacked(content) if content[:2] == b"\x1f\x8b" else content).decode("utf-8-sig")
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise damaged(path, f"cannot be read ({getattr(error, 'strerror', None) or error})") from None
    lines = text.splitlines()
    kept = [i for i, line in enumerate(lines) if (bare := line.lstrip()) and bare[0] not in _COMMENTS]
    return lines, kept


def _unpacked(content: bytes) -> bytes:
    """Return what was packed with gzip, if it is not far more than numbers pack to."""
    most = _SMALL + _PACKED * len(content)
    with gzip.open(io.BytesIO(content)) as file:
        found = file.read(most + 1)
    if len(found) > most:
        raise zlib.error(f"{len(content):,} bytes unpack to more than {most:,}, which no table does")
    return found


def _slowly(path: Any, lines: list[str], places: list[int], separator: str, gaps: bool) -> np.ndarray:
    """Read line by line, to say which is wrong."""
    rows: list[list[float]] = []
    for place, line in zip(places, lines):
        row = _row(line, separator, gaps)
        if row is None:
            raise damaged(path, f"has in line {place + 1} '{line.strip()[:40]}', expected numbers")
        if rows and len(row) != len(rows[0]):
            raise damaged(path, f"has {len(row)} columns in line {place + 1}, {len(rows[0])} in the others")
        rows.append(row)
    return np.array(rows, np.float64).reshape(len(rows), -1 if rows else 0)


def _row(line: str, separator: str, gaps: bool) -> list[float] | None:
    """Return the numbers of a line, None if it has anything else."""
    fields = line.split() if separator == " " else line.split(separator)
    try:
        return [np.nan if gaps and not field.strip() else float(_unquoted(field)) for field in fields]
    except ValueError:
        return None


def _unquoted(field: str) -> str:
    """Return a field without the quotation marks around it."""
    field = field.strip()
    return field[1:-1] if len(field) > 2 and field[0] == field[-1] and field[0] in "'\"" else field


def _some(line: str, separator: str) -> bool:
    """Return whether any field of a line is a number."""
    return any(
        _row(field, "\0", False) is not None for field in line.split(None if separator == " " else separator)
    )
