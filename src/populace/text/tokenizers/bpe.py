"""Byte-pair encoding (Sennrich et al. 2016) over bytes, as GPT-2 has it, by Hugging Face `tokenizers`.

The package is optional: `pip install 'populace[text]'`.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, ClassVar

import numpy as np

from populace.core.errors import UsageError
from populace.core.settings import setting
from populace.text.tokenizers.tokenizer import END, Tokenizer, TokenizerConfig

_BYTES = 256
_AT_ONCE = 1_024  # texts that are encoded at a time


class BPETokenizer(Tokenizer):
    """Tokens are bytes and merges of tokens, in the order they were learned; no text is unknown.

    Args:
        tokens: text of each token, in GPT-2's writing of bytes.
        special: `[END]`, or none.
        state: what `tokenizers` writes of the model, JSON.

    """

    kind: ClassVar[str] = "bpe"

    def __init__(self, tokens: Sequence[str], special: Sequence[str] = (), state: str = "") -> None:
        super().__init__(tokens, special)
        self.state = state
        try:
            self._model = _package().Tokenizer.from_str(state)
        except UsageError:
            raise
        except Exception as error:  # of the package's own kind, which it does not export
            raise UsageError(f"the BPE tokenizer cannot be restored: {error}") from None

    def settings(self) -> dict[str, Any]:
        """Return the package's state."""
        return {"state": self.state}

    def encode(self, text: str) -> np.ndarray:
        """Return the tokens that the merges make of a text, in the order they were learned."""
        return np.asarray(self._model.encode(_sound(text), add_special_tokens=False).ids, np.int32)

    def encode_each(self, texts: Iterable[str]) -> Iterator[np.ndarray]:
        """Yield the tokens of each text; the package encodes several at a time, by a thread for each core."""
        left = iter(texts)
        while some := [_sound(text) for text in itertools.islice(left, _AT_ONCE)]:
            for one in self._model.encode_batch(some, add_special_tokens=False):
                yield np.asarray(one.ids, np.int32)

    def decode(self, numbers: Iterable[int]) -> str:
        """Return the text of tokens; bytes that are no UTF-8 become U+FFFD."""
        left_out = set(self.special.values())
        return self._model.decode([n for n in self.checked(numbers) if n not in left_out])

    def normalized(self, text: str) -> str:
        """Return the text as it is, but halves of surrogate pairs, which have no UTF-8, as `?`."""
        return _sound(text)


class BPE(TokenizerConfig):
    """As many merges as make V tokens; texts are cut into words, by GPT-2's pattern, before they are merged.

    Training is deterministic: of equally frequent pairs the one with the lower numbers is merged first.
    """

    kind: ClassVar[str] = "bpe"
    vocabulary: int = setting(4_096, low=1, help="tokens at most, special ones and the 256 bytes included; V")

    def train(self, texts: Iterable[str], *, ends: bool) -> Tokenizer:
        """Return the tokenizer of the most frequent pairs of the texts."""
        special = [END] if ends else []
        least = _BYTES + len(special)
        if self.vocabulary < least:
            raise UsageError(
                f"vocabulary must be at least {least}, the bytes and special tokens, got {self.vocabulary}"
            )
        package = _package()
        model = package.Tokenizer(package.models.BPE())
        model.pre_tokenizer = package.pre_tokenizers.ByteLevel(add_prefix_space=False)
        model.decoder = package.decoders.ByteLevel()
        trainer = package.trainers.BpeTrainer(
            vocab_size=self.vocabulary,
            special_tokens=special,
            initial_alphabet=sorted(package.pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        )
        model.train_from_iterator(map(_sound, texts), trainer)
        # A special token is a number here and never text: a document may well contain the letters.
        state = package.Tokenizer(model.model)
        state.pre_tokenizer, state.decoder = model.pre_tokenizer, model.decoder
        tokens = [state.id_to_token(i) for i in range(state.get_vocab_size())]
        return BPETokenizer(tokens, special, state.to_str())


def _sound(text: str) -> str:
    return text.encode("utf-8", "replace").decode() if not text.isascii() else text


def _package() -> Any:
    try:
        import tokenizers
    except ImportError:
        raise UsageError(
            "the tokenizer bpe needs the package tokenizers; pip install 'populace[text]'"
        ) from None
    import tokenizers.decoders
    import tokenizers.models
    import tokenizers.pre_tokenizers
    import tokenizers.trainers

    return tokenizers
