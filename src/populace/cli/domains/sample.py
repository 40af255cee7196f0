"""The command sample: new images of a trained generative model, as a grid in one picture."""

import inspect
import math
from pathlib import Path
from typing import Any

import numpy as np

from populace.cli.display import Display
from populace.cli.domains.members import chosen
from populace.cli.output import Terminal, print_json
from populace.core.errors import RunError, UsageError

_PIXELS = 640  # width that small pictures are enlarged to, about


def sample(
    folder: Path, n: int, out: Path, label: str | None, how: dict[str, Any], member: str, display: Display,
    *, trust: bool, as_json: bool,
) -> None:  # fmt: skip
    """Draw samples by `how` (see the model's `sample`), write them into a picture, and say where it is."""
    if out.suffix.lower() != ".png":
        raise UsageError(f"--out is '{out}'; the picture is a PNG, give a name that ends with .png")
    from populace.engine.placement import setup
    from populace.images.generative.pictures import tiled

    setup()
    display.phase("loading")
    who = _one(folder, member, trust=trust)
    _check_options(who, how)
    if label is not None:
        how["label"] = int(label) if label.isdecimal() and not _named(who, label) else label
    display.phase("sampling")
    columns = math.isqrt(n - 1) + 1
    picture = tiled(who.sample(n, **how), columns)
    factor = max(1, round(_PIXELS / picture.shape[1]))
    _write(out, picture.repeat(factor, 0).repeat(factor, 1))
    display.close()
    if as_json:
        print_json({"file": str(out), "n": n, "label": label, "member": who.member.index} | how)
        return
    line = f"{n} samples of member {who.member.index}: {out}"
    Terminal().print(line, highlight=False, markup=False, soft_wrap=True)


def _one(folder: Path, member: str, *, trust: bool) -> Any:
    if member == "all" or "," in member:
        raise UsageError(f"one member makes samples: best, or its number, got '{member}'")
    found = chosen(folder, member, trust=trust)
    return found[0] if isinstance(found, list) else found


def _check_options(who: Any, how: dict[str, Any]) -> None:
    """Raise a `UsageError` for an option that models of this kind do not take."""
    sample = getattr(who.learner, "sample", None)
    if sample is None:  # the member says itself that it draws none
        return
    taken = inspect.signature(sample).parameters
    if other := [name for name in how if name not in taken]:
        raise UsageError(f"{type(who.learner).__name__} takes no --{other[0]}; it is one of diffusion models")


def _named(who: Any, label: str) -> bool:
    return label in getattr(getattr(who.learner, "data", None), "names", ())


def _write(out: Path, picture: np.ndarray) -> None:
    from PIL import Image

    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(out)
    except OSError as error:
        raise RunError(f"cannot write '{out}': {error.strerror or error}") from None
