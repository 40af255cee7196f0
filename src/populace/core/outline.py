"""Outline: the layers of a model as a graph of nodes, read off the module itself without running it.

Parts of a module come one after the other, in the order of its fields; entries of a dictionary lie side by
side. A module whose parts are applied otherwise says so by a method `wiring`, which returns a list of
`(name, part, names of the parts it hears from)`; `INPUT` among those, or none, is what the module itself
hears.
"""

import dataclasses
import itertools
from collections.abc import Callable, Iterable
from typing import Any

import equinox as eqx
import jax

Step = tuple[str, Any, tuple[str, ...]]
"""Name, part, and the names of the parts that it hears from."""
INPUT = "<input>"
"""What a module itself hears, among the names of its parts."""
_LONGEST = 200  # letters of a setting that is neither number nor word
Plain = bool | int | float | str


@dataclasses.dataclass(frozen=True)
class Node:
    """One layer.

    Attributes:
        name: where it stands in the model, with `/` between levels.
        kind: its class, or the name of its function.
        inputs: names of the nodes that it hears from.
        settings: what it was made with.
        arrays: types and shapes of its own weights and buffers.
        weights: how many numbers its own weights are.

    """

    name: str
    kind: str
    inputs: tuple[str, ...]
    settings: dict[str, Plain] = dataclasses.field(default_factory=dict)
    arrays: dict[str, str] = dataclasses.field(default_factory=dict)
    weights: int = 0


def outline(model: Any) -> list[Node]:
    """Return the nodes of any pytree, in order, between one named `input` and one named `output`.

    A module with parts stands before them where it has settings or arrays of its own, and is no node where it
    has none. A function or a partial is a layer where it stands in a list, and a setting where it is a field.
    """
    nodes = {"input": Node("input", "Input", ())}
    ends = _walk(nodes, "", model, ("input",))
    name = _free(nodes, "output")
    return [*nodes.values(), Node(name, "Output", ends)]


def _walk(nodes: dict[str, Node], name: str, part: Any, heard: tuple[str, ...]) -> tuple[str, ...]:
    """Add the nodes of a part; return the names of those that the next part hears from."""
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
    """Return named parts as steps, each of which hears from the one before; None is left out."""
    steps: list[Step] = []
    for name, part in parts:
        if part is not None:
            steps.append((name, part, (steps[-1][0],) if steps else ()))
    return steps


def function_name(part: Any) -> str:
    """Return what a function, a partial or a module is called."""
    named = getattr(part, "func", part)
    if isinstance(named, eqx.Module):
        return type(named).__name__
    return getattr(named, "__name__", type(named).__name__).strip("<>")


class _Own:
    """Settings and arrays of one node, gathered field by field."""

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
    """Return type and shape in words, such as `float32[64, 4]`."""
    return f"{array.dtype}{list(array.shape)}"


def _free(nodes: dict[str, Node], name: str) -> str:
    """Return the name, with a number where it is taken: a field may be called `input`."""
    others = (f"{name}_{i}" for i in itertools.count(1))
    return next(n for n in itertools.chain([name], others) if n not in nodes)


def _is_array(value: Any) -> bool:
    return hasattr(value, "shape") and hasattr(value, "dtype")


def _is_buffer(value: Any) -> bool:
    """Return whether a module declares that what it holds is no weight, as `nn.Buffer` does."""
    return isinstance(value, eqx.Module) and not getattr(type(value), "is_weight", True)


def _is_layer(value: Any) -> bool:
    if isinstance(value, eqx.Module):
        return not _is_buffer(value)
    return isinstance(value, Callable) and not _is_array(value)


def _has_layers(value: Any) -> bool:
    """Return whether a field holds layers: a module, or a collection with modules or functions in it."""
    if isinstance(value, eqx.Module):
        return not _is_buffer(value)
    if isinstance(value, list | tuple | dict):
        entries = value.values() if isinstance(value, dict) else value
        return any(_is_layer(v) or _has_layers(v) for v in entries)
    return False
