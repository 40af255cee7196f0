"""Recipes that come with populace: TOML files beside this one."""

from importlib.resources import files

from populace.errors import unknown


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
