"""Evaluation of a language model on a whole part: nats, perplexity, bits, accuracy and calibration."""

import math
from collections.abc import Iterator
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from populace.core.mean import Mean, Metrics
from populace.metrics import classification
from populace.text.data.text_data import PARTS, TextData
from populace.text.data.windows import Windows, cut, read, scored
from populace.text.models.network import nats

HostBatch = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
"""Tokens of windows, their lengths, their context, and which are windows."""


def evaluated(
    network: Any, data: TextData, windows: Windows, part: str, block: int, batch_size: int
) -> Metrics:
    """Return the metrics of a network on a part; every token but the first of a document is scored once.

    Args:
        network: weights.
        data: of the part.
        windows: of the part.
        part: `train`, `validation` or `test`.
        block: tokens of a window.
        batch_size: windows at a time.

    """
    tokens, count = jnp.asarray(data.tokens), len(windows.starts)
    size = min(batch_size, count)
    pieces = -(-count // size)
    rows = jnp.resize(jnp.arange(count), (pieces, size))
    real = (jnp.arange(pieces * size) < count).reshape(pieces, size)

    def batch(chosen: tuple[jax.Array, jax.Array]) -> dict[str, jax.Array]:
        rows, real = chosen
        starts, lengths, context = (
            jnp.asarray(x)[rows] for x in (windows.starts, windows.lengths, windows.context)
        )
        found = read(tokens, starts, lengths, block)
        return batch_sums(network, found, context, real, len(data.tokenizer))

    sums = {name: value.sum(0) for name, value in jax.lax.map(batch, (rows, real)).items()}
    return metrics(sums, part_counts(data, part))


def measured(
    network: Any, data: TextData, windows: Windows, part: str, block: int, batch_size: int
) -> Metrics:
    """Return what `evaluated` returns, of windows that the host reads, some at a time."""
    total = {}
    for batch in host_batches(data, windows, block, batch_size):
        sums = _host_batch(network, batch, len(data.tokenizer))
        total = {name: total.get(name, 0.0) + value for name, value in sums.items()}
    return metrics(total, part_counts(data, part))


def host_batches(data: TextData, windows: Windows, block: int, batch_size: int) -> Iterator[HostBatch]:
    """Yield all windows as the host reads them, in batches of one size, the last one filled up.

    Each batch has the tokens of its windows, (B, block + 1), their lengths, how many of their tokens another
    window has scored, and whether each is a window or fills up, (B,) each.
    """
    count = len(windows.starts)
    size = min(batch_size, count)
    for first in range(0, count, size):
        places = np.arange(first, first + size)
        rows = np.minimum(places, count - 1)
        starts, lengths, context = (
            np.asarray(x)[rows] for x in (windows.starts, windows.lengths, windows.context)
        )
        yield data.rows(starts, block), lengths, context, places < count


def batch_sums(
    network: Any, found: tuple[jax.Array, jax.Array, jax.Array], context: Any, real: Any, vocabulary: int
) -> dict[str, jax.Array]:
    """Return the sums of a batch that `metrics` makes metrics of.

    Args:
        network: weights.
        found: inputs, targets and weights, (B, block) each.
        context: (B,) how many tokens of a window, at its begin, another one has scored.
        real: (B,) how much each window weighs.
        vocabulary: number of tokens.

    """
    inputs, targets, weight = found
    weight = scored(weight, context, real)
    logits = jax.vmap(network)(inputs).reshape(-1, vocabulary).astype(jnp.float32)
    targets, weight = targets.reshape(-1), weight.reshape(-1)
    return {
        "nats": jnp.sum(nats(logits, targets) * weight),
        "count": jnp.sum(weight),
        "hits": jnp.sum(classification.correct(logits, targets) * weight),
        "calibration": classification.calibration_sums(logits, targets, weight),
    }


def part_counts(data: TextData, part: str) -> jax.Array:
    """Return (3,) characters, bytes and words of the text of a part, or of what stands for it."""
    return jnp.asarray(data.counts)[PARTS.index(data.called(part))]


def metrics(sums: dict[str, jax.Array], counts: jax.Array) -> Metrics:
    """Return the metrics of sums over a part.

    Args:
        sums: total `nats`, `count` of tokens, `hits` of the likeliest token, and `calibration` sums.
        counts: (3,) characters, bytes and words of the text that was predicted.

    """
    total, tokens = sums["nats"], sums["count"]
    characters, size, words = counts
    bits = total / math.log(2)
    return {
        "nats": Mean(total, tokens),
        "perplexity": Mean(jnp.exp(total / tokens)),
        "bits_per_character": Mean(bits, characters),
        "bits_per_byte": Mean(bits, size),
        "word_perplexity": Mean(jnp.exp(total / words)),
        "accuracy": Mean(sums["hits"], tokens),
        "calibration_error": Mean(classification.calibration_error(sums["calibration"])),
    }


@eqx.filter_jit
def _host_batch(network: Any, batch: HostBatch, vocabulary: int) -> dict[str, jax.Array]:
    rows, lengths, context, real = batch
    return batch_sums(network, cut(jnp.asarray(rows), jnp.asarray(lengths)), context, real, vocabulary)
