"""GPT-2's weights: the model says what an independent GPT-2 in NumPy says with the same state_dict."""

from typing import Any

import equinox as eqx
import jax
import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.core.model import weights
from populace.text.models.gpt2 import gpt2_weights
from populace.text.models.transformer import Transformer

V, BLOCK, WIDTH, LAYERS, HEADS = 9, 7, 8, 2, 2
TOKENS = np.random.default_rng(1).integers(0, V, BLOCK)


def state_dict() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    draw = lambda *shape: rng.normal(size=shape).astype(np.float32) / 2  # noqa: E731
    found = {"wte.weight": draw(V, WIDTH), "wpe.weight": draw(BLOCK, WIDTH)}
    for i in range(LAYERS):
        shapes = {
            "ln_1": WIDTH, "attn.c_attn": (WIDTH, 3 * WIDTH), "attn.c_proj": (WIDTH, WIDTH), "ln_2": WIDTH,
            "mlp.c_fc": (WIDTH, 4 * WIDTH), "mlp.c_proj": (4 * WIDTH, WIDTH),
        }  # fmt: skip
        for name, shape in shapes.items():
            shape = shape if isinstance(shape, tuple) else (shape,)
            found[f"h.{i}.{name}.weight"], found[f"h.{i}.{name}.bias"] = draw(*shape), draw(shape[-1])
        found[f"h.{i}.attn.bias"] = np.ones((1, 1, BLOCK, BLOCK))
    found["ln_f.weight"], found["ln_f.bias"] = draw(WIDTH), draw(WIDTH)
    found = {f"transformer.{name}": value for name, value in found.items()}
    return found | {"lm_head.weight": found["transformer.wte.weight"]}


def gpt2(sd: dict[str, np.ndarray], tokens: np.ndarray) -> np.ndarray:
    """Logits as `transformers` computes them: Conv1D layers are x W + b with W (inputs, outputs)."""
    get = lambda name: sd[f"transformer.{name}"]  # noqa: E731
    conv = lambda x, name: x @ get(f"{name}.weight") + get(f"{name}.bias")  # noqa: E731

    def norm(x: np.ndarray, name: str) -> np.ndarray:
        x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
        return x * get(f"{name}.weight") + get(f"{name}.bias")

    x = get("wte.weight")[tokens] + get("wpe.weight")[: len(tokens)]
    for i in range(LAYERS):
        q, k, v = np.split(conv(norm(x, f"h.{i}.ln_1"), f"h.{i}.attn.c_attn"), 3, axis=1)
        heads = lambda a: a.reshape(len(tokens), HEADS, -1).swapaxes(0, 1)  # noqa: E731
        scores = heads(q) @ heads(k).swapaxes(1, 2) / np.sqrt(WIDTH // HEADS)
        scores = np.where(np.tri(len(tokens), dtype=bool), scores, -np.inf)
        a = np.exp(scores - scores.max(-1, keepdims=True))
        mixed = (a / a.sum(-1, keepdims=True) @ heads(v)).swapaxes(0, 1).reshape(len(tokens), -1)
        x = x + conv(mixed, f"h.{i}.attn.c_proj")
        h = conv(norm(x, f"h.{i}.ln_2"), f"h.{i}.mlp.c_fc")
        h = 0.5 * h * (1 + np.tanh(np.sqrt(2 / np.pi) * (h + 0.044715 * h**3)))
        x = x + conv(h, f"h.{i}.mlp.c_proj")
    return norm(x, "ln_f") @ sd["lm_head.weight"].T


def network() -> Any:
    make = lambda: Transformer(  # noqa: E731
        V, block=BLOCK, layers=LAYERS, heads=HEADS, width=WIDTH, key=jax.random.key(0)
    )
    return jax.tree.map(
        lambda x: np.zeros(x.shape, x.dtype) if hasattr(x, "shape") else x, eqx.filter_eval_shape(make)
    )


def test_the_model_says_what_gpt_2_says():
    tensors = gpt2_weights(state_dict())
    model = network()
    assert set(tensors) == {name for name, _ in weights.start_entries(model)}
    found = np.asarray(eqx.filter_jit(weights.replaced(model, tensors))(TOKENS.astype(np.int32)))
    expected = gpt2(state_dict(), TOKENS)
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())
    assert np.abs(expected).max() > 1


@pytest.mark.parametrize(("change", "message"), [
    (lambda sd: sd.pop("transformer.h.1.ln_2.bias"), r"tensor 'h.1.ln_2.bias' of GPT-2 is missing"),
    (lambda sd: sd.pop("transformer.wte.weight"), "has no 'wte.weight', so it is no GPT-2's"),
    (lambda sd: sd.update({"transformer.h.0.mlp.c_up.bias": np.zeros(3)}), "unknown tensor of GPT-2"),
    (lambda sd: sd.update({"transformer.ln_f.weight": np.zeros(3)}), r"has shape \(3,\), expected \(8,\)"),
    (lambda sd: sd.update({"lm_head.weight": np.zeros((V, WIDTH))}), "GPT-2 ties the two"),
])  # fmt: skip
def test_bad_input(change, message):
    sd = state_dict()
    change(sd)
    with pytest.raises(UsageError, match=message):
        gpt2_weights(sd)
