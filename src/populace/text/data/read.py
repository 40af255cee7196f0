"""Documents from files: texts, folders of texts, and a column of JSON Lines or CSV."""

import csv
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from populace.core.errors import UsageError, unknown
from populace.core.untrusted.shown import shown

DIVISIONS = ("file", "lines", "paragraphs")
_TEXTS = (".txt", ".md")
_TABLES = (".jsonl", ".csv")
_LONGEST_FIELD = 2**27


def read_documents(path: str | Path, *, column: str = "text", documents: str = "file") -> list[str]:
    """Return the documents of a file or folder, in order; those of white space alone are left out.

    Args:
        path: a text (UTF-8); a `.jsonl` or `.csv`, whose rows are documents; or a folder, whose `.txt` and
            `.md` files are read in the order of their paths.
        column: of a `.jsonl` or `.csv`, the text; a list of texts is joined by line breaks.
        documents: what of a text is a document: the `file`, one of its `lines`, or one of its `paragraphs`,
            between empty lines.

    Raises:
        UsageError: no such file or column, a file that is no text, or no document.

    """
    found = [text for text in iterate_documents(path, column, documents) if text.strip()]
    if not found:
        raise UsageError(f"'{Path(path).expanduser()}' is empty: it has no text but white space")
    return found


def iterate_documents(path: str | Path, column: str = "text", documents: str = "file") -> Iterator[str]:
    """Yield the documents of a file or folder as `read_documents` reads them, one after the other.

    Those of white space alone are among them. No more than a document, or a line, is in memory.
    """
    if documents not in DIVISIONS:
        raise unknown("division into documents", documents, DIVISIONS)
    for file in files_of(path):
        yield from _of_file(file, column, documents)


def files_of(path: str | Path) -> list[Path]:
    """Return the file that a path names, or the texts in the folder, in the order of their paths.

    Raises:
        UsageError: there is none.

    """
    place = Path(path).expanduser()
    if place.is_file():
        return [place]
    if not place.is_dir():
        raise UsageError(f"no text at '{place}': there is no such file or folder")
    files = sorted(p for p in place.rglob("*") if p.suffix.lower() in _TEXTS and p.is_file())
    if not files:
        raise UsageError(f"'{place}' has no {' or '.join(_TEXTS)} file; give a folder of texts")
    return files


def read_text(path: Path) -> str:
    """Return the text of a file.

    Raises:
        UsageError: it cannot be read, or is no UTF-8 text.

    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read '{path}': {error.strerror or error}") from None
    return _decoded(path, raw, 0)


def is_table(path: Path) -> bool:
    """Return whether the rows of a file are documents, rather than parts of its text."""
    return path.suffix.lower() in _TABLES


def _of_file(path: Path, column: str, documents: str) -> Iterator[str]:
    if path.suffix.lower() == ".jsonl":
        yield from _json_lines(path, column)
    elif path.suffix.lower() == ".csv":
        yield from _csv_rows(path, column)
    elif documents == "lines":
        for line in _lines(path):
            yield line.removesuffix("\n")
    elif documents == "paragraphs":
        lines: list[str] = []
        for line in itertools.chain(_lines(path), [""]):
            if line.strip():
                lines.append(line)
            elif lines:
                yield "".join(lines).removesuffix("\n")
                lines = []
    else:
        yield read_text(path)


def _lines(path: Path) -> Iterator[str]:
    """Yield the lines of a text with their ends; that of Windows becomes a line feed."""
    place = 0
    try:
        with path.open("rb") as file:
            for raw in file:
                yield _decoded(path, raw, place)
                place += len(raw)
    except OSError as error:
        raise UsageError(f"cannot read '{path}': {error.strerror or error}") from None


def _decoded(path: Path, raw: bytes, first: int) -> str:
    """Return the text of bytes, the first of which is byte `first` of a file."""
    if (place := raw.find(0)) >= 0:
        raise UsageError(f"'{path}' is no text: byte {first + place} is 0; give text in UTF-8")
    try:
        return raw.decode("utf-8" if first else "utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise UsageError(
            f"'{path}' is no UTF-8 text: byte {first + error.start} is 0x{error.object[error.start]:02x}; "
            "convert it to UTF-8"
        ) from None


def _json_lines(path: Path, column: str) -> Iterator[str]:
    for number, line in enumerate(_lines(path), 1):
        if not line.strip():
            continue
        where = f"line {number} of '{path}'"
        try:
            row: Any = json.loads(line)
        except (ValueError, RecursionError):
            raise UsageError(f"{where} is no JSON; a .jsonl file has one object a line") from None
        if not isinstance(row, dict):
            raise UsageError(f"{where} is a {type(row).__name__}; expected an object with the key '{column}'")
        if column not in row:
            raise unknown("column", column, map(str, row), where=f" in {where}")
        value = row[column]
        if isinstance(value, list) and all(isinstance(part, str) for part in value):
            value = "\n".join(value)
        if not isinstance(value, str | None):
            raise UsageError(f"'{column}' in {where} is {shown(value)}; expected text, or a list of texts")
        yield value or ""


def _csv_rows(path: Path, column: str) -> Iterator[str]:
    before = csv.field_size_limit(_LONGEST_FIELD)
    try:
        lines = (line for some in _lines(path) for line in some.splitlines(keepends=True))
        rows = csv.DictReader(lines, strict=True)
        names = rows.fieldnames or ()
        if column not in names:
            raise unknown("column", column, map(str, names), where=f" in '{path}'")
        for row in rows:
            yield row[column] or ""
    except csv.Error as error:
        raise UsageError(f"'{path}' is no CSV: {error}") from None
    finally:
        csv.field_size_limit(before)
