"""Tokenizer: text to whole numbers and back; trained once on texts, kept with what was trained on them.

A `TokenizerConfig` is the setting of a learner; its `train` returns the `Tokenizer` of given texts.
"""

import hashlib
import json
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from populace.core.errors import UsageError
from populace.core.formatting import Overview
from populace.core.settings import Settings

END = "[END]"
"""Begins and ends documents: what comes first is predicted from it, and it is predicted at the end."""
UNKNOWN = "[UNK]"
"""Stands for what the vocabulary lacks."""
PADDING = "[PAD]"
"""Fills texts up to a fixed length; counts nowhere, and is never generated."""


class Tokenizer(Overview):
    """A trained tokenizer; two are equal if they hold the same.

    Args:
        tokens: text of each token, by its number; all differ.
        special: those among them that stand for no text of their own.

    """

    kind: ClassVar[str] = ""

    def __init__(self, tokens: Sequence[str], special: Sequence[str] = ()) -> None:
        self.tokens = tuple(tokens)
        self.special = {name: self.tokens.index(name) for name in special}

    @abstractmethod
    def encode(self, text: str) -> np.ndarray:
        """Return the numbers of a text's tokens, (n,) int32.

        Raises:
            UsageError: a character that the vocabulary lacks, where there is no token for unknown ones.

        """

    @abstractmethod
    def decode(self, numbers: Iterable[int]) -> str:
        """Return the text of tokens; special tokens that stand for no text are left out.

        Raises:
            UsageError: a number that no token has.

        """

    @abstractmethod
    def normalized(self, text: str) -> str:
        """Return what of a text can be told from its tokens: `decode(encode(text))` of a known one."""

    def settings(self) -> dict[str, Any]:
        """Return what besides the tokens makes the tokenizer, as JSON has it."""
        return {}

    @classmethod
    def restored(cls, kept: Mapping[str, Any]) -> "Tokenizer":
        """Return the tokenizer of what `kept` returned."""
        return cls(**{name: value for name, value in kept.items() if name != "kind"})

    def kept(self) -> dict[str, Any]:
        """Return all of the tokenizer as JSON has it, for [`load`][populace.text.tokenizers.kept.load]."""
        special = list(self.special)
        return {"kind": self.kind, "tokens": list(self.tokens), "special": special, **self.settings()}

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def end(self) -> int | None:
        """Number of the token at the ends of documents; None if there is none."""
        return self.special.get(END)

    @cached_property
    def unwritten(self) -> tuple[int, ...]:
        """Numbers of the tokens that generation never writes: padding and unknown."""
        return tuple(self.special[name] for name in (PADDING, UNKNOWN) if name in self.special)

    def encode_batch(self, texts: Iterable[str], length: int = 0) -> np.ndarray | list[np.ndarray]:
        """Return the tokens of texts: arrays of their own lengths, or with `length` (N, length) int32.

        Longer texts lose their end, shorter ones are filled up with `[PAD]`.

        Raises:
            UsageError: a fixed length, and a tokenizer without `[PAD]`, or a length below 0.

        """
        if length < 0:
            raise UsageError(f"length must be 0 for each text's own, or at least 1, got {length}")
        found = list(self.encode_each(texts))
        if not length:
            return found
        if PADDING not in self.special:
            raise UsageError(f"the {self.kind} tokenizer has no {PADDING} to fill texts up with; take words")
        out = np.full((len(found), length), self.special[PADDING], np.int32)
        for row, one in zip(out, found):
            row[: len(one)] = one[:length]
        return out

    def encode_each(self, texts: Iterable[str]) -> Iterator[np.ndarray]:
        """Yield the tokens of each text, as `encode` returns them."""
        return map(self.encode, texts)

    def checked(self, numbers: Iterable[int]) -> list[int]:
        """Return the numbers as a list; raise a `UsageError` for one that no token has."""
        found = [int(n) for n in numbers]
        for place, number in enumerate(found):
            if not 0 <= number < len(self):
                raise UsageError(f"token {number} at position {place} is none of the {len(self)}")
        return found

    @cached_property
    def digest(self) -> str:
        """SHA-256 over all of the tokenizer."""
        return hashlib.sha256(json.dumps(self.kept(), sort_keys=True).encode()).hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tokenizer) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def _overview(self) -> tuple[str, dict[str, object]]:
        shown = " ".join(map(repr, self.tokens[:12])) + (" ..." if len(self) > 12 else "")
        return f"{type(self).__name__} of {len(self):,} tokens", {"tokens": shown}


class TokenizerConfig(Settings):
    """How a tokenizer is made of texts."""

    whole_text: ClassVar[bool] = False
    """Whether the vocabulary is that of all texts; else it is that of the training texts alone."""

    @abstractmethod
    def train(self, texts: Iterable[str], *, ends: bool) -> Tokenizer:
        """Return the tokenizer of texts.

        Args:
            texts: documents.
            ends: whether documents begin and end with `[END]`.

        Raises:
            UsageError: a vocabulary that cannot be made of them.

        """
