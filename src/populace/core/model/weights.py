"""Weights: the arrays of a model by readable dotted names, and back into a model of the same shapes."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from populace.core.errors import UsageError, unknown

WHOLE = "model"
"""The name of a model that is one array, such as the table of Q-learning."""


def named(model: Any) -> dict[str, np.ndarray]:
    """Return the arrays of a model on the host, by their place in it, such as `layers.1.weight`.

    As in PyTorch's `state_dict`, arrays that are no weights are among them: running means, rates of dropout.

    Raises:
        UsageError: the model holds a random key, which no file of weights can hold.

    """
    found = {}
    for name, leaf in entries(model):
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            raise UsageError(f"'{name}' of the model is a random key; weights are numbers")
        found[name] = np.asarray(leaf)
    return found


def entries(model: Any) -> Iterator[tuple[str, Any]]:
    """Yield name and leaf of every array of a model, or of every shape of a template."""
    for path, leaf in jax.tree_util.tree_leaves_with_path(model):
        if _is_array(leaf):
            yield _name(path), leaf


def filled(template: Any, weights: Mapping[str, Any]) -> Any:
    """Return the model with its arrays replaced by those of the same names.

    Args:
        template: a model, or what `equinox.filter_eval_shape` makes of one.
        weights: arrays by name, as `named` returns them; numbers are cast to the template's type of real
            numbers, whole numbers must be whole there too.

    Raises:
        UsageError: a tensor that is missing, that the model does not know, or of another shape or kind; the
            line names it.

    """
    known = dict(entries(template))
    check_names(weights, known, known)
    for name, leaf in known.items():
        fitted(name, weights[name], leaf)

    def fill(path: Any, leaf: Any) -> Any:
        if not _is_array(leaf):
            return leaf
        return jnp.asarray(fitted(name := _name(path), weights[name], leaf))

    return jax.tree_util.tree_map_with_path(fill, template)


def check_names(tensors: Mapping[str, Any], known: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Raise a `UsageError` for a tensor that is not known, or one that is wanted and missing."""
    for name in tensors:
        if name not in known:
            raise unknown("tensor", str(name), known)
    for name, leaf in wanted.items():
        if name not in tensors:
            kind = f"{leaf.dtype}{list(leaf.shape)}"
            raise UsageError(f"tensor '{name}' is missing; the model needs it, {kind}")


def start_entries(model: Any) -> Iterator[tuple[str, Any]]:
    """Yield name and leaf of what start weights replace: real numbers, but for what settings say.

    A single number in a buffer, such as the rate of a dropout, is a setting; whole numbers are no weights.
    """
    for path, node in jax.tree_util.tree_leaves_with_path(model, is_leaf=_is_buffer):
        leaf = node.value if _is_buffer(node) else node
        if not _is_array(leaf) or not jnp.issubdtype(leaf.dtype, jnp.floating):
            continue
        if leaf.ndim or not _is_buffer(node):
            yield _name(path), leaf


def count(model: Any) -> int:
    """Return the number of parameters of a model, or of a template: real numbers that are in no buffer."""
    leaves = jax.tree.leaves(model, is_leaf=_is_buffer)
    found = [x for x in leaves if not _is_buffer(x) and _is_array(x) and jnp.issubdtype(x.dtype, jnp.inexact)]
    return sum(math.prod(leaf.shape) for leaf in found)


def replaced(model: Any, tensors: Mapping[str, Any]) -> Any:
    """Return the model with the arrays that are named replaced, and all others as they are."""

    def fill(path: Any, leaf: Any) -> Any:
        return tensors.get(_name(path), leaf) if _is_array(leaf) else leaf

    return jax.tree_util.tree_map_with_path(fill, model)


def array_of(name: str, value: Any) -> np.ndarray:
    """Return a tensor of whatever kind as an array; raise a `UsageError` if NumPy cannot make one of it."""
    try:
        return np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:  # PyTorch's, in bfloat16 or with a gradient
        reason = str(error).splitlines()[0]
        raise UsageError(f"tensor '{name}' is not a NumPy array and cannot be made one: {reason}") from None


def fitted(name: str, value: Any, leaf: Any) -> np.ndarray:
    """Return an array in the type of a leaf, having checked that it is one of its shape and kind."""
    found = array_of(name, value)
    if found.shape != leaf.shape:
        raise UsageError(f"tensor '{name}' has shape {found.shape}, expected {tuple(leaf.shape)}")
    real = jnp.issubdtype(leaf.dtype, jnp.floating)
    if not (jnp.issubdtype(found.dtype, jnp.floating) if real else found.dtype == leaf.dtype):
        raise UsageError(f"tensor '{name}' holds {found.dtype}, expected {leaf.dtype}")
    return found.astype(leaf.dtype, copy=False)


def _name(path: Any) -> str:
    # `nn.Buffer` holds its array as `value`, which says nothing to whoever reads the name.
    name = jax.tree_util.keystr(path, simple=True, separator=".")
    return (name.removesuffix(".value") if len(path) > 1 else name) or WHOLE


def _is_buffer(node: Any) -> bool:
    """Return whether a module declares that what it holds is no weight, as `nn.Buffer` does."""
    return not getattr(type(node), "is_weight", True) and hasattr(node, "value")


def _is_array(leaf: Any) -> bool:
    return hasattr(leaf, "shape") and hasattr(leaf, "dtype")
