"""Language networks: token by token as in the whole pass, causal, and by independent formulas."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from populace.text.models.network import nats
from populace.text.models.recurrent import RecurrentNetwork
from populace.text.models.transformer import Transformer

V, N = 11, 8
KEY = jax.random.key(0)
TOKENS = np.random.default_rng(0).integers(0, V, N).astype(np.int32)


def gpt(**options) -> Transformer:
    sizes = {"block": N, "layers": 2, "heads": 2, "width": 8} | options
    # Weights ten times as large as drawn, so that attention is far from uniform.
    network = Transformer(V, **sizes, key=KEY)
    return jax.tree.map(lambda x: x * 10 if eqx.is_inexact_array(x) and x.ndim > 1 else x, network)


NETWORKS = {
    "softmax": gpt,
    "rotary": lambda: gpt(positions="rotary", tied=False, bias=False),
    "linear": lambda: gpt(attention="linear"),
    "linear rotary": lambda: gpt(attention="linear", positions="rotary"),
    "none": lambda: gpt(positions="none"),
    "lstm": lambda: RecurrentNetwork(V, width=5, hidden=6, layers=2, key=KEY),
    "tied lstm": lambda: RecurrentNetwork(V, width=6, hidden=6, layers=1, tied=True, key=KEY),
}


@eqx.filter_jit
def both_ways(network, tokens, other):
    _, stepped = jax.lax.scan(lambda s, t: network.step(s, t), network.init_state(), tokens)
    state, first = network.extend(network.init_state(N), tokens[:3])
    pieces = jnp.concatenate([first, network.extend(state, tokens[3:])[1]])
    return network(tokens), stepped, network(other), pieces


@pytest.mark.parametrize("name", NETWORKS)
def test_steps_are_the_whole_pass_and_no_place_sees_what_follows(name: str):
    network = NETWORKS[name]()
    other = TOKENS.copy()
    other[5:] = (other[5:] + 1) % V
    passed, stepped, changed, pieces = map(np.asarray, both_ways(network, TOKENS, other))
    assert passed.shape == (N, V)
    assert passed.std() > 1e-2
    np.testing.assert_allclose(stepped, passed, atol=1e-5)
    np.testing.assert_allclose(pieces, passed, atol=1e-5)
    np.testing.assert_allclose(changed[:5], passed[:5], atol=1e-6)
    assert np.abs(changed[5] - passed[5]).max() > 1e-4


def norm(x, layer):
    x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    return x * np.asarray(layer.weight) + np.asarray(layer.bias)


def linear(x, layer):
    return x @ np.asarray(layer.weight).T + np.asarray(layer.bias)


def by_formulas(network: Transformer, tokens: np.ndarray) -> np.ndarray:
    """A GPT-2 in NumPy, place by place and head by head."""
    x = np.asarray(network.embedding.weight)[tokens] + np.asarray(network.positions)[: len(tokens)]
    for block in network.blocks:
        h, a = norm(x, block.attention_norm), block.attention
        q, k, v = (linear(h, getattr(a, f"{n}_projection")) for n in ("query", "key", "value"))
        wide = x.shape[1] // a.heads
        out = np.zeros_like(x)
        for head in range(a.heads):
            s = slice(head * wide, (head + 1) * wide)
            for i in range(len(x)):
                scores = q[i, s] @ k[: i + 1, s].T / np.sqrt(wide)
                weights = np.exp(scores - scores.max())
                out[i, s] = weights / weights.sum() @ v[: i + 1, s]
        x = x + linear(out, a.output_projection)
        h = linear(norm(x, block.mlp_norm), block.up)
        h = 0.5 * h * (1 + np.tanh(np.sqrt(2 / np.pi) * (h + 0.044715 * h**3)))
        x = x + linear(h, block.down)
    return norm(x, network.norm) @ np.asarray(network.embedding.weight).T


def test_a_transformer_is_that_of_gpt_2():
    network = gpt()
    rng = np.random.default_rng(1)
    noisy = lambda x: x + rng.normal(size=x.shape).astype(np.float32) / 3 if x.ndim == 1 else x  # noqa: E731
    network = jax.tree.map(lambda x: noisy(x) if eqx.is_inexact_array(x) and x.ndim else x, network)
    found = np.asarray(eqx.filter_jit(network)(TOKENS))
    expected = by_formulas(network, TOKENS)
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


def test_sizes_are_those_of_the_papers():
    shape = lambda **kw: eqx.filter_eval_shape(lambda: Transformer(**kw, key=KEY))  # noqa: E731
    count = lambda m: sum(x.size for x in jax.tree.leaves(m) if getattr(x, "ndim", 0))  # noqa: E731
    small = shape(vocabulary=65, block=64, layers=4, heads=4, width=128, bias=False)
    assert count(small) == 65 * 128 + 64 * 128 + 4 * (12 * 128**2 + 2 * 128) + 128
    assert count(shape(vocabulary=50257, block=1024, layers=12, heads=12, width=768)) == 124_439_808


def test_nats_of_guessing_among_65():
    found = np.asarray(nats(jnp.zeros((3, 65)), jnp.array([0, 7, 64])))
    assert found == pytest.approx([4.1744] * 3, abs=5e-5)
    assert found / np.log(2) == pytest.approx([6.022] * 3, abs=5e-4)


def test_dropout_acts_in_training_alone():
    network = gpt(dropout=0.5)
    learned = eqx.filter_jit(lambda n, key: n.learn(TOKENS, key)[0])
    one, other = (np.asarray(learned(network, jax.random.key(i))) for i in range(2))
    assert np.abs(one - other).max() > 1e-2
