"""Start weights: what all members of a run begin from, checked, and kept in the run folder.

They are a part of the run, so that one that is killed before its first checkpoint begins again from the same.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import equinox as eqx
import numpy as np

from populace.core.errors import RunError, UsageError, first_line
from populace.core.files import write
from populace.core.model import weights
from populace.core.numerics.precision import precision
from populace.core.population import Population
from populace.core.random import root_key
from populace.nn import from_torch
from populace.runs.integrity import failures
from populace.runs.weights.saved_member import SETTINGS, read_weights

FILE = "start.safetensors"
_SHOWN = 3


def start_weights(population: Population, given: Any) -> dict[str, np.ndarray]:
    """Return the weights that all members of a population begin from, by their names in the model.

    Args:
        population: who trains.
        given: arrays by name, as `Trained.weights()` returns them; a `Trained`; a PyTorch `state_dict`, told
            by its names; or the path of a saved member or of a `.safetensors` file of either kind.

    Raises:
        UsageError: a tensor that is missing, unknown, of another shape or not finite; the line names it.

    """
    tensors = _tensors(given)
    found: dict[str, np.ndarray] = {}
    for group in population.groups:
        member = group.members[0]
        learner = population.learner_of(member.setting).for_seed(member.seed)
        with precision(learner.x64):
            make = lambda key, learner=learner: learner.model(learner.init(key))  # noqa: E731
            template = eqx.filter_eval_shape(make, root_key(0))
        try:
            found = _fitted(template, tensors, given)
        except UsageError as error:
            values = population.settings[member.setting]
            where = f" (setting {', '.join(f'{k} {v}' for k, v in values.items())})" if values else ""
            raise UsageError(f"start_from does not fit the model{where}: {error}") from None
    return found


def keep(folder: Path, tensors: Mapping[str, np.ndarray]) -> None:
    """Write start weights into a run folder, with a checksum of their own."""
    from safetensors.numpy import save

    content = save(dict(tensors), {"sha256": _digest(tensors)})
    try:
        write(folder / FILE, content)  # before recipe.toml, without which it is no run
    except (OSError, MemoryError) as error:
        raise RunError(failures.reason(error, folder)) from None


def read(folder: Path) -> dict[str, np.ndarray]:
    """Return the start weights of a run.

    Raises:
        RunError: the file is missing, damaged or changed.

    """
    from safetensors import SafetensorError, safe_open

    path = folder / FILE
    try:
        with safe_open(path, framework="numpy") as file:
            found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  it is no mapping
            known = (file.metadata() or {}).get("sha256")
    except (OSError, SafetensorError, ValueError, KeyError) as error:
        reason = first_line(error)
        raise RunError(f"cannot read '{path}', which the run starts from: {reason}") from None
    if known != _digest(found):
        raise RunError(f"'{path}' was changed or damaged, and the run starts from it; train it again")
    return found


def _tensors(given: Any) -> Mapping[str, Any]:
    if not isinstance(given, Mapping | str | Path) and hasattr(given, "weights"):  # a Trained
        return given.weights()
    if isinstance(given, str | Path):
        path = Path(given)
        if not path.exists():
            raise UsageError(f"start_from: there is no file or folder '{path}'")
        if path.is_dir() or path.name == SETTINGS:
            return read_weights(path if path.is_dir() else path.parent)
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        try:
            return load_file(path)
        except (OSError, SafetensorError, ValueError, KeyError) as error:
            reason = first_line(error)
            raise UsageError(f"start_from: '{path}' is not a .safetensors file: {reason}") from None
    if not isinstance(given, Mapping):
        raise UsageError(
            "start_from takes weights by name, a Trained, a PyTorch state_dict or a path, "
            f"got {type(given).__name__}"
        )
    return given


def _fitted(template: Any, tensors: Mapping[str, Any], given: Any) -> dict[str, np.ndarray]:
    """Return what members begin with, by name: from names of the model, or else from PyTorch's."""
    known, wanted = dict(weights.entries(template)), dict(weights.start_entries(template))
    if tensors and known.keys().isdisjoint(tensors):
        names = ", ".join(sorted(known)[:_SHOWN])
        try:
            file = (
                isinstance(given, str | Path) and Path(given).is_file()
            )  # it knows that order is lost in it
            model = from_torch(template, given if file else tensors)
        except UsageError as error:
            line = f"no tensor has a name of the model's ({names}, ...), nor is it PyTorch's: {error}"
            raise UsageError(line) from None
        tensors = {name: np.asarray(x) for name, x in weights.start_entries(model)}
    # Settings and a member's own split may be among them, and stay the member's own.
    weights.check_names(tensors, known, wanted)
    found = {name: weights.fitted(name, tensors[name], leaf) for name, leaf in wanted.items()}
    for name, x in found.items():
        if not np.isfinite(x).all():
            raise UsageError(f"tensor '{name}' holds NaN or infinity")
    return {name: np.array(x, order="C") for name, x in found.items()}


def _digest(tensors: Mapping[str, np.ndarray]) -> str:
    found = hashlib.sha256()
    for name in sorted(tensors):
        x = tensors[name]
        found.update(f"{name} {x.dtype} {x.shape}".encode())
        found.update(np.ascontiguousarray(x).reshape(-1).view(np.uint8).data)
    return found.hexdigest()
