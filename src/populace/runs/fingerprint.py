"""Identity: whether a learner that a run is opened with is the one that the run was trained by.

A recipe holds settings, no data and no functions. So a run folder also keeps a digest of the learner's
arrays, and the names of fields with functions of the user's own, such as `network_fn`. With other
data, or the built-in network, the run would go on without a word, and its numbers would be those of neither.
"""

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from populace.core import settings
from populace.core.errors import Advice, RunError, UsageError
from populace.core.files import write
from populace.core.learner import Learner
from populace.core.untrusted import toml
from populace.core.untrusted.shown import shown
from populace.runs.integrity.schemas import json_files

FILE = "data.json"
_SHOWN = 4


def digest(learner: Learner) -> str:
    """Return a SHA-256 over the type, shape and content of the learner's arrays; empty if it has none."""
    found, count = hashlib.sha256(), 0
    for leaf in jax.tree.leaves(learner):
        if not hasattr(leaf, "shape"):
            continue  # a setting
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            leaf = jax.random.key_data(leaf)
        found.update(f"{np.dtype(leaf.dtype).name}{tuple(leaf.shape)}".encode())
        # What is in files has the digest of the array that holds the same.
        for block in getattr(leaf, "blocks", lambda leaf=leaf: [leaf])():
            found.update(np.ascontiguousarray(block).reshape(-1).view(np.uint8).data)
        count += 1
    return found.hexdigest() if count else ""


def functions(learner: Learner) -> list[str]:
    """Return the fields that hold functions of the user's own, which no recipe can write down."""
    names = (f.name for f in dataclasses.fields(learner))  # pyright: ignore[reportArgumentType]
    return [name for name in names if callable(getattr(learner, name))]


def keep(folder: Path, learner: Learner) -> None:
    """Write what identifies the learner into a run folder, where it has data or functions of its own."""
    known, own = digest(learner), functions(learner)
    if known or own:
        write(folder / FILE, json.dumps({"sha256": known, "functions": own}, indent=1))


def noted(folder: Path) -> str:
    """Return the digest of the learner's data that a run folder keeps; empty if there is none."""
    try:
        return str(json_files.read(folder / FILE)["sha256"])
    except (OSError, ValueError):
        return ""


def check_data(folder: Path, learner: Learner) -> None:
    """Raise a `UsageError` if a run was trained on other data, or if the learner lacks its data or functions.

    Folders without the file tell nothing.
    """
    try:
        noted = json_files.read(folder / FILE)
    except FileNotFoundError:
        return
    except (OSError, ValueError):
        raise RunError(
            f"'{folder / FILE}' is damaged; remove it to go on without a check of the data"
        ) from None
    known = noted["sha256"]
    if missing := [name for name in noted.get("functions", []) if getattr(learner, name, None) is None]:
        raise UsageError(
            f"'{folder}' was trained with a {' and a '.join(missing)} of your own, which its recipe cannot "
            "make; give Run.load the learner of the run"
        )
    mine = digest(learner)
    if known and not mine:
        raise without_data(folder)
    if mine and known and mine != known:
        raise UsageError(
            f"the learner's data are not those that '{folder}' was trained on; "
            "give Run.load the learner with the run's own data"
        )


def without_data(folder: Path) -> UsageError:
    """Return the error for a run that is opened without the data it was trained on."""
    call = f"populace.Run.load({str(folder)!r}, learner)"
    return UsageError(
        f"'{folder}' was trained on data of your own, which no run folder holds",
        Advice(f"open it with {call}", f"open it in Python, with {call}"),
    )


def check_settings(folder: Path, recipe: str, learner: Learner) -> None:
    """Raise a `UsageError` if a learner differs from the one in the text of a run's recipe, and say in what.

    Settings that the recipe does not know, as an older version wrote it, count as their defaults.
    """
    table = toml.loads(recipe, f"{folder / 'recipe.toml'}").get("learner", {})
    kind, own = str(table.get("kind", "")), type(learner)
    if ":" in kind and kind.rpartition(":")[2] != own.__qualname__:
        raise UsageError(
            f"'{folder}' was trained by a {kind.rpartition(':')[2]}, not a {own.__qualname__}; "
            "give Run.load the learner of the run"
        )
    theirs = dict(flat({k: v for k, v in table.items() if k != "kind"}))
    mine = dict(flat(settings.to_dict(learner) | {"kind": None}))
    defaults = {path: field.default for path, field, _ in settings.walk(learner)}
    differing = []
    for path in sorted({*theirs, *mine} - {"kind"}):
        had = theirs[path] if path in theirs else settings.to_plain(defaults.get(path, mine.get(path)))
        if had != mine.get(path):
            differing.append(f"{path} is {shown(mine.get(path))}, the run has {shown(had)}")
    if differing:
        more = f"; and {len(differing) - _SHOWN} more" if len(differing) > _SHOWN else ""
        raise UsageError(
            f"the learner differs from the recipe of '{folder}': {'; '.join(differing[:_SHOWN])}{more}; "
            "give Run.load the learner of the run"
        )


def flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the entries of nested tables by their paths, such as `learner.exploration.epsilon`."""
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value
