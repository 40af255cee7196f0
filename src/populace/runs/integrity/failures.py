"""Failures: what ended a run that was asked for rightly, in a few words for the one line of the error."""

import errno
import os
import re
from pathlib import Path

import jax

from populace.core.errors import first_line, typed_line

_NUMBERS = (
    errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EFBIG, errno.EACCES, errno.ENOENT, errno.ESTALE,
)  # fmt: skip
_RAISED = re.compile(r"^([A-Za-z_][\w.]*): ?(.*)$")


def of_the_disk(error: Exception) -> OSError:
    """Return what a library in C++ says of a file as the error of the operating system that it comes from."""
    if isinstance(error, OSError) and error.errno:
        return error
    text = str(error)
    number = next((n for n in _NUMBERS if os.strerror(n) in text), errno.EIO)
    return OSError(number, os.strerror(number) if os.strerror(number) in text else first_line(error)[:200])


def reason(error: BaseException, folder: Path) -> str:
    """Return what a failing machine did to a run; empty for an error of another kind.

    Args:
        error: what was raised.
        folder: that was written to.

    """
    out_of_memory = isinstance(error, jax.errors.JaxRuntimeError) and "RESOURCE_EXHAUSTED" in str(error)
    if isinstance(error, MemoryError) or out_of_memory:
        return "memory ran out"
    if not isinstance(error, OSError):
        return ""
    if error.errno == errno.ENOSPC:
        return f"cannot write to '{folder}': the disk is full, of bytes or of files"
    return f"cannot write to '{folder}': {error.strerror or error}"


def raised(error: BaseException) -> str:
    """Return type and first line of an error, also of one that was raised inside a compiled program."""
    lines = str(error).strip().splitlines()
    if isinstance(error, jax.errors.JaxRuntimeError):
        for line in reversed(lines):  # the traceback that JAX quotes ends with it
            if (found := _RAISED.match(line.strip())) and found[1][-1] != "_":
                return f"{found[1]}: {found[2]}"[:300]
    return typed_line(error)[:300]
