"""How the command line begins and ends: its environment, and each failure as one line with an exit code."""

import errno
import os
import sys
import warnings
from typing import Any, NoReturn

from populace.cli.app import app
from populace.cli.output import fail, warning_line
from populace.core.errors import PopulaceError
from populace.core.untrusted.shown import shortened, shown

_PATHS = (errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR, errno.EACCES, errno.EPERM, errno.EROFS)
"""What a path can be to the system: every command takes some, and asks the system in many places."""


def main() -> None:
    """Run the command line. Errors are one line; the exit code is 2 for wrong usage, 1 for a failure."""
    # XLA and the device plugins write to standard error before Python can prevent it.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # Videos are rendered without a screen or sound card; SDL complains of both unless configured.
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
    os.environ.setdefault("SDL_AUDIODRIVER", "dummy")
    # git and ffmpeg are forked and exec'd at once, which JAX's threads cannot deadlock.
    warnings.filterwarnings("ignore", message=r"os\.fork\(\) was called", category=RuntimeWarning)
    warnings.formatwarning = warning_line
    if os.environ.get("POPULACE_DEBUG"):
        app()
        return
    try:
        sys.exit(app(standalone_mode=False) or 0)
    except PopulaceError as error:
        fail(error.command_line, error.exit_code)
    except KeyboardInterrupt:
        fail("interrupted", 130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _PATHS and error.filename is not None:
            fail(f"cannot use {shown(str(error.filename))}: {str(error.strerror).lower()}", 1)
        if hasattr(error, "format_message"):
            _misused(error)
        if type(error).__name__ == "Abort":
            fail("interrupted", 130)
        # Anything else is a bug or a fault of the machine: print one line, and how to get the traceback.
        text = shortened((str(error).strip().splitlines() or [type(error).__name__])[0], 300)
        fail(f"{type(error).__name__}: {text} (set POPULACE_DEBUG=1 for the traceback)", 1)


def _misused(error: Any) -> NoReturn:
    """Exit with the parser's error message, as one line like every other error.

    The exceptions are Click's, which some versions of Typer vendor, so they are recognized by their methods.
    """
    if type(error).__name__ == "NoArgsIsHelpError":
        if error.format_message():  # some versions have already printed the help
            error.show()
        sys.exit(error.exit_code)
    text = _expected(error) or " ".join(shortened(error.format_message(), 10_000).split()).rstrip(".")
    asked = getattr(error.ctx, "command_path", "populace") if hasattr(error, "ctx") else "populace"
    advice = "" if "Did you mean" in text or "Possible options" in text else f"; see `{asked} --help`"
    fail(text[:1].lower() + text[1:] + advice, error.exit_code)


def _expected(error: Any) -> str:
    """Return what a value of an option must be; empty if Typer does not say it by an error of pydantic's."""
    try:
        (found, *_) = error.__cause__.errors()
        name = error.format_message().split("'")[1]
        kind, limits = found["type"], found.get("ctx", {})
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        return ""
    words = {"int": "a whole number", "float": "a number"}.get(kind.partition("_")[0], "")
    ends = {"greater_than_equal": "at least {ge}", "less_than_equal": "at most {le}"}
    wanted = words or ends.get(kind, "").format(**limits)
    return f"{name} must be {wanted}, got '{found['input']}'" if wanted else ""
