"""Layers that can be profiled by name, each with the size that varies and its documented complexity.

Layers are imported when they are built, so that listing them is instant. All take a single float32 example:
16 channels in convolutions, 64 features in sequences and of nodes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax

from populace.core.errors import unknown

Built = tuple[Any, tuple[Any, ...]]

CHANNELS, FEATURES, RANK, WORDS = 16, 64, 16, 4096


@dataclass(frozen=True)
class ProfileCase:
    """A layer with known complexity as a function of one size n.

    Attributes:
        name: name on the command line.
        size: what n is, such as `length`.
        work: documented number of operations, inside O(...).
        order: exponent of n in the work for large n.
        memory: documented memory, inside O(...).
        sizes: values of n to profile by default.
        build: `build(n, key=key)` returns the layer and the tuple of its arguments.
        fixed: the sizes that do not vary, as text.

    """

    name: str
    size: str
    work: str
    order: int
    memory: str
    sizes: tuple[int, ...]
    build: Callable[..., Built]
    fixed: str = ""


def names() -> list[str]:
    """Return the names of all profile cases, grouped by family."""
    return list(PROFILE_CASES)


def profile_case(name: str) -> ProfileCase:
    """Return the profile case of a name or alias.

    Raises:
        UsageError: an unknown name.

    """
    name = ALIASES.get(name, name)
    if name not in PROFILE_CASES:
        raise unknown("layer", name, [*PROFILE_CASES, *ALIASES])
    return PROFILE_CASES[name]


def _draw(key: jax.Array, *shape: int) -> jax.Array:
    return jax.random.normal(key, shape)


def _linear(n: int, *, key: jax.Array) -> Built:
    from equinox.nn import Linear

    return Linear(n, n, key=key), (_draw(key, n),)


def _layer_norm(n: int, *, key: jax.Array) -> Built:
    from equinox.nn import LayerNorm

    return LayerNorm(n), (_draw(key, n),)


def _batch_norm(n: int, *, key: jax.Array) -> Built:
    from populace.nn.modules.batch_norm import BatchNorm

    return BatchNorm(CHANNELS), (_draw(key, n, n, CHANNELS),)


def _group_norm(n: int, *, key: jax.Array) -> Built:
    from equinox.nn import GroupNorm

    return GroupNorm(4, CHANNELS), (_draw(key, CHANNELS, n, n),)


def _embedding(n: int, *, key: jax.Array) -> Built:
    from equinox import filter_vmap
    from equinox.nn import Embedding

    return filter_vmap(Embedding(WORDS, FEATURES, key=key)), (jax.random.randint(key, (n,), 0, WORDS),)


def _dropout(n: int, *, key: jax.Array) -> Built:
    from populace.nn.modules.dropout import Dropout

    return lambda x, key: Dropout(0.5).learn(x, key=key)[0], (_draw(key, n), key)


def _convolution(spatial: int, kernel: int, n: int, *, key: jax.Array) -> Built:
    from populace.nn.conv.convolution import Conv

    layer = Conv(spatial, CHANNELS, CHANNELS, kernel, padding="same", key=key)
    return layer, (_draw(key, *(n,) * spatial, CHANNELS),)


def _conv_transpose(n: int, *, key: jax.Array) -> Built:
    from populace.nn.conv.transposed import ConvTranspose2d

    layer = ConvTranspose2d(CHANNELS, CHANNELS, 3, stride=2, padding="same", key=key)
    return layer, (_draw(key, n, n, CHANNELS),)


def _masked_conv(n: int, *, key: jax.Array) -> Built:
    from populace.nn.conv.masked import MaskedConv2d

    return MaskedConv2d(CHANNELS, CHANNELS, 3, mask="B", key=key), (_draw(key, n, n, CHANNELS),)


def _decomposed(n: int, *, key: jax.Array) -> Built:
    from populace.nn.parallel.decomposed import convolve_decomposed

    weight = _draw(key, 3, 3, CHANNELS, CHANNELS)
    return partial(convolve_decomposed, parts=4, padding="same"), (_draw(key, n, n, CHANNELS), weight)


def _pooling(kind: str, n: int, *, key: jax.Array) -> Built:
    from populace.nn.conv import pooling

    return partial(getattr(pooling, kind), size=2), (_draw(key, n, n, CHANNELS),)


def _recurrent(kind: str, n: int, *, key: jax.Array) -> Built:

    from populace.nn.recurrent import layers

    return getattr(layers, kind)(FEATURES, FEATURES, key=key), (_draw(key, n, FEATURES),)


def _attention(n: int, *, key: jax.Array) -> Built:
    from populace.nn.attention.dot_product import attention

    return attention, _queries(n, key)


def _multi_head(n: int, *, key: jax.Array) -> Built:
    from populace.nn.attention.multi_head import MultiHeadAttention

    return MultiHeadAttention(FEATURES, 4, key=key), (_draw(key, n, FEATURES),)


def _linear_attention(n: int, *, key: jax.Array, causal: bool = False) -> Built:
    from populace.nn.attention.linear import LinearAttention

    return partial(LinearAttention(), causal=causal), _queries(n, key)


def _random_feature_attention(n: int, *, key: jax.Array) -> Built:
    from populace.nn.attention.feature_maps import RandomFeatures
    from populace.nn.attention.linear import LinearAttention

    return LinearAttention(RandomFeatures(FEATURES, 2 * FEATURES, key=key)), _queries(n, key)


def _low_rank_attention(n: int, *, key: jax.Array) -> Built:
    from populace.nn.attention.low_rank import low_rank_attention

    return partial(low_rank_attention, rank=RANK), _queries(n, key)


def _projected_attention(n: int, *, key: jax.Array) -> Built:
    from populace.nn.attention.low_rank import ProjectedAttention

    return ProjectedAttention(n, RANK, key=key), _queries(n, key)


def _queries(n: int, key: jax.Array) -> tuple[jax.Array, ...]:
    return tuple(_draw(k, n, FEATURES) for k in jax.random.split(key, 3))


def _graph(kind: str, n: int, *, key: jax.Array) -> Built:
    from populace.analysis.graph_profile_cases import build

    return build(kind, FEATURES, n, key=key)


def _wavenet(n: int, *, key: jax.Array) -> Built:
    from populace.nn.conv.wavenet import WaveNet

    return WaveNet(1, CHANNELS, key=key), (_draw(key, n, 1),)


def _autoregressive(n: int, *, key: jax.Array) -> Built:
    from populace.nn.recurrent.autoregressive import AutoregressiveWindow

    return AutoregressiveWindow(FEATURES, 8, key=key), (_draw(key, n, FEATURES),)


_SIDES = (32, 64, 128, 256, 512)
_WIDE = (64, 128, 256, 512, 1024)
_SHORT = (256, 512, 1024, 2048, 4096)
_LENGTHS = (512, 1024, 2048, 4096, 8192)
_LONG = (1024, 2048, 4096, 8192, 16384)
_ON_EDGES = "k = 8 edges into each node, d = 64 features"

_ALL = (
    ProfileCase("linear", "width", "n²", 2, "n²", (512, 1024, 2048, 4096, 8192), _linear),
    ProfileCase("layer-norm", "width", "n", 1, "n", (2**16, 2**18, 2**20, 2**22, 2**24), _layer_norm),
    ProfileCase("batch-norm", "side", "n² c", 2, "n² c", _WIDE, _batch_norm, "c = 16 channels, inference"),
    ProfileCase("group-norm", "side", "n² c", 2, "n² c", _WIDE, _group_norm, "c = 16 channels in 4 groups"),
    ProfileCase("dropout", "width", "n", 1, "n", (2**14, 2**16, 2**18, 2**20, 2**22), _dropout,
            "training, rate 0.5"),
    ProfileCase("embedding", "length", "n d", 1, "n d + v d", _LONG, _embedding,
            "d = 64 features, v = 4,096 words"),
    ProfileCase("conv1d", "length", "n k c²", 1, "n k c", (1024, 4096, 16384, 65536, 262144),
            partial(_convolution, 1, 5), "c = 16 channels, k = 5"),
    ProfileCase("conv2d", "side", "n² k² c²", 2, "n² k² c", _SIDES,
            partial(_convolution, 2, 3), "c = 16 channels, k = 3"),
    ProfileCase("conv3d", "side", "n³ k³ c²", 3, "n³ k³ c", (8, 12, 16, 24, 32, 48),
            partial(_convolution, 3, 3), "c = 16 channels, k = 3"),
    ProfileCase("conv-transpose2d", "side", "n² k² c²", 2, "n² k² c", _SIDES[:-1], _conv_transpose,
            "c = 16 channels, k = 3, stride 2"),
    ProfileCase("masked-conv2d", "side", "n² k² c²", 2, "n² k² c", _SIDES, _masked_conv,
            "c = 16 channels, k = 3, mask B"),
    ProfileCase("decomposed-conv2d", "side", "n² k² c²", 2, "n² k² c", _SIDES, _decomposed,
            "c = 16 channels, k = 3, 4 parts, one after the other"),
    ProfileCase("max-pool", "side", "n² c", 2, "n² c", _WIDE, partial(_pooling, "max_pool"),
            "c = 16 channels, window 2 x 2"),
    ProfileCase("average-pool", "side", "n² c", 2, "n² c", _WIDE, partial(_pooling, "average_pool"),
            "c = 16 channels, window 2 x 2"),
    ProfileCase("linear-recurrence", "length", "n d²", 1, "n d", _SHORT,
            partial(_recurrent, "LinearRecurrence"), "d = 64 inputs and units"),
    ProfileCase("elman", "length", "n d²", 1, "n d", _SHORT, partial(_recurrent, "Elman"),
            "d = 64 inputs and units"),
    ProfileCase("lstm", "length", "n d²", 1, "n d", _SHORT, partial(_recurrent, "LSTM"),
            "d = 64 inputs and units"),
    ProfileCase("gru", "length", "n d²", 1, "n d", _SHORT, partial(_recurrent, "GRU"),
            "d = 64 inputs and units"),
    ProfileCase("attention", "length", "n² d", 2, "n d + b n", _LENGTHS, _attention,
            "one head, d = 64, b queries at a time"),
    ProfileCase("multi-head-attention", "length", "n² d + n d²", 2, "n d + h b n", _LENGTHS[:-1], _multi_head,
            "h = 4 heads, d = 64, b queries at a time"),
    ProfileCase("linear-attention", "length", "n d²", 1, "n d", _LONG, _linear_attention,
            "one head, d = 64"),
    ProfileCase("causal-linear-attention", "length", "n d²", 1, "n d", _LONG,
            partial(_linear_attention, causal=True), "one head, d = 64"),
    ProfileCase("random-feature-attention", "length", "n d f", 1, "n (d + f)", _LONG,
            _random_feature_attention, "one head, d = 64, f = 128 features"),
    ProfileCase("low-rank-attention", "length", "n² d + n³", 3, "n²", (64, 128, 192, 256, 384, 512),
            _low_rank_attention, "one head, d = 64, rank 16, by SVD of the context matrix"),
    ProfileCase("projected-attention", "length", "n r d", 1, "n (r + d)", _LONG, _projected_attention,
            "one head, d = 64, rank r = 16"),
    ProfileCase("wavenet", "length", "n L c²", 1, "n L c", _LENGTHS, _wavenet,
            "L = 10 blocks, c = 32 channels"),
    ProfileCase("autoregressive", "length", "n k d²", 1, "n k d", _LONG, _autoregressive,
            "d = 64 features, window k = 8"),
    ProfileCase("gcn", "nodes", "n (k d + d²)", 1, "n (k + d)", _LONG, partial(_graph, "gcn"), _ON_EDGES),
    ProfileCase("graphsage", "nodes", "n (k d + d²)", 1, "n (k + d)", _LONG, partial(_graph, "graphsage"),
            f"{_ON_EDGES}, mean of neighbors"),
    ProfileCase("gin", "nodes", "n (k d + d²)", 1, "n (k + d)", _LONG, partial(_graph, "gin"),
            f"{_ON_EDGES}, MLP of one hidden layer"),
    ProfileCase("sgc", "nodes", "n (h k d + d²)", 1, "n (k + d)", _LONG, partial(_graph, "sgc"),
            f"{_ON_EDGES}, h = 2 hops"),
    ProfileCase("appnp", "nodes", "n t k d", 1, "n (k + d)", _LONG, partial(_graph, "appnp"),
            f"{_ON_EDGES}, t = 10 propagation steps"),
    ProfileCase("gat", "nodes", "n (k d + d²)", 1, "n (k h + d)", _LONG, partial(_graph, "gat"),
            f"{_ON_EDGES}, h = 4 heads"),
    ProfileCase("gatv2", "nodes", "n (k d + d²)", 1, "n k d", _LONG, partial(_graph, "gatv2"),
            f"{_ON_EDGES}, 4 heads"),
)  # fmt: skip

PROFILE_CASES = {one.name: one for one in _ALL}
"""Profile cases by name."""

ALIASES = {
    "dense": "linear", "pooling": "max-pool", "rnn": "elman", "softmax-attention": "attention",
    "layernorm": "layer-norm", "groupnorm": "group-norm", "graph-conv": "gcn", "sage": "graphsage",
}  # fmt: skip
"""Aliases under which a layer is also found."""
