"""Weights of GPT-2, as Hugging Face and nanoGPT name them, for a `GPT` of the same sizes."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from populace.core.errors import UsageError, unknown
from populace.core.model.weights import array_of

_IGNORED = re.compile(r"h\.\d+\.attn\.(?:bias|masked_bias)")  # masks, which some versions save
_NORMS = {"ln_1": "attention_norm", "ln_2": "mlp_norm"}


def gpt2_weights(state_dict: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Return the weights of a GPT-2 by the names of a `GPT`, for `populace.train(..., start_from=...)`.

    The `GPT` needs as many layers and heads and the same width, the block of `wpe`, a tokenizer of as many
    tokens as `wte` has rows, `positions = "learned"`, `tied = true` and `bias = true`. GPT-2 stores its
    matrices (inputs, outputs), and queries, keys and values in one; names may begin with `transformer.`.

    Args:
        state_dict: tensors by name, as NumPy arrays or anything that NumPy makes one of.

    Raises:
        UsageError: a tensor that is missing, unknown, or of another shape; the line names it.

    """
    given = {name.removeprefix("transformer."): name for name in state_dict}
    given = {short: name for short, name in given.items() if not _IGNORED.fullmatch(short)}
    left, found = dict(given), {}

    def take(short: str, *shape: int) -> np.ndarray:
        if short not in given:
            raise UsageError(f"tensor '{short}' of GPT-2 is missing; the model needs it, {list(shape)}")
        left.pop(short, None)
        value = array_of(given[short], state_dict[given[short]])
        if value.shape != shape:
            raise UsageError(f"tensor '{given[short]}' has shape {value.shape}, expected {shape}")
        return value.astype(np.float32)

    def linear(short: str, ours: str, inputs: int, outputs: int) -> None:
        found[f"{ours}.weight"] = take(f"{short}.weight", inputs, outputs).T.copy()
        found[f"{ours}.bias"] = take(f"{short}.bias", outputs)

    def norm(short: str, ours: str) -> None:
        found[f"{ours}.weight"], found[f"{ours}.bias"] = (
            take(f"{short}.{part}", width) for part in ("weight", "bias")
        )

    vocabulary, width = _shape(state_dict, given, "wte.weight")
    block, _ = _shape(state_dict, given, "wpe.weight")
    found["embedding.weight"] = take("wte.weight", vocabulary, width)
    found["positions"] = take("wpe.weight", block, width)
    layers = 1 + max((int(name.split(".")[1]) for name in given if re.match(r"h\.\d+\.", name)), default=-1)
    for i in range(layers):
        theirs, ours = f"h.{i}", f"blocks.{i}"
        for name, own in _NORMS.items():
            norm(f"{theirs}.{name}", f"{ours}.{own}")
        joined = take(f"{theirs}.attn.c_attn.weight", width, 3 * width)
        biases = take(f"{theirs}.attn.c_attn.bias", 3 * width)
        for j, name in enumerate(("query", "key", "value")):
            part = slice(j * width, (j + 1) * width)
            found[f"{ours}.attention.{name}_projection.weight"] = joined[:, part].T.copy()
            found[f"{ours}.attention.{name}_projection.bias"] = biases[part]
        linear(f"{theirs}.attn.c_proj", f"{ours}.attention.output_projection", width, width)
        linear(f"{theirs}.mlp.c_fc", f"{ours}.up", width, 4 * width)
        linear(f"{theirs}.mlp.c_proj", f"{ours}.down", 4 * width, width)
    norm("ln_f", "norm")
    if "lm_head.weight" in left:
        head = take("lm_head.weight", vocabulary, width)
        if not np.array_equal(head, found["embedding.weight"]):
            raise UsageError("tensor 'lm_head.weight' is not 'wte.weight'; GPT-2 ties the two")
    if left:
        raise unknown("tensor of GPT-2", next(iter(left)), set(given) - set(left))
    return found


def _shape(state_dict: Mapping[str, Any], given: Mapping[str, str], short: str) -> tuple[int, int]:
    if short not in given:
        raise UsageError(f"the state_dict has no '{short}', so it is no GPT-2's; give that of a GPT-2")
    shape = array_of(given[short], state_dict[given[short]]).shape
    if len(shape) != 2:
        raise UsageError(f"tensor '{given[short]}' has shape {shape}, expected (rows, width)")
    return shape[0], shape[1]
