"""Weights from PyTorch: with them a layer computes what PyTorch's does; `make.py` made the reference."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import save_file

from populace import nn
from populace.core.errors import UsageError

KEY = jax.random.key(0)


def _read() -> dict[str, np.ndarray]:
    file = np.load(Path(__file__).with_name("reference.npz"))
    found, at = {}, 0
    for key, shape in json.loads(str(file["shapes"])).items():
        size = int(np.prod(shape))
        found[key], at = file["values"][at : at + size].reshape(shape), at + size
    return found


ARRAYS = _read()


def state(name: str) -> dict[str, np.ndarray]:
    """Return the weights of a layer of PyTorch in the order of its `state_dict`."""
    start = f"{name}/state/"
    return {key.removeprefix(start): x for key, x in ARRAYS.items() if key.startswith(start)}


def batched(layer: Any, x: np.ndarray) -> Any:
    return jax.vmap(layer)(x)


def channels_last(layer: Any, x: np.ndarray) -> Any:
    """Apply a layer to examples whose channels come first, and return what it says in that order too."""
    return jnp.moveaxis(jax.vmap(layer)(jnp.moveaxis(x, 1, -1)), -1, 1)


def _has_shape(leaf: Any) -> bool:
    return hasattr(leaf, "shape")


def cnn() -> nn.Sequential:
    pool = partial(nn.max_pool, size=2)
    return nn.Sequential([
        nn.Conv2d(2, 3, 3, padding=1, key=KEY), nn.BatchNorm(3), jax.nn.relu, pool,
        nn.Conv2d(3, 4, 2, key=KEY), jax.nn.relu, jnp.ravel, nn.Dropout(0.5),
        eqx.nn.Linear(8, 5, key=KEY), jax.nn.relu, eqx.nn.Linear(5, 2, key=KEY),
    ])  # fmt: skip


LAYERS: dict[str, tuple[Any, Any]] = {
    "dense": (lambda: eqx.nn.Linear(3, 4, key=KEY), batched),
    "dense_no_bias": (lambda: eqx.nn.Linear(3, 4, use_bias=False, key=KEY), batched),
    "conv1d": (lambda: nn.Conv1d(2, 3, 3, 2, 1, 2, key=KEY), channels_last),
    "conv2d": (lambda: nn.Conv2d(4, 6, (3, 2), padding=((1, 1), (0, 0)), groups=2, key=KEY), channels_last),
    "conv3d": (lambda: nn.Conv3d(1, 2, 2, use_bias=False, key=KEY), channels_last),
    "transposed1d": (lambda: nn.ConvTranspose1d(4, 6, 3, 2, groups=2, key=KEY), channels_last),
    "transposed2d": (lambda: nn.ConvTranspose2d(2, 3, 3, 2, padding=1, key=KEY), channels_last),
    "batch_norm": (lambda: nn.BatchNorm(3), batched),
    "batch_norm_plain": (lambda: nn.BatchNorm(3), batched),
    "layer_norm": (lambda: eqx.nn.LayerNorm(5), batched),
    "group_norm": (lambda: eqx.nn.GroupNorm(2, 4), batched),
    "rms_norm": (lambda: eqx.nn.RMSNorm(5, use_bias=False), batched),
    "rnn": (lambda: nn.Elman(3, 4, key=KEY), lambda layer, x: layer(x)),
    "lstm": (lambda: nn.LSTM(3, 4, layers=2, bidirectional=True, key=KEY), lambda layer, x: layer(x)),
    "lstm_no_bias": (lambda: nn.LSTM(3, 4, key=KEY), lambda layer, x: layer(x)),
    "gru": (lambda: nn.GRU(3, 4, layers=2, bidirectional=True, key=KEY), lambda layer, x: layer(x)),
    "embedding": (lambda: eqx.nn.Embedding(6, 3, key=KEY), lambda layer, x: batched(layer, x.astype(int))),
    "attention": (lambda: nn.MultiHeadAttention(8, 2, key=KEY), lambda layer, x: layer(x)),
    "attention_no_bias": (
        lambda: nn.MultiHeadAttention(8, 4, bias=False, key=KEY), lambda layer, x: layer(x),
    ),
    "attention_widths": (
        lambda: nn.MultiHeadAttention(8, 2, key_width=6, value_width=5, key=KEY),
        lambda layer, x: layer(x, ARRAYS["attention_widths/k"], ARRAYS["attention_widths/v"]),
    ),
    "cnn": (cnn, lambda layer, x: batched(layer, jnp.moveaxis(x, 1, -1))),
}  # fmt: skip


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_with_pytorchs_weights_computes_what_pytorchs_does(name):
    make, call = LAYERS[name]
    template = make() if name == "cnn" else eqx.filter_eval_shape(make)  # shapes are all that it takes
    layer = nn.from_torch(template, state(name))
    assert jax.tree.structure(layer) == jax.tree.structure(template)
    for new, old in zip(*(jax.tree.leaves(eqx.filter(x, _has_shape)) for x in (layer, template))):
        assert (new.shape, new.dtype) == (old.shape, old.dtype)
    found = eqx.filter_jit(call)(layer, ARRAYS[f"{name}/x"])
    np.testing.assert_allclose(found, ARRAYS[f"{name}/y"], rtol=2e-5, atol=2e-6)


def test_a_file_is_read_in_the_order_of_numbers_or_of_prefixes(tmp_path):
    wide = {f"{i}.weight": np.full((1, 1), i, np.float32) for i in (0, 2, 10)}
    network = nn.Sequential([eqx.nn.Linear(1, 1, use_bias=False, key=KEY) for _ in range(3)])
    save_file(wide, tmp_path / "numbered.safetensors")
    found = nn.from_torch(network, tmp_path / "numbered.safetensors")
    assert [layer.weight.item() for layer in found.layers] == [0, 2, 10]
    named = {"out.weight": wide["0.weight"], "first.weight": wide["2.weight"], "b.weight": wide["10.weight"]}
    save_file(named, tmp_path / "named.safetensors")
    line = r"does not keep the order of layers; give it as prefixes=\['b', 'first', 'out'\], in the order"
    with pytest.raises(UsageError, match=line):
        nn.from_torch(network, tmp_path / "named.safetensors")
    order = ["first", "b", "out"]
    found = nn.from_torch(network, tmp_path / "named.safetensors", prefixes=order)
    assert [layer.weight.item() for layer in found.layers] == [2, 10, 0]
    with pytest.raises(UsageError, match="the state_dict has no layer 'fc'; it has 'b', 'first', 'out'"):
        nn.from_torch(network, tmp_path / "named.safetensors", prefixes=["fc"])


class Strange:
    """A tensor that NumPy makes no array of, as some of PyTorch's."""

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise TypeError("in bfloat16\nand more")


def test_what_does_not_agree_is_refused_in_a_line_that_names_the_tensor(tmp_path):
    dense, linear = state("dense"), eqx.nn.Linear(3, 4, key=KEY)
    lstm, attention = nn.LSTM(3, 4, key=KEY), nn.MultiHeadAttention(8, 2, key=KEY)
    recurrent = nn.LinearRecurrence(3, 4, key=KEY)
    other = nn.MultiHeadAttention(8, 2, attend=nn.LinearAttention(), key=KEY)
    (tmp_path / "model.pt").write_bytes(b"PK")
    (tmp_path / "model.safetensors").write_bytes(b"PK")
    cases = {
        r"Linear: 'weight' has shape \(3, 4\), expected \(4, 3\)": (
            linear, dense | {"weight": np.ones((3, 4))},
        ),
        "Linear: the state_dict has no 'bias'; make the layer without a bias": (
            linear, state("dense_no_bias"),
        ),
        "'bias' cannot be taken over: Linear has no counterpart for it": (
            eqx.nn.Linear(3, 4, use_bias=False, key=KEY), dense,
        ),
        "LSTM: 'weight_hh_l0' has the 3 gates of PyTorch's GRU": (lstm, state("gru")),
        "'weight_hr_l0' cannot be taken over: LSTM has no projection of its hidden state": (
            lstm, state("projected_lstm"),
        ),
        r"'weight_ih_l0_reverse' cannot be taken over: LSTM has no counterpart for it": (
            nn.LSTM(3, 4, layers=2, key=KEY), {k: v for k, v in state("lstm").items() if "ih_l1" not in k}
            | {"weight_ih_l1": np.ones((16, 4))} | {"bias_ih_l1": np.ones(16)},
        ),
        r"'bias_k' cannot be taken over: MultiHeadAttention adds no key and value of its own": (
            attention, state("attention_with_bias_k"),
        ),
        "PyTorch has softmax attention only, this one has LinearAttention": (other, state("attention")),
        r"LinearCell has a weight of shape \(3, 4\), and is none of the layers that are taken over": (
            recurrent, state("rnn"),
        ),
        r"the network has 1 layers with weights \(Linear\), the state_dict 5 \(0, 1, 4, 7, 9\)": (
            linear, state("cnn"),
        ),
        "'weight' cannot be made a NumPy array: in bfloat16": (linear, dense | {"weight": Strange()}),
        "'logit_scale' is no tensor of a layer that populace takes over": (
            linear, {"logit_scale": np.ones(1)},
        ),
        "model.pt' is not a .safetensors file; PyTorch's own files hold pickled code": (
            linear, tmp_path / "model.pt",
        ),
        "cannot read '.*model.safetensors'": (linear, tmp_path / "model.safetensors"),
        "a state_dict is a dictionary of arrays or a .safetensors file, got list": (linear, [1]),
    }  # fmt: skip
    for line, (layer, given) in cases.items():
        with pytest.raises(UsageError, match=line) as caught:
            nn.from_torch(layer, given)
        assert "\n" not in str(caught.value)


def test_flattened_channels_are_refused_where_their_order_cannot_be_told():
    norm = nn.Sequential(
        [nn.Conv1d(1, 2, 1, key=KEY), jnp.ravel, nn.BatchNorm(6), eqx.nn.Linear(6, 1, key=KEY)]
    )
    with pytest.raises(UsageError, match="a BatchNorm of 6 behind 2 flattened channels"):
        nn.from_torch(norm, {f"{i}.weight": np.ones(1) for i in range(3)})
    odd = nn.Sequential([nn.Conv1d(1, 2, 1, key=KEY), eqx.nn.Linear(5, 1, key=KEY)])
    with pytest.raises(UsageError, match="a dense layer of 5 inputs cannot follow 2 flattened channels"):
        nn.from_torch(odd, {f"{i}.weight": np.ones(1) for i in range(2)})
