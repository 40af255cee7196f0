"""Shared: whether processes on several machines see the same run folder."""

import time
from pathlib import Path

from populace.core.errors import UsageError
from populace.core.files import sha256
from populace.engine import hosts
from populace.engine.hosts import together

_SECONDS = 10.0  # within which a network file system shows what another machine has written


def check(folder: Path, file: str) -> None:
    """Check that all processes see a file that the first one has written; alone, nothing is checked.

    Raises:
        UsageError: not all do.

    """
    joined = together.joined()
    if joined is None:
        return
    place, digest = hosts.from_writer([str(folder), _digest(folder / file)], "the run folder")
    until = time.monotonic() + _SECONDS
    while (sees := _digest(folder / file) == digest) is False and time.monotonic() < until:
        time.sleep(0.1)
    blind = [i for i, one in enumerate(hosts.gathered(bool(sees), "the run folder")) if not one]
    if blind:
        verb = "does" if len(blind) == 1 else "do"
        raise UsageError(
            f"{joined.called(blind)} {verb} not see the run folder '{place}' that {joined.names[0]} made; "
            "choose one that all machines share, --out"
        )


def _digest(file: Path) -> str:
    try:
        return sha256(file)
    except OSError:
        return ""
