"""Output shared by all commands: JSON on standard output, and one-line errors."""

import sys
from typing import Any, NoReturn

from populace.core.files import to_json


def fail(message: str, code: int) -> NoReturn:
    """Print one line to standard error and exit."""
    print(f"populace: {message}", file=sys.stderr)
    sys.exit(code)


def print_json(value: Any) -> None:
    """Print JSON to standard output."""
    print(to_json(value))
