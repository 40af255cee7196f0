"""What every command prints in the same way: JSON on standard output, and the one line of an error."""

import json
import sys
from typing import Any, NoReturn


def fail(message: str, code: int) -> NoReturn:
    """Print one line on standard error and leave."""
    print(f"populace: {message}", file=sys.stderr)
    sys.exit(code)


def print_json(value: Any) -> None:
    """Print JSON on standard output."""
    print(json.dumps(value, indent=1))
