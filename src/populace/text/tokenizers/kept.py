"""Tokenizers as JSON: what is kept with a run, and read back without the text."""

import json
from collections.abc import Mapping
from typing import Any

from populace.core.errors import UsageError, unknown
from populace.text.tokenizers.bpe import BPETokenizer
from populace.text.tokenizers.bytes import ByteTokenizer
from populace.text.tokenizers.characters import CharacterTokenizer
from populace.text.tokenizers.tokenizer import Tokenizer
from populace.text.tokenizers.words import WordTokenizer

KINDS = {cls.kind: cls for cls in (ByteTokenizer, BPETokenizer, CharacterTokenizer, WordTokenizer)}


def dump(tokenizer: Tokenizer) -> str:
    """Return a tokenizer as JSON."""
    return json.dumps(tokenizer.kept(), ensure_ascii=True)


def load(text: str) -> Tokenizer:
    """Return the tokenizer that `dump` wrote.

    Raises:
        UsageError: it is none, or damaged.

    """
    try:
        kept: Any = json.loads(text)
    except ValueError:
        raise UsageError("the tokenizer is no JSON; it was changed or damaged") from None
    if not isinstance(kept, Mapping) or not isinstance(kept.get("kind"), str):
        raise UsageError("the tokenizer is damaged: it has no kind")
    if kept["kind"] not in KINDS:
        raise unknown("tokenizer", kept["kind"], KINDS)
    try:
        tokens, special = kept["tokens"], kept["special"]
        if not all(isinstance(t, str) for t in tokens) or len(set(tokens)) != len(tokens):
            raise UsageError("the tokenizer is damaged: its tokens are no different texts")
        if not set(special) <= set(tokens):
            raise UsageError("the tokenizer is damaged: it lacks a special token")
        return KINDS[kept["kind"]].restored(kept)
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        if isinstance(error, UsageError):
            raise
        raise UsageError(f"the tokenizer is damaged ({type(error).__name__})") from None
