"""Prompts: the tokens that a text to continue begins with, and what of it the model does not know."""

import numpy as np

from populace.core.errors import UsageError
from populace.text.tokenizers.tokenizer import UNKNOWN, Tokenizer
from populace.text.tokenizers.words import WordTokenizer, split_words


def encoded(tokenizer: Tokenizer, prompt: str) -> np.ndarray:
    """Return the tokens of a prompt, behind `[END]` where documents begin with it."""
    if not isinstance(prompt, str):
        raise UsageError(f"a prompt is text, got {type(prompt).__name__}")
    try:
        own = tokenizer.encode(prompt)
    except UsageError as error:
        raise UsageError(f"prompt: {error}") from None
    if tokenizer.end is not None:
        return np.concatenate([[np.int32(tokenizer.end)], own]).astype(np.int32)
    if not len(own):
        raise UsageError("the prompt is empty, and the model knows no begin of documents; give some text")
    return own


def unknown_words(tokenizer: Tokenizer, prompt: str) -> tuple[str, ...]:
    """Return the different words of a prompt that are read as `[UNK]`, in their order."""
    if not isinstance(tokenizer, WordTokenizer) or tokenizer.special[UNKNOWN] not in tokenizer.encode(prompt):
        return ()
    known = set(tokenizer.tokens)
    words = split_words(prompt, tokenizer.lowercase)
    return tuple(dict.fromkeys(word for word in words if word not in known))
