"""Layers whose formula is that of a layer of PyTorch, and how the weights of one become those of the other.

Only arrangement differs: PyTorch has channels first, and multiplies by transposed matrices in recurrent
layers, where it also has two biases whose sum is ours. Formulas: documentation of `torch.nn`, version 2.13.
"""

from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from populace.core.errors import UsageError
from populace.nn.attention.multi_head import MultiHeadAttention
from populace.nn.conv.convolution import Conv, Conv1d, Conv2d, Conv3d
from populace.nn.conv.transposed import ConvTranspose, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from populace.nn.modules.batch_norm import BatchNorm
from populace.nn.primitives.buffer import Buffer
from populace.nn.recurrent.layers import GRU, LSTM, Elman

IGNORED = ("num_batches_tracked",)  # a counter that no output depends on
_WHY = {
    "weight_hr": "LSTM has no projection of its hidden state (proj_size)",
    "bias_k": "MultiHeadAttention adds no key and value of its own (add_bias_kv)",
}
_GATES: dict[float, str] = {1: "RNN", 3: "GRU", 4: "LSTM"}


class Source:
    """The tensors of one layer of PyTorch, handed out once each.

    Args:
        layer: name of our layer, for errors.
        prefix: what their names begin with, `conv1.` or empty.
        tensors: by the rest of their names.

    """

    def __init__(self, layer: str, prefix: str, tensors: Mapping[str, Any]) -> None:
        self.layer, self.prefix = layer, prefix
        self._left = {name: value for name, value in tensors.items() if name not in IGNORED}

    def has(self, name: str) -> bool:
        """Return whether there is such a tensor."""
        return name in self._left

    def take(self, name: str, *shape: int) -> np.ndarray:
        """Return a tensor of that shape.

        Raises:
            UsageError: it is missing, or has another shape; the line names it.

        """
        if name not in self._left:
            raise UsageError(f"{self.layer}: the state_dict has no '{self.prefix}{name}', of shape {shape}")
        try:
            found = np.asarray(self._left.pop(name))
        except (TypeError, ValueError, RuntimeError) as error:  # PyTorch's, in bfloat16 or with a gradient
            reason = str(error).splitlines()[0]
            raise UsageError(f"'{self.prefix}{name}' cannot be made a NumPy array: {reason}") from None
        if found.shape != shape:
            raise UsageError(
                f"{self.layer}: '{self.prefix}{name}' has shape {found.shape}, "
                f"expected {shape} in PyTorch's order"
            )
        return found

    def bias(self, name: str, own: Any) -> np.ndarray | None:
        """Return the bias of a layer that has one, None for one that has none; both sides must agree."""
        if own is None:
            return None
        if name not in self._left:
            raise UsageError(
                f"{self.layer}: the state_dict has no '{self.prefix}{name}'; make the layer without a bias"
            )
        return self.take(name, *own.shape)

    def check_gates(self, name: str, gates: int) -> None:
        """Raise a `UsageError` if recurrent weights (gates * units, units) are those of another cell."""
        shape = np.shape(self._left.get(name, ()))
        theirs = shape[0] / shape[1] if len(shape) == 2 else gates
        if theirs != gates and theirs in _GATES:
            raise UsageError(
                f"{self.layer}: '{self.prefix}{name}' has the {theirs:g} gates of PyTorch's {_GATES[theirs]}"
            )

    def finish(self, start: str = "") -> None:
        """Raise a `UsageError` for a remaining tensor, which has no counterpart in the layer."""
        for name in (n for n in self._left if n.startswith(start)):
            why = next((line for start, line in _WHY.items() if name.startswith(start)), None)
            line = why or f"{self.layer} has no counterpart for it"
            raise UsageError(f"'{self.prefix}{name}' cannot be taken over: {line}")


def converted(layer: Any, tensors: Mapping[str, Any], prefix: str, order: np.ndarray | None = None) -> Any:
    """Return a layer with the weights of its counterpart in PyTorch.

    Args:
        layer: one of `KNOWN`; its arrays may be shapes only.
        tensors: by their names within the layer.
        prefix: of those names, for errors.
        order: for a dense layer behind flattened channels: where each of our inputs is among PyTorch's.

    Raises:
        UsageError: a tensor that is missing, left over or of another shape, or a formula PyTorch has not.

    """
    source = Source(type(layer).__name__, prefix, tensors)
    convert = KNOWN[type(layer)]
    result = convert(layer, source) if order is None else _linear(layer, source, order)
    source.finish()
    return result


def _put(layer: Any, **values: Any) -> Any:
    """Return the layer with these fields, in the types that they had; None is none on both sides."""
    given = {name: value for name, value in values.items() if value is not None}

    def cast(name: str) -> Any:
        own = getattr(layer, name)
        if isinstance(own, Buffer):
            return Buffer(jnp.asarray(given[name], own.value.dtype))
        return jnp.asarray(given[name], own.dtype)

    return eqx.tree_at(lambda x: [getattr(x, n) for n in given], layer, [cast(n) for n in given])


def _linear(layer: Any, source: Source, order: np.ndarray | None = None) -> Any:
    weight = source.take("weight", *layer.weight.shape)
    weight = weight if order is None else weight[:, order]
    return _put(layer, weight=weight, bias=source.bias("bias", layer.bias))


def _convolution(layer: Any, source: Source) -> Any:
    """(Cout, Cin / groups, *kernel) to (*kernel, Cin / groups, Cout); transposed ones likewise."""
    *kernel, inner, outer = layer.weight.shape
    weight = np.moveaxis(source.take("weight", outer, inner, *kernel), (0, 1), (-1, -2))
    return _put(layer, weight=weight, bias=source.bias("bias", layer.bias))


def _batch_norm(layer: Any, source: Source) -> Any:
    channels = layer.scale.shape[0]
    affine = source.has("weight") or source.has("bias")
    scale = source.take("weight", channels) if affine else np.ones(channels)
    shift = source.take("bias", channels) if affine else np.zeros(channels)
    moving = source.take("running_mean", channels), source.take("running_var", channels)
    return _put(layer, scale=scale, shift=shift, mean=moving[0], variance=moving[1])


def _norm(layer: Any, source: Source) -> Any:
    weight = None if layer.weight is None else source.take("weight", *layer.weight.shape)
    return _put(layer, weight=weight, bias=source.bias("bias", layer.bias))


def _embedding(layer: Any, source: Source) -> Any:
    return _put(layer, weight=source.take("weight", *layer.weight.shape))


def _recurrent(layer: Any, source: Source) -> Any:
    source.finish("weight_hr")
    rows = []
    for number, row in enumerate(layer.cells):
        suffixes = (f"_l{number}", f"_l{number}_reverse")
        rows.append(tuple(_cell(cell, source, suffix) for cell, suffix in zip(row, suffixes)))
    return eqx.tree_at(lambda x: x.cells, layer, tuple(rows))


def _cell(cell: Any, source: Source, suffix: str) -> Any:
    inputs, wide = cell.W_u.shape
    units = wide // cell.gates
    source.check_gates(f"weight_hh{suffix}", cell.gates)
    W_u = source.take(f"weight_ih{suffix}", wide, inputs).T
    W_h = source.take(f"weight_hh{suffix}", wide, units).T
    biased = source.has(f"bias_ih{suffix}") or source.has(f"bias_hh{suffix}")
    zero = np.zeros(wide)
    b_i = source.take(f"bias_ih{suffix}", wide) if biased else zero
    b_r = source.take(f"bias_hh{suffix}", wide) if biased else zero
    # Joined as the cell joins what comes from input and state: the GRU keeps two parts of n apart.
    return _put(cell, W_u=W_u, W_h=W_h, b_h=cell.join(jnp.asarray(b_i), jnp.asarray(b_r)))


def _attention(layer: Any, source: Source) -> Any:
    if layer.attend is not None:
        kind = type(layer.attend).__name__
        raise UsageError(f"MultiHeadAttention: PyTorch has softmax attention only, this one has {kind}")
    names = ("query_projection", "key_projection", "value_projection")
    parts = [getattr(layer, name) for name in names]
    if source.has("in_proj_weight"):
        rows, width = sum(p.weight.shape[0] for p in parts), parts[0].weight.shape[1]
        ends = np.cumsum([p.weight.shape[0] for p in parts])[:-1]
        matrices = np.split(source.take("in_proj_weight", rows, width), ends)
    else:
        keys = ("q_proj_weight", "k_proj_weight", "v_proj_weight")
        matrices = [source.take(key, *p.weight.shape) for key, p in zip(keys, parts)]
    biases: list[Any] = [None] * 3
    if parts[0].bias is not None:
        whole = np.concatenate([np.zeros(p.bias.shape) for p in parts])
        bias = source.bias("in_proj_bias", whole)
        assert bias is not None
        biases = np.split(bias, np.cumsum([p.bias.shape[0] for p in parts])[:-1])
    for name, part, weight, bias in zip(names, parts, matrices, biases):
        if weight.shape != part.weight.shape:
            raise UsageError(
                f"MultiHeadAttention: '{source.prefix}in_proj_weight' is for queries, keys and values "
                "of one width"
            )
        layer = eqx.tree_at(lambda x: getattr(x, name), layer, _put(part, weight=weight, bias=bias))  # noqa: B023
    out = layer.output_projection
    weight = source.take("out_proj.weight", *out.weight.shape)
    out = _put(out, weight=weight, bias=source.bias("out_proj.bias", out.bias))
    return eqx.tree_at(lambda x: x.output_projection, layer, out)


KNOWN: dict[type, Callable[[Any, Source], Any]] = {
    eqx.nn.Linear: _linear, eqx.nn.Embedding: _embedding, BatchNorm: _batch_norm,
    eqx.nn.LayerNorm: _norm, eqx.nn.GroupNorm: _norm, eqx.nn.RMSNorm: _norm,
    **dict.fromkeys((Conv, Conv1d, Conv2d, Conv3d), _convolution),
    **dict.fromkeys((ConvTranspose, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d), _convolution),
    **dict.fromkeys((Elman, LSTM, GRU), _recurrent),
    MultiHeadAttention: _attention,
}  # fmt: skip
"""How each kind of layer takes its weights over; subclasses compute something else, and are not here."""
