"""Evaluation of a language model on a whole part: nats, perplexity, bits, accuracy and calibration."""

import math
from typing import Any

import jax
import jax.numpy as jnp

from populace.core.mean import Mean, Metrics
from populace.metrics import classification
from populace.text.data.text_data import PARTS, TextData
from populace.text.data.windows import Windows, read
from populace.text.models.network import nats


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
        inputs, targets, weight = read(tokens, starts, lengths, block)
        weight = weight * (jnp.arange(block) >= context[:, None]) * real[:, None]
        logits = jax.vmap(network)(inputs).reshape(-1, len(data.tokenizer)).astype(jnp.float32)
        targets, weight = targets.reshape(-1), weight.reshape(-1)
        return {
            "nats": jnp.sum(nats(logits, targets) * weight),
            "count": jnp.sum(weight),
            "hits": jnp.sum(classification.correct(logits, targets) * weight),
            "calibration": classification.calibration_sums(logits, targets, weight),
        }

    sums = {name: value.sum(0) for name, value in jax.lax.map(batch, (rows, real)).items()}
    counts = jnp.asarray(data.counts)[PARTS.index(data.called(part))]
    return metrics(sums, counts)


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
