"""TextData: documents as tokens, split into parts, with what was counted of their text."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import equinox as eqx
import numpy as np

from populace.core.errors import UsageError
from populace.core.formatting import count
from populace.text.data.split import PARTS, duplicates, split_documents
from populace.text.data.token_file import TokenFile
from populace.text.data.windows import rows
from populace.text.tokenizers.characters import Characters
from populace.text.tokenizers.tokenizer import Tokenizer, TokenizerConfig

COUNTED = ("characters", "bytes", "words")
"""What of the text is counted: code points, bytes of its UTF-8, and runs without white space."""


class TextData(eqx.Module):
    """Documents of a training, a validation and a test part, one after the other, as tokens.

    Attributes:
        tokens: (total,) of the smallest unsigned type that holds the vocabulary; an array, or a `TokenFile`.
        offsets: of each part, (D + 1,) int64: where in `tokens` its documents begin, and the last one ends.
        counts: (3, 3) float32, of each part the characters, bytes and words that are predicted.
        tokenizer: of the text.
        copies: how many documents of the validation and of the test part are training documents too.

    """

    tokens: Any
    offsets: tuple[np.ndarray, np.ndarray, np.ndarray]
    counts: np.ndarray
    tokenizer: Tokenizer = eqx.field(static=True)
    copies: tuple[int, int] = eqx.field(static=True)

    @classmethod
    def of(
        cls,
        documents: Sequence[str],
        tokenizer: TokenizerConfig | Tokenizer | None = None,
        *,
        split: str = "documents",
        validation: float = 0.1,
        test: float = 0.1,
        seed: int = 0,
        ends: bool = True,
    ) -> "TextData":
        """Split documents, train the tokenizer, and encode them.

        Args:
            documents: texts.
            tokenizer: how one is trained (on the training part, if it is no alphabet), or a trained one; by
                default characters.
            split: `documents`, drawn at random, or `contiguous`, cut in their order.
            validation: share of the validation part.
            test: share of the test part.
            seed: of the split.
            ends: whether each document begins and ends with `[END]`; else its first token is not predicted.

        Raises:
            UsageError: no documents or too few, a part without text, or what the tokenizer refuses.

        """
        documents = checked(documents)
        parts = split_documents(documents, split=split, validation=validation, test=test, seed=seed)
        how = Characters() if tokenizer is None else tokenizer
        if isinstance(how, TokenizerConfig):
            how = how.train(documents if how.whole_text else parts[0], ends=ends)
        return cls.encoded(parts, how, ends=ends)

    @classmethod
    def encoded(
        cls, parts: Sequence[Sequence[str]], tokenizer: Tokenizer, *, ends: bool = True
    ) -> "TextData":
        """Return the data of parts that are split already: training, validation, test documents."""
        found: tuple[list[np.ndarray], ...] = ([], [], [])
        counts = np.zeros((len(PARTS), len(COUNTED)))
        pieces = ((part, text) for part, documents in enumerate(parts) for text in documents)
        for part, _, own, counted in encoded_pieces(pieces, tokenizer, ends=ends):
            found[part].append(own)
            counts[part] += counted
        offsets = offsets_of([np.asarray([len(own) for own in part], np.int64) for part in found])
        copies = (duplicates(parts[0], parts[1]), duplicates(parts[0], parts[2]))
        tokens = np.concatenate([own for part in found for own in part])
        return cls(tokens, offsets, counts.astype(np.float32), tokenizer, copies)

    def part(self, name: str) -> np.ndarray:
        """Return where documents of the part that `called` names begin and end, (D + 1,)."""
        return self.offsets[PARTS.index(self.called(name))]

    def called(self, name: str) -> str:
        """Return which part stands for one: itself, or where it is empty the one before it."""
        place = PARTS.index(name)
        while place and len(self.offsets[place]) < 2:
            place -= 1
        return PARTS[place]

    def stream(self, name: str) -> np.ndarray:
        """Return the tokens of a part, document after document."""
        offsets = self.part(name)
        return np.asarray(self.tokens[offsets[0] : offsets[-1]])

    def rows(self, starts: np.ndarray, block: int) -> np.ndarray:
        """Return the tokens of windows, (W, block + 1), on the host; beyond the text its last one again."""
        return rows(self.tokens if self.streamed else np.asarray(self.tokens), starts, block)

    @property
    def streamed(self) -> bool:
        """Whether the tokens stay in a file."""
        return isinstance(self.tokens, TokenFile)

    def predicted(self, name: str) -> int:
        """Return how many tokens of a part are predicted: all but the first of each document."""
        return int((np.diff(self.part(name)) - 1).sum())

    def counted(self, name: str) -> dict[str, float]:
        """Return how many characters, bytes and words of a part are predicted."""
        return dict(zip(COUNTED, map(float, self.counts[PARTS.index(self.called(name))])))

    @property
    def told(self) -> str:
        """Return in words what the parts hold, and which of their documents are training documents too."""
        said = []
        for place, name in enumerate(PARTS):
            documents = len(self.offsets[place]) - 1
            if documents > 0:
                copies = self.copies[place - 1] if place else 0
                also = f", {copies:,} of them training documents too" if copies else ""
                said.append(f"{name}: {count(documents, 'document')}{also}, {self.predicted(name):,} tokens")
        return "; ".join(said)


def checked(documents: Any) -> list[str]:
    """Return documents as a list of texts; those of white space alone are left out.

    Raises:
        UsageError: one text instead of several, something that is no text, or none at all.

    """
    if isinstance(documents, str | bytes):
        raise UsageError("documents must be a list of texts, got one text; put it into a list")
    found = list(documents)
    for place, document in enumerate(found):
        if not isinstance(document, str):
            raise UsageError(f"document {place} is {type(document).__name__}; expected text (str)")
    found = [document for document in found if document.strip()]
    if not found:
        raise UsageError("there is no document with text; give at least one")
    return found


def encoded_pieces(
    pieces: Iterable[tuple[int, str]], tokenizer: Tokenizer, *, ends: bool
) -> Iterator[tuple[int, str, np.ndarray, np.ndarray]]:
    """Yield part, text, tokens and what is counted of each document that has tokens, one after the other.

    Args:
        pieces: part and text of each document.
        tokenizer: a trained one.
        ends: whether tokens begin and end with `[END]`.

    Raises:
        UsageError: ends, and a tokenizer without `[END]`, or what the tokenizer refuses.

    """
    if ends and tokenizer.end is None:
        raise UsageError(f"the {tokenizer.kind} tokenizer has no [END]; train it with ends=True")
    edge = np.asarray([tokenizer.end] if ends else [], np.int32)
    kind = np.min_scalar_type(max(len(tokenizer) - 1, 0))
    waiting: deque[tuple[int, str]] = deque()  # the tokenizer may read some documents ahead

    def texts() -> Iterator[str]:
        for part, text in pieces:
            waiting.append((part, text))
            yield text

    for own in tokenizer.encode_each(texts()):
        part, text = waiting.popleft()
        if len(own):
            counted = _counted(text)
            if not ends:  # the first token is not predicted
                counted[:2] -= _counted(tokenizer.decode(own[:1]))[:2]
            yield part, text, np.concatenate([edge, own, edge]).astype(kind), counted


def offsets_of(lengths: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return where the documents of each part begin and end, part after part, of their numbers of tokens.

    Raises:
        UsageError: nothing to train on, or more tokens than can be numbered.

    """
    if not len(lengths[0]):
        raise UsageError("the training part is empty; give documents with text")
    total = int(sum(part.sum() for part in lengths))
    if total >= 2**31:
        raise UsageError(f"a text of {total:,} tokens is too long; {2**31 - 1:,} are read at most")
    first = np.cumsum([0, *(int(part.sum()) for part in lengths)])
    one, two, three = (begin + np.cumsum([0, *part]) for begin, part in zip(first, lengths))
    return one, two, three


def _counted(text: str) -> np.ndarray:
    return np.asarray([len(text), len(text.encode("utf-8", "surrogatepass")), len(text.split())], float)
