"""Outline: the layers of a model as a graph, derived from the module without running it.

By default the parts of a module are connected in the order of its fields, and the entries of a dictionary are
parallel. A module with other connections has a method `wiring`, which returns a list of
`(name, part, names of the input parts)`; `INPUT` or an empty tuple stands for the input of the module.
"""

import dataclasses
import itertools
from collections.abc import Callable, Iterable
from typing import Any

import equinox as eqx
import jax

Step = tuple[str, Any, tuple[str, ...]]
"""Name, part, and names of its input parts."""
INPUT = "<input>"
"""Name of the module's own input among the names of its parts."""
_LONGEST = 200  # characters of a setting that is neither a number nor a string
Plain = bool | int | float | str


@dataclasses.dataclass(frozen=True)
class Node:
    """One layer.

    Attributes:
        name: path in the model, with `/` between levels.
        kind: name of its class or function.
        inputs: names of its input nodes.
        settings: its static fields.
        arrays: dtypes and shapes of its own weights and buffers.
        weights: number of its own weights.

    """

    name: str
    kind: str
    inputs: tuple[str, ...]
    settings: dict[str, Plain] = dataclasses.field(default_factory=dict)
    arrays: dict[str, str] = dataclasses.field(default_factory=dict)
    weights: int = 0


def outline(model: Any) -> list[Node]:
    """Return the nodes of any pytree in order, between a node `input` and a node `output`.

    A module with parts is a node before them only if it has settings or arrays of its own. A function or
    partial is a layer if it is in a list, and a setting if it is a field.
    """
    nodes = {"input": Node("input", "Input", ())}
    ends = _walk(nodes, "", model, ("input",))
    name = _free(nodes, "output")
    return [*nodes.values(), Node(name, "Output", ends)]


def _walk(nodes: dict[str, Node], name: str, part: Any, heard: tuple[str, ...]) -> tuple[str, ...]:
    """Add the nodes of a part; return the names of those that feed the next part."""
    if _is_layer(part) and not isinstance(part, eqx.Module):
        function, named = getattr(part, "func", part), getattr(part, "keywords", {})
        own = _Own(function_name(function))
        for field, value in named.items():
            own.take(field, value)
        return own.add(nodes, name, heard)
    if _is_array(part) or _is_buffer(part):
        own = _Own("Array" if _is_array(part) else "Buffer")
        own.take("value", part)
        return own.add(nodes, name, heard)
    if isinstance(part, eqx.Module):
        return _walk_module(nodes, name, part, heard)
    if isinstance(part, dict):
        steps: Iterable[Step] = [(str(key), value, ()) for key, value in part.items()]
    elif isinstance(part, list | tuple):
        steps = chained((str(i), value) for i, value in enumerate(part))
    else:
        return heard
    return _walk_steps(nodes, name, steps, heard)


def _walk_module(nodes: dict[str, Node], name: str, part: Any, heard: tuple[str, ...]) -> tuple[str, ...]:
    fields = {f.name: getattr(part, f.name, None) for f in dataclasses.fields(part)}
    parts = {field: value for field, value in fields.items() if _has_layers(value)}
    steps = part.wiring() if hasattr(type(part), "wiring") else chained(parts.items())
    elsewhere = {id(leaf) for _, one, _ in steps for leaf in jax.tree.leaves(one)}
    own = _Own(type(part).__name__)
    for field, value in fields.items():
        if field not in parts:
            own.take(field, value, elsewhere)
    if not steps or own.settings or own.arrays:
        heard = own.add(nodes, name, heard)
    return _walk_steps(nodes, name, steps, heard)


def _walk_steps(
    nodes: dict[str, Node], name: str, steps: Iterable[Step], heard: tuple[str, ...]
) -> tuple[str, ...]:
    ends = {INPUT: heard}
    last: dict[str, None] = {}
    for step, part, sources in steps:
        if part is None:
            continue
        inputs = _joined(ends, sources or (INPUT,))
        below = f"{name}/{step}" if name else step
        if step.rpartition("/")[2].isdigit() and not isinstance(part, dict | list | tuple):
            below += f"-{function_name(part) if callable(part) else type(part).__name__}"
        ends[step] = _walk(nodes, below, part, inputs)
        last[step] = None
        for source in sources:
            last.pop(source, None)
    return _joined(ends, last or (INPUT,))


def _joined(ends: dict[str, tuple[str, ...]], names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(itertools.chain(*(ends[name] for name in names))))


def chained(parts: Iterable[tuple[str, Any]]) -> list[Step]:
    """Return named parts as sequential steps; parts that are None are skipped."""
    steps: list[Step] = []
    for name, part in parts:
        if part is not None:
            steps.append((name, part, (steps[-1][0],) if steps else ()))
    return steps


def function_name(part: Any) -> str:
    """Return the name of a function, a partial or a module."""
    named = getattr(part, "func", part)
    if isinstance(named, eqx.Module):
        return type(named).__name__
    return getattr(named, "__name__", type(named).__name__).strip("<>")


class _Own:
    """Settings and arrays of one node, collected field by field."""

    def __init__(self, kind: str) -> None:
        self.kind, self.weights = kind, 0
        self.settings: dict[str, Plain] = {}
        self.arrays: dict[str, str] = {}

    def take(self, name: str, value: Any, elsewhere: Iterable[int] = ()) -> None:
        if _is_buffer(value):
            if isinstance(value.value, jax.Array) and value.value.ndim == 0:
                self.settings[name] = value.value.item()
            else:
                self.arrays[name] = f"buffer {shape(value.value)}"
        elif _is_array(value):
            if id(value) not in elsewhere:
                self.arrays[name] = shape(value)
                self.weights += value.size if eqx.is_inexact_array_like(value) else 0
        elif isinstance(value, bool | int | float | str):
            self.settings[name] = value
        elif isinstance(value, list | tuple | dict) and any(map(_is_array, jax.tree.leaves(value))):
            for key, entry in value.items() if isinstance(value, dict) else enumerate(value):
                self.take(f"{name}.{key}", entry, elsewhere)
        elif dataclasses.is_dataclass(value):
            for field in dataclasses.fields(value):
                self.take(f"{name}.{field.name}", getattr(value, field.name), elsewhere)
        elif callable(value):
            self.settings[name] = function_name(value)
        elif value not in (None, (), [], {}):
            self.settings[name] = str(value)[:_LONGEST]

    def add(self, nodes: dict[str, Node], name: str, heard: tuple[str, ...]) -> tuple[str, ...]:
        name = _free(nodes, name or self.kind)
        nodes[name] = Node(name, self.kind, heard, self.settings, self.arrays, self.weights)
        return (name,)


def shape(array: Any) -> str:
    """Return dtype and shape as text, such as `float32[64, 4]`."""
    return f"{array.dtype}{list(array.shape)}"


def _free(nodes: dict[str, Node], name: str) -> str:
    """Return the name, with a number appended if it is taken: a field may be called `input`."""
    others = (f"{name}_{i}" for i in itertools.count(1))
    return next(n for n in itertools.chain([name], others) if n not in nodes)


def _is_array(value: Any) -> bool:
    return hasattr(value, "shape") and hasattr(value, "dtype")


def _is_buffer(value: Any) -> bool:
    """Return whether a module declares its array not to be a weight, as `nn.Buffer` does."""
    return isinstance(value, eqx.Module) and not getattr(type(value), "is_weight", True)


def _is_layer(value: Any) -> bool:
    if isinstance(value, eqx.Module):
        return not _is_buffer(value)
    return isinstance(value, Callable) and not _is_array(value)


def _has_layers(value: Any) -> bool:
    """Return whether a field contains layers: a module, or a collection of modules or functions."""
    if isinstance(value, eqx.Module):
        return not _is_buffer(value)
    if isinstance(value, list | tuple | dict):
        entries = value.values() if isinstance(value, dict) else value
        return any(_is_layer(v) or _has_layers(v) for v in entries)
    return False
