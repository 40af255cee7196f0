"""Which trained members of a run, or which saved member, a command works with."""

from pathlib import Path
from typing import Any

from populace.core.errors import UsageError


def chosen(folder: Path, members: str, *, trust: bool) -> Any:
    """Return a saved member, or of a run those that were asked for."""
    from populace.runs.run import Run
    from populace.runs.trained_member import load_trained

    if (folder / "member.json").is_file():
        return load_trained(folder)
    run = Run.load(folder, trust=trust)
    if members == "all":
        return run
    if members == "best":
        return run.best()
    try:
        numbers = [int(part) for part in members.split(",")]
    except ValueError:
        raise UsageError(f"members must be best, all, or numbers as 0,3, got {members!r:.50}") from None
    count = len(run.population.members)
    for index in numbers:
        if not 0 <= index < count:
            raise UsageError(f"there is no member {index}; members are numbered 0 to {count - 1}")
    return [run.member(index) for index in numbers]
