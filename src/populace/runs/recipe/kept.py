"""The recipe that a run folder keeps: `recipe.toml`, with its learner made or given."""

import contextlib
from pathlib import Path

from populace.core import files
from populace.core.errors import RunError, UnknownKindError, UsageError
from populace.core.learner import Learner
from populace.runs import fingerprint
from populace.runs.integrity import record
from populace.runs.recipe.parsing import foreign_modules, parse
from populace.runs.recipe.recipe import Recipe

FILE = "recipe.toml"


def text_of(folder: Path) -> str:
    """Return `recipe.toml` as it is.

    Raises:
        RunError: it cannot be read, or is not text.

    """
    file = folder / FILE
    try:
        return files.read(file)
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise RunError(f"cannot read '{file}': {reason}") from None


def recipe_of(folder: Path, learner: Learner | None = None, *, trust: bool = False) -> Recipe:
    """Return the recipe; what was trusted is noted, so that it is not asked about again.

    Args:
        folder: of the run.
        learner: the learner itself, where the recipe cannot make it: it holds data.
        trust: whether modules outside populace that it names may be imported.

    Raises:
        UsageError: it cannot be made without its data, or without a module that was not imported.

    """
    text = text_of(folder)
    try:
        found = parse(text, str(folder / FILE), learner, trust=trust)
    except UnknownKindError as error:
        if fingerprint.noted(folder):
            raise fingerprint.without_data(folder) from None
        advice = "if it is of your own, import its module first, or give Run.load the learner of the run"
        raise UsageError(f"cannot make the learner of '{folder}': {error}; {advice}") from None
    if trust:
        with contextlib.suppress(OSError):  # a folder that is only read: it is asked about again
            record.keep(folder, text, foreign_modules(text))
    return found
