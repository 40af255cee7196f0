"""Documents from files: texts, folders of texts, and a column of JSON Lines or CSV."""

import csv
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
    if documents not in DIVISIONS:
        raise unknown("division into documents", documents, DIVISIONS)
    place = Path(path).expanduser()
    if place.is_dir():
        files = sorted(p for p in place.rglob("*") if p.suffix.lower() in _TEXTS and p.is_file())
        if not files:
            raise UsageError(f"'{place}' has no {' or '.join(_TEXTS)} file; give a folder of texts")
    elif place.is_file():
        files = [place]
    else:
        raise UsageError(f"no text at '{place}': there is no such file or folder")
    found = [text for file in files for text in _of_file(file, column, documents) if text.strip()]
    if not found:
        raise UsageError(f"'{place}' is empty: it has no text but white space")
    return found


def read_text(path: Path) -> str:
    """Return the text of a file.

    Raises:
        UsageError: it cannot be read, or is no UTF-8 text.

    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read '{path}': {error.strerror or error}") from None
    if (place := raw.find(0)) >= 0:
        raise UsageError(f"'{path}' is no text: byte {place} is 0; give text in UTF-8")
    try:
        return raw.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise UsageError(
            f"'{path}' is no UTF-8 text: byte {error.start} is 0x{raw[error.start]:02x}; convert it to UTF-8"
        ) from None


def _of_file(path: Path, column: str, documents: str) -> Iterator[str]:
    text = read_text(path)
    if path.suffix.lower() == ".jsonl":
        yield from _json_lines(path, text, column)
    elif path.suffix.lower() == ".csv":
        yield from _csv_rows(path, text, column)
    elif documents == "lines":
        yield from text.split("\n")
    elif documents == "paragraphs":
        lines: list[str] = []
        for line in [*text.split("\n"), ""]:
            if line.strip():
                lines.append(line)
            elif lines:
                yield "\n".join(lines)
                lines = []
    else:
        yield text


def _json_lines(path: Path, text: str, column: str) -> Iterator[str]:
    for number, line in enumerate(text.split("\n"), 1):
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


def _csv_rows(path: Path, text: str, column: str) -> Iterator[str]:
    before = csv.field_size_limit(_LONGEST_FIELD)
    try:
        rows = csv.DictReader(text.splitlines(keepends=True), strict=True)
        names = rows.fieldnames or ()
        if column not in names:
            raise unknown("column", column, map(str, names), where=f" in '{path}'")
        for row in rows:
            yield row[column] or ""
    except csv.Error as error:
        raise UsageError(f"'{path}' is no CSV: {error}") from None
    finally:
        csv.field_size_limit(before)
