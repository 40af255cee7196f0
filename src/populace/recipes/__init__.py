"""Recipes that come with populace: TOML files beside this one."""

from importlib.resources import files
from pathlib import Path

from populace.core.errors import UsageError, unknown


def names() -> list[str]:
    """Return the names of the recipes, sorted."""
    return sorted(f.name.removesuffix(".toml") for f in files(__name__).iterdir() if f.name.endswith(".toml"))


def text(name: str) -> str:
    """Return the text of a recipe.

    Raises:
        UsageError: there is none of that name (with the nearest known one).

    """
    if name not in names():
        raise unknown("recipe", name, names(), where=" (nor a file of that name)")
    return files(__name__).joinpath(f"{name}.toml").read_text()


def read(name: str) -> str:
    """Return the text of a recipe file, or of the recipe of that name.

    Raises:
        UsageError: there is neither, or the file is not text.

    """
    file = Path(name)
    is_file = file.is_file()
    # A folder may have the name of a recipe; a run of it often has.
    if not is_file and (file.suffix == ".toml" or (file.exists() and name not in names())):
        raise UsageError(f"no recipe file '{name}'")
    try:
        return file.read_text(encoding="utf-8") if is_file else text(name)
    except UnicodeDecodeError as error:
        raise UsageError(f"{name} is not TOML: it is not text ({error.reason})") from None
