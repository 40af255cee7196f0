"""A trained member as two files: its weights (safetensors), and its settings beside them (JSON).

Nothing in them is code, and reading them runs none: a learner that is no part of populace, nor registered by
an installed package, must be given by whoever loads it.
"""

import contextlib
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from populace.core import settings
from populace.core.errors import RunError, UsageError, first_line, typed_line
from populace.core.files import write
from populace.core.formatting import Overview, count, format_value
from populace.core.imports import by_path, trust
from populace.core.learner import Learner
from populace.core.model import weights
from populace.core.numerics.precision import precision
from populace.core.population import Member
from populace.core.random import root_key
from populace.core.untrusted.shown import shown
from populace.runs import provenance
from populace.runs.integrity.schemas import json_files
from populace.runs.recipe.kinds import learner_class

FORMAT = 1
"""Number of what the two files hold and call things; files of another are refused."""
SETTINGS, WEIGHTS = "member.json", "weights.safetensors"
_NEEDED = {"learner", "member", "values", "own_network", "inference", "weights_sha256"}
_KEPT = "inference."  # what predictions need besides weights, in the file of weights


@dataclass(frozen=True, repr=False)
class SavedMember(Overview):
    """One trained member: who it is, its swept values, the learner it was trained by, and its best model."""

    member: Member
    setting: dict[str, Any]
    learner: Learner
    model: Any

    def _overview(self) -> tuple[str, dict[str, object]]:
        arrays = [leaf for leaf in jax.tree.leaves(self.model) if hasattr(leaf, "shape")]
        return f"{type(self).__name__} {type(self.learner).__name__}", {
            "member": f"{self.member.index}, of seed {self.member.seed}",
            **{path: format_value(value) for path, value in self.setting.items()},
            "task": self.learner.task_name,
            "model": f"{sum(int(np.size(a)) for a in arrays):,} numbers in {count(len(arrays), 'array')}",
        }


def write_member(folder: Path, saved: SavedMember, *, overwrite: bool = False) -> None:
    """Write a member into a folder; see [`Trained.save`][populace.runs.trained_member.Trained.save]."""
    from safetensors.numpy import save as packed

    _check_target(folder, overwrite)
    kept = saved.learner.inference_data(saved.model)
    arrays = {name: np.asarray(v) for name, v in kept.items() if _is_array(v)}
    tensors = weights.named(saved.model) | {_KEPT + name: value for name, value in arrays.items()}
    content = packed({name: np.asarray(x, order="C") for name, x in tensors.items()})
    who = saved.member
    note: dict[str, Any] = {
        "format": FORMAT,
        "populace": provenance.version(),
        "member": {"index": who.index, "setting": who.setting, "seed": who.seed},
        "values": _plain(saved.setting),
        "learner": {**_plain(settings.to_dict(saved.learner)), "kind": by_path.path_of(type(saved.learner))},
        "own_network": getattr(saved.learner, "network_fn", None) is not None,
        "inference": {name: _plain(v) for name, v in kept.items() if name not in arrays},
        "weights": {name: f"{x.dtype}{list(x.shape)}" for name, x in tensors.items()},
        "weights_sha256": hashlib.sha256(content).hexdigest(),
    }
    note["sha256"] = _digest(note)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / SETTINGS).unlink(missing_ok=True)  # until both files are new there is no member here
        write(folder / WEIGHTS, content)
        write(folder / SETTINGS, json.dumps(note, indent=1, ensure_ascii=False) + "\n")
    except OSError as error:
        raise RunError(f"cannot write to '{folder}': {error.strerror or error}") from None


def read_member(folder: Path, learner: Learner | None) -> SavedMember:
    """Read a member; see [`load_trained`][populace.runs.trained_member.load_trained]."""
    note, tensors = _read(folder)
    described = dict(note["learner"])
    kind = described.pop("kind")
    if learner is None:
        learner = _made(folder, kind, described)
    else:
        _check_given(folder, learner, kind, described)
    # As in a population: a hyperparameter is a float32 array, not a constant that XLA folds.
    own = jax.tree.map(lambda x: jnp.asarray(x, jnp.float32) if isinstance(x, float) else x, learner)
    if note["own_network"] and getattr(learner, "network_fn", None) is None:
        name = type(learner).__name__
        raise UsageError(
            f"'{folder}' has a network of your own; give it: load_trained(path, {name}(network_fn=...))"
        )
    kept = {k.removeprefix(_KEPT): v for k, v in tensors.items() if k.startswith(_KEPT)}
    try:
        ready = own.with_inference_data(note["inference"] | kept)
        with precision(ready.x64):
            template = eqx.filter_eval_shape(lambda key: ready.model(ready.init(key)), root_key(0))
            model = weights.filled(template, {k: v for k, v in tensors.items() if not k.startswith(_KEPT)})
    except UsageError as error:
        raise UsageError(f"cannot load the member in '{folder}': {error}") from None
    except (LookupError, TypeError, ValueError, AttributeError) as error:  # of what was kept for inference
        reason = typed_line(error)
        raise UsageError(f"cannot load the member in '{folder}': it is damaged ({reason})") from None
    return SavedMember(Member(**note["member"]), note["values"], ready, model)


def read_weights(folder: Path) -> dict[str, np.ndarray]:
    """Return the weights of a saved member alone; nothing that its settings name is looked for."""
    _, tensors = _read(folder)
    return {name: x for name, x in tensors.items() if not name.startswith(_KEPT)}


def _read(folder: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return what the two files hold, having checked that both are as they were written."""
    if not folder.exists():
        raise UsageError(f"no saved member at '{folder}': there is no such folder")
    if not (folder / SETTINGS).is_file():
        run = (folder / "recipe.toml").is_file()
        advice = "it is a run folder: populace.Run.load opens it" if run else f"it has no {SETTINGS}"
        raise UsageError(f"'{folder}' holds no saved member; {advice}")
    note: Any = {}
    with contextlib.suppress(OSError, ValueError):
        note = json_files.read(folder / SETTINGS)
    if "format" not in note:
        raise UsageError(f"'{folder / SETTINGS}' is damaged or no file of populace; save the member again")
    if note["format"] != FORMAT:
        raise UsageError(
            f"'{folder}' has format {shown(note['format'])}, this version of populace reads {FORMAT}; "
            f"load it with the version that wrote it, {note.get('populace', 'which it does not name')}"
        )
    if note.pop("sha256", None) != _digest(note) or not note.keys() >= _NEEDED:
        raise UsageError(f"'{folder / SETTINGS}' was changed or damaged; save the member again")
    try:
        content = (folder / WEIGHTS).read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read '{folder / WEIGHTS}': {error.strerror or error}") from None
    if hashlib.sha256(content).hexdigest() != note["weights_sha256"]:
        raise UsageError(f"'{folder / WEIGHTS}' is not the file that was saved; save the member again")
    from safetensors import SafetensorError
    from safetensors.numpy import load as unpacked

    try:
        return note, unpacked(content)
    except (SafetensorError, ValueError, KeyError) as error:
        raise UsageError(f"'{folder / WEIGHTS}' is no file of weights: {first_line(error)}") from None


def _made(folder: Path, kind: str, described: dict[str, Any]) -> Learner:
    """Return the learner of saved settings, where all of it is code that was installed to be found here."""
    name = kind.rpartition(":")[2]
    how = f"; if you trust it, give it: load_trained('{folder}', learner={name}(...))"
    if trust.foreign(kind):
        raise UsageError(f"'{folder}' was trained by '{kind}', which is no learner of populace's{how}")
    if code := trust.foreign(described):  # a kind of optimizer, network or environment that is the user's own
        named = ", ".join(f"'{text}'" for text in code.values())
        raise UsageError(f"'{folder}' needs code that is no part of populace, {named}{how}")
    try:
        return settings.from_dict(learner_class(kind), described)
    except UsageError as error:
        raise UsageError(f"cannot make the learner in '{folder}': {error}{how}") from None


def _check_given(folder: Path, learner: Learner, kind: str, described: dict[str, Any]) -> None:
    """Raise a `UsageError` unless a learner is the one that was saved."""
    own = type(learner)
    if own.__qualname__ != kind.rpartition(":")[2]:
        raise UsageError(f"'{folder}' was saved by '{kind}', not by a {own.__qualname__}")
    mine = _plain(settings.to_dict(learner))
    for name in sorted({*mine, *described} - {"kind"}):
        if _rounded(mine.get(name)) != _rounded(described.get(name)):
            raise UsageError(
                f"'{folder}' was saved with {name} {shown(described.get(name))}, the learner has "
                f"{shown(mine.get(name))}; give load_trained the learner with the saved settings"
            )


def _check_target(folder: Path, overwrite: bool) -> None:
    if folder.is_file():
        raise UsageError(f"'{folder}' is a file; choose a folder")
    if not folder.exists() or not any(folder.iterdir()):
        return
    ours = {SETTINGS, WEIGHTS}
    strangers = sorted(p.name for p in folder.iterdir() if p.name not in ours and p.name[:1] != ".")
    if strangers:
        raise UsageError(
            f"'{folder}' contains '{strangers[0]}', which no saved member has; choose another folder"
        )
    if not overwrite:
        raise UsageError(f"'{folder}' holds a saved member; overwrite=True replaces it")


def _digest(note: dict[str, Any]) -> str:
    """Return a SHA-256 over everything that the file of settings says."""
    return hashlib.sha256(json.dumps(note, sort_keys=True).encode()).hexdigest()


def _plain(value: Any) -> Any:
    """Return a value as JSON has it; a float32 by the shortest number that is read as the same."""
    if isinstance(value, settings.Settings):
        value = settings.to_dict(value)
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if not hasattr(value, "dtype"):
        return value
    number = np.asarray(value)
    return float(str(number[()])) if number.dtype == np.float32 else number.item()


def _rounded(value: Any) -> Any:
    """Return a value with its real numbers as float32 has them."""
    if isinstance(value, dict):
        return {key: _rounded(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_rounded(entry) for entry in value]
    return float(np.float32(value)) if isinstance(value, float) else value


def _is_array(value: Any) -> bool:
    return hasattr(value, "dtype") and not isinstance(value, np.generic)
