"""Made images judged: against the real ones of a part, beside the floor of as many real training images."""

import dataclasses
import hashlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from populace.core.errors import UsageError
from populace.core.files import cache_dir, write
from populace.images.judge import training
from populace.images.judge.collapse import FEWEST, collapse_of
from populace.images.judge.distances import measures
from populace.images.judge.judge import Judge
from populace.images.judge.reference import Reference
from populace.supervised.data import Data

FLOORS = ("frechet_distance", "kernel_distance", "density", "coverage", "class_entropy", "diversity")
"""What a floor is measured of: everything that is not the same for all real images."""
_FLOOR = "floor."


class Comparison(eqx.Module):
    """What made images are compared with.

    Attributes:
        real: the judge's features of the real images of a part, with what follows from them.
        floor: the same measures of as many real training images, by name: of what is perfect, no more can be
            asked.
        samples: how many images are made for it, and how many the floor is of.

    """

    real: Reference
    floor: dict[str, jax.Array]
    samples: int = eqx.field(static=True)

    def measures(self, features: jax.Array, read: jax.Array) -> dict[str, jax.Array]:
        """Return the measures of made images, `collapsed` among them, in a compiled program.

        Args:
            features: of the judge, (samples, d).
            read: class of each by the judge, (samples,).

        """
        found = measures(features, read, self.real)
        return found | collapse_of(found, self.real)

    def floors(self) -> dict[str, jax.Array]:
        """Return the floor of each measure that has one, by its name and `_floor`."""
        return {f"{name}_floor": self.floor[name] for name in FLOORS}


def comparison(judge: Judge, data: Data, part: str = "test", samples: int = 10_000) -> Comparison:
    """Return what so many made images are compared with: the real ones of a part of data.

    It is kept in the cache folder, since features of 10,000 images take seconds.

    Args:
        judge: of these data; see `images.judge.training.judge_of`.
        data: real images.
        part: `validation` or `test`; where there is no test part, it is the validation part.
        samples: made images that will be judged; no more than there are training images, of which the floor
            is: the distances depend on how many images they are of.

    Raises:
        UsageError: data that the judge was not trained for, or too few images to tell collapse.

    """
    judge.check(data)
    samples = min(samples, len(data.train))
    if samples < FEWEST:
        raise UsageError(
            f"{samples} images are too few to be judged: give {FEWEST} samples or more, and as many "
            "training images"
        )
    what = f"{training.VERSION} {judge.sha256} {training.digest(data)} {part} {samples}"
    file = cache_dir() / "judges" / "comparisons" / f"{hashlib.sha256(what.encode()).hexdigest()[:32]}.npz"
    if (kept := _read(file, samples)) is not None:
        return kept
    x = training.real_images(data, part, len(data.part(part)[2]))
    real = Reference.of(*judge.look(x), len(judge.classes))
    rows = np.random.default_rng(0).permutation(len(data.train))[:samples]
    train = training.real_images(data, "train", len(data.train))[rows]
    found = Comparison(real, {}, samples)
    floor = _measured(found, *judge.look(train))
    found = dataclasses.replace(found, floor={name: floor[name] for name in FLOORS})
    _write(file, found)
    return found


def judged(judge: Judge, images: Any, against: Comparison) -> dict[str, float]:
    """Return every measure of made images, with the floors beside them.

    Args:
        judge: the one of the comparison.
        images: (n, height, width, channels), from 0 to 1; n is best the comparison's `samples`.
        against: what they are compared with.

    Raises:
        UsageError: images of another size, or fewer than 100.

    """
    x = np.asarray(images, np.float32)
    if x.ndim != 4 or len(x) < FEWEST:
        raise UsageError(
            f"images have shape {x.shape}; expected (n, height, width, channels) of n >= {FEWEST}"
        )
    found = _measured(against, *judge.look(x)) | against.floors()
    return {name: float(value) for name, value in found.items()}


@eqx.filter_jit
def _measured(against: Comparison, features: Any, read: Any) -> dict[str, jax.Array]:
    return against.measures(features, read)


def _write(file: Path, found: Comparison) -> None:
    """Keep a comparison; a cache that cannot be written keeps nothing."""
    arrays: dict[str, Any] = {name: np.asarray(value) for name, value in _fields(found.real).items()}
    arrays |= {_FLOOR + name: np.asarray(value) for name, value in found.floor.items()}
    packed = io.BytesIO()
    np.savez(packed, **arrays)
    content = packed.getvalue()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write(file, hashlib.sha256(content).digest() + content)
    except OSError:
        pass


def _read(file: Path, samples: int) -> Comparison | None:
    """Return a kept comparison; None where there is none, or where it is not as it was written."""
    try:
        content = file.read_bytes()
    except OSError:
        return None
    if hashlib.sha256(content[32:]).digest() != content[:32]:
        return None
    with np.load(io.BytesIO(content[32:]), allow_pickle=False) as kept:
        arrays: Mapping[str, np.ndarray] = dict(kept)
    floor = {k.removeprefix(_FLOOR): jnp.asarray(v) for k, v in arrays.items() if k.startswith(_FLOOR)}
    real = {k: jnp.asarray(v) for k, v in arrays.items() if not k.startswith(_FLOOR)}
    return Comparison(Reference(**real), floor, samples)


def _fields(module: Any) -> dict[str, Any]:
    return {field.name: getattr(module, field.name) for field in dataclasses.fields(module)}
