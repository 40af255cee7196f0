"""Files that a learner keeps in its run folder, such as a tokenizer: written once, compared ever after."""

from collections.abc import Iterable
from pathlib import Path

from populace.core.errors import RunError, UsageError
from populace.core.files import component, write
from populace.core.learner import Learner

FOLDER = "learner"


def keep(folder: Path, learners: Iterable[tuple[int, Learner]]) -> None:
    """Write the files of the learners of a run, each given behind the number of its group."""
    files = _named(learners)
    if files:
        (folder / FOLDER).mkdir(exist_ok=True)
    for name, text in files.items():
        write(folder / FOLDER / name, text)


def check(folder: Path, learners: Iterable[tuple[int, Learner]]) -> None:
    """Raise a `UsageError` if the learners' data make other files than the run's; a missing one is passed.

    Raises:
        RunError: a file cannot be read.

    """
    for name, text in _named(learners).items():
        try:
            kept = (folder / FOLDER / name).read_bytes()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise RunError(f"cannot read '{folder / FOLDER / name}': {error.strerror or error}") from None
        if kept != text.encode():
            raise UsageError(
                f"'{folder / FOLDER / name}' is not what the learner's data make: the run had others, "
                "or the file was changed; restore the run's data, or train a new run"
            )


def _named(learners: Iterable[tuple[int, Learner]]) -> dict[str, str]:
    found = {}
    for number, learner in learners:
        for name, text in learner.run_files().items():
            stem, dot, kind = component(name, "a file of a learner").partition(".")
            found[f"{stem}-{number}{dot}{kind}" if number else name] = text
    return found
