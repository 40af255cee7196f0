"""The outline of a model: what its layers are, what each hears from, and what it was made with."""

from collections.abc import Callable
from functools import partial
from typing import Any

import equinox as eqx
import jax
import numpy as np

from populace.core.model.outline import INPUT, outline
from populace.nn.primitives.buffer import Buffer


class Dense(eqx.Module):
    weight: Any
    activation: Callable = eqx.field(static=True, default=np.tanh)
    units: int = eqx.field(static=True, default=4)
    unset: Any = None


class Scaled(eqx.Module):
    scale: float
    body: Dense
    tail: Dense | None = None


class Heads(eqx.Module):
    trunk: Dense
    mean: Dense
    deviation: Dense

    def wiring(self) -> list:
        heads = [("mean", self.mean, ("trunk",)), ("deviation", self.deviation, ("trunk", INPUT))]
        return [("trunk", self.trunk, ()), *heads]


class Normed(eqx.Module):
    mean: Buffer
    input: Dense


def dense(*shape: int) -> Dense:
    return Dense(np.zeros(shape or (2, 3), np.float32))


def heard(model: Any) -> dict[str, tuple[str, ...]]:
    return {node.name: node.inputs for node in outline(model)}


def test_parts_of_a_list_come_one_after_the_other():
    assert heard([dense(), np.tanh, dense()]) == {
        "input": (), "0-Dense": ("input",), "1-tanh": ("0-Dense",), "2-Dense": ("1-tanh",),
        "output": ("2-Dense",),
    }  # fmt: skip


def test_entries_of_a_dictionary_lie_side_by_side():
    model = {"policy": [dense(), dense()], "value": dense(), "none": None}
    assert heard(model) == {
        "input": (), "policy/0-Dense": ("input",), "policy/1-Dense": ("policy/0-Dense",),
        "value": ("input",), "output": ("policy/1-Dense", "value"),
    }  # fmt: skip


def test_a_module_says_what_its_parts_hear():
    assert heard(Heads(dense(), dense(), dense())) == {
        "input": (), "trunk": ("input",), "mean": ("trunk",), "deviation": ("trunk", "input"),
        "output": ("mean", "deviation"),
    }  # fmt: skip


def test_a_node_has_its_own_settings_and_weights():
    (_, node, _) = outline(Dense(np.zeros((2, 3), np.float32)))
    assert (node.name, node.kind) == ("Dense", "Dense")
    assert node.settings == {"activation": "tanh", "units": 4}
    assert node.arrays == {"weight": "float32[2, 3]"}
    assert node.weights == 6


def test_a_module_with_settings_stands_before_its_parts_and_each_weight_counts_once():
    _, own, body, _ = outline(Scaled(0.5, dense()))
    assert (own.kind, own.settings, own.arrays, own.weights) == ("Scaled", {"scale": 0.5}, {}, 0)
    assert (body.name, body.inputs, body.weights) == ("body", ("Scaled",), 6)


def test_what_is_no_weight_is_not_counted_and_a_taken_name_gets_a_number():
    model = Normed(Buffer(jax.numpy.zeros(5)), dense())
    _, own, part, _ = outline(model)
    assert (own.arrays, own.weights) == ({"mean": "buffer float32[5]"}, 0)
    assert (part.name, part.inputs) == ("input_1", ("Normed",))


def test_a_partial_is_named_by_its_function_and_shows_what_it_was_given():
    _, node, _ = outline([partial(np.clip, a_min=0, a_max=6)])
    assert (node.name, node.kind, node.settings) == ("0-clip", "clip", {"a_min": 0, "a_max": 6})


def test_numbers_that_are_no_weights_are_not_counted():
    _, node, _ = outline({"table": np.zeros((3, 2), np.int32)})
    assert (node.kind, node.arrays, node.weights) == ("Array", {"value": "int32[3, 2]"}, 0)
