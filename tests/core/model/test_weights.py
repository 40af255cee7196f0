"""Weights by name: names that a person can read, and refusals that name the tensor."""

import equinox as eqx
import jax
import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.core.model import weights
from populace.nn import BatchNorm, Dropout, Sequential


def network() -> Sequential:
    return Sequential([eqx.nn.Linear(3, 2, key=jax.random.key(0)), jax.nn.relu, BatchNorm(2), Dropout(0.25)])


def test_names_are_places_and_buffers_are_among_them():
    found = weights.named(network())
    shapes = {name: x.shape for name, x in found.items()}
    assert shapes == {
        "layers.0.weight": (2, 3), "layers.0.bias": (2,), "layers.2.scale": (2,), "layers.2.shift": (2,),
        "layers.2.mean": (2,), "layers.2.variance": (2,), "layers.3.rate": (),
    }  # fmt: skip
    assert found["layers.3.rate"] == 0.25
    assert all(isinstance(x, np.ndarray) for x in found.values())
    assert list(weights.named(np.zeros(3))) == ["model"]
    assert list(weights.named({"value": np.zeros(3)})) == ["value"]


def test_weights_go_back_into_a_model_and_into_its_shapes():
    model = network()
    other = {name: x + 1 for name, x in weights.named(model).items()}
    template = eqx.filter_eval_shape(lambda: network())
    for like in (model, template):
        found = weights.filled(like, other)
        for name, x in weights.named(found).items():
            np.testing.assert_array_equal(x, other[name])
        assert found.layers[1] is jax.nn.relu
    wide = {name: x.astype(np.float64) for name, x in other.items()}
    assert {x.dtype.name for x in weights.named(weights.filled(model, wide)).values()} == {"float32"}


def test_what_does_not_fit_is_named():
    model, own = network(), weights.named(network())
    refusals = {
        r"tensor 'layers.2.mean' is missing; the model needs it, float32\[2\]": {
            k: v for k, v in own.items() if k != "layers.2.mean"
        },
        r"unknown tensor 'layers.0.wieght'; did you mean 'layers.0.weight'\?": own
        | {"layers.0.wieght": own["layers.0.weight"]},
        r"tensor 'layers.0.weight' has shape \(3, 2\), expected \(2, 3\)": own
        | {"layers.0.weight": own["layers.0.weight"].T},
        r"tensor 'layers.0.bias' holds int64, expected float32": own
        | {"layers.0.bias": np.zeros(2, np.int64)},
    }
    for line, tensors in refusals.items():
        with pytest.raises(UsageError, match=line):
            weights.filled(model, tensors)
    with pytest.raises(UsageError, match="'noise' of the model is a random key"):
        weights.named({"noise": jax.random.key(0)})
