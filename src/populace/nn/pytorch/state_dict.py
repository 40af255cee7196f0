"""A PyTorch `state_dict` as the weights of a network, layer by layer. PyTorch itself is not imported."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import equinox as eqx
import numpy as np

from populace.core.errors import UsageError
from populace.nn.conv.convolution import Conv
from populace.nn.conv.transposed import ConvTranspose
from populace.nn.modules.batch_norm import BatchNorm
from populace.nn.primitives.buffer import Buffer
from populace.nn.pytorch.layers import IGNORED, KNOWN, converted

_LEAF = re.compile(
    r"(?:weight|bias|running_mean|running_var|num_batches_tracked|in_proj_weight|in_proj_bias"
    r"|[qkv]_proj_weight|bias_[kv]|(?:weight|bias)_(?:ih|hh|hr)_l\d+(?:_reverse)?)"
)
_ATTENTION = ("in_proj_weight", "q_proj_weight")


def from_torch(
    module: Any, state_dict: Mapping[str, Any] | str | Path, *, prefixes: Sequence[str] | None = None
) -> Any:
    """Return a layer or a network with the weights of a PyTorch `state_dict`.

    Layers are paired in order: ours as they stand in the module, PyTorch's as they come in the `state_dict`,
    which is the order in which they were assigned. They must be of kinds with the same formula: `Linear`,
    `Embedding`, `Conv1d` to `Conv3d`, `ConvTranspose1d` to `3d`, `RNN` with tanh (`Elman` here), `LSTM`,
    `GRU`, `MultiheadAttention`, `BatchNorm`, `LayerNorm`, `GroupNorm` and `RMSNorm`. The first dense layer
    behind convolutions gets its inputs reordered: flattening has channels first in PyTorch, and last here.
    What no tensor tells must be the same on both sides: strides, padding, `eps` of normalizations, the number
    of heads.

    Args:
        module: any of those layers, or a module that is made of them, such as a `Sequential`; it is not
            changed.
        state_dict: tensors by name, as NumPy arrays or anything that NumPy makes one of, or the path of a
            `.safetensors` file.
        prefixes: which layers of the `state_dict`, and in which order: `["conv1", "fc1"]`. A file needs it
            where names are not numbers, since it does not keep the order.

    Raises:
        UsageError: another number of layers, a layer without a counterpart, or a tensor that is missing, left
            over or of another shape; the line names it.

    """
    tensors, ordered = _tensors(state_dict)
    sources = _sources(tensors)
    if prefixes is not None:
        sources = _chosen(sources, prefixes)
    elif not ordered:
        sources = _by_number(sources)
    walk = _Walk()
    walk.go(module)
    layers = walk.found
    if len(layers) != len(sources):
        ours = ", ".join(type(layer).__name__ for layer, _ in layers) or "none"
        theirs = ", ".join(name or "(the layer itself)" for name in sources) or "none"
        raise UsageError(
            f"the network has {len(layers)} layers with weights ({ours}), "
            f"the state_dict {len(sources)} ({theirs})"
        )
    new = [
        converted(layer, own, f"{name}." if name else "", order)
        for (layer, order), (name, own) in zip(layers, sources.items())
    ]
    return _filled(module, iter(new))


def _tensors(state_dict: Any) -> tuple[dict[str, Any], bool]:
    """Return the tensors by name, and whether they come in the order of the layers."""
    if isinstance(state_dict, Mapping):
        return dict(state_dict), True
    if not isinstance(state_dict, str | Path):
        raise UsageError(
            f"a state_dict is a dictionary of arrays or a .safetensors file, got {type(state_dict).__name__}"
        )
    if not str(state_dict).endswith(".safetensors"):
        raise UsageError(
            f"'{state_dict}' is not a .safetensors file; PyTorch's own files hold pickled code: save the "
            "state_dict with safetensors.torch.save_file"
        )
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return load_file(state_dict), False
    except (OSError, SafetensorError) as error:
        raise UsageError(f"cannot read '{state_dict}': {str(error).splitlines()[0]}") from None


def _sources(tensors: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the tensors of each layer by their names within it; layers in the order they first come."""
    attentions = {name.rpartition(".")[0] for name in tensors if name.rpartition(".")[2] in _ATTENTION}
    found: dict[str, dict[str, Any]] = {}
    for name, value in tensors.items():
        owner, _, leaf = name.rpartition(".")
        above, _, inner = owner.rpartition(".")
        if inner == "out_proj" and above in attentions:
            owner, leaf = above, f"out_proj.{leaf}"
        elif not _LEAF.fullmatch(leaf):
            raise UsageError(f"'{name}' is no tensor of a layer that populace takes over from PyTorch")
        if leaf not in IGNORED:
            found.setdefault(owner, {})[leaf] = value
    return found


def _chosen(sources: dict[str, dict[str, Any]], prefixes: Sequence[str]) -> dict[str, dict[str, Any]]:
    for prefix in prefixes:
        if prefix not in sources:
            raise UsageError(
                f"the state_dict has no layer '{prefix}'; it has {', '.join(map(repr, sources))}"
            )
    return {prefix: sources[prefix] for prefix in prefixes}


def _by_number(sources: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return layers whose names differ in numbers only, in the order of those."""
    shapes = {re.sub(r"\d+", "0", name) for name in sources}
    if len(shapes) > 1:
        raise UsageError(
            "a .safetensors file does not keep the order of layers; give it as prefixes="
            f"{sorted(sources)}, in the order of the network"
        )
    return dict(sorted(sources.items(), key=lambda item: [int(n) for n in re.findall(r"\d+", item[0])]))


@dataclass
class _Walk:
    """The layers with weights, in order; for a dense one behind convolutions also the order of its inputs."""

    found: list[tuple[Any, np.ndarray | None]] = field(default_factory=list)
    channels: int = 0
    """Of the convolution before, until a dense layer has taken them in; else 0."""

    def go(self, module: Any, owner: str = "the module") -> None:
        """Add the layers of a module."""
        if type(module) in KNOWN:
            self.found.append((module, self._order(module)))
        elif isinstance(module, Buffer):
            if module.value.ndim:
                raise UsageError(
                    f"a buffer of shape {module.value.shape} of the network has no name in PyTorch"
                )
            # else it is a setting, such as the rate of a dropout
        elif hasattr(module, "shape") and hasattr(module, "dtype"):
            raise UsageError(
                f"{owner} has a weight of shape {tuple(module.shape)}, and is none of the layers that are "
                "taken over from PyTorch; give weights by their names here instead"
            )
        else:
            inside = type(module).__name__ if isinstance(module, eqx.Module) else owner
            for _, part in _parts(module):
                self.go(part, inside)

    def _order(self, layer: Any) -> np.ndarray | None:
        """Return where each input of a dense layer is among PyTorch's; None where the order is the same."""
        if isinstance(layer, Conv):
            self.channels = layer.weight.shape[-1]
            return None
        if isinstance(layer, ConvTranspose):
            self.channels = layer.weight.shape[-2] * layer.groups
            return None
        channels = self.channels
        if isinstance(layer, BatchNorm | eqx.nn.LayerNorm | eqx.nn.GroupNorm | eqx.nn.RMSNorm):
            size = _size_of(layer)
            if channels and size not in (None, channels):
                raise UsageError(
                    f"a {type(layer).__name__} of {size} behind {channels} flattened channels: PyTorch has "
                    "them in another order; give weights by their names here instead"
                )
            return None
        self.channels = 0
        if not channels or not isinstance(layer, eqx.nn.Linear):
            return None
        inputs = layer.weight.shape[1]
        if inputs % channels:
            raise UsageError(f"a dense layer of {inputs} inputs cannot follow {channels} flattened channels")
        # PyTorch flattens (channels, positions), populace (positions, channels).
        return np.arange(inputs).reshape(channels, -1).T.ravel()


def _size_of(norm: Any) -> int | None:
    """Return how many numbers a normalization has weights for; None where it has none."""
    weight = norm.scale if isinstance(norm, BatchNorm) else norm.weight
    return None if weight is None else math.prod(weight.shape)


def _parts(module: Any) -> list[tuple[Any, Any]]:
    """Return the parts of a module or collection, with the field, key or index of each."""
    if isinstance(module, eqx.Module):
        return [(f.name, getattr(module, f.name)) for f in fields(module)]  # pyright: ignore[reportArgumentType]
    if isinstance(module, dict):
        return list(module.items())
    return list(enumerate(module)) if isinstance(module, list | tuple) else []


def _filled(module: Any, new: Iterator[Any]) -> Any:
    """Return the module with its layers replaced, one after the other in the order of `_Walk`."""
    if type(module) in KNOWN:
        return next(new)
    parts = {} if isinstance(module, Buffer) else dict(_parts(module))
    filled = {name: _filled(part, new) for name, part in parts.items()}
    changed = [name for name in parts if filled[name] is not parts[name]]
    if not changed:
        return module
    if isinstance(module, eqx.Module):
        return eqx.tree_at(
            lambda m: [getattr(m, name) for name in changed], module, [filled[name] for name in changed]
        )
    return filled if isinstance(module, dict) else type(module)(filled.values())
