"""The command sample: new images of a trained generative model, as a grid in one picture."""

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
    folder: Path, n: int, out: Path, label: str | None, temperature: float, seed: int, member: str,
    display: Display, *, trust: bool, as_json: bool,
) -> None:  # fmt: skip
    """Draw samples, write them into a picture, and say where it is."""
    if out.suffix.lower() != ".png":
        raise UsageError(f"--out is '{out}'; the picture is a PNG, give a name that ends with .png")
    from populace.engine.placement import setup
    from populace.images.generative.pictures import tiled

    setup()
    display.phase("loading")
    who = _one(folder, member, trust=trust)
    how: dict[str, Any] = {"temperature": temperature, "seed": seed}
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


def _named(who: Any, label: str) -> bool:
    return label in getattr(getattr(who.learner, "data", None), "names", ())


def _write(out: Path, picture: np.ndarray) -> None:
    from PIL import Image

    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(out)
    except OSError as error:
        raise RunError(f"cannot write '{out}': {error.strerror or error}") from None
