"""Splits of text into training, validation and test, made before anything is cut into windows."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from populace.core.errors import UsageError

PARTS = ("train", "validation", "test")
SPLITS = ("documents", "contiguous")


@dataclass(frozen=True)
class Division:
    """Which part each document goes to, or where the text is cut.

    Attributes:
        parts: (D,) the part of each document, 0 to 2; None where the text is cut in its order.
        cuts: where in the characters of all documents the validation and the test part begin.

    """

    parts: np.ndarray | None
    cuts: tuple[int, int] = (0, 0)

    def pieces(self, documents: Iterable[str]) -> Iterator[tuple[int, str]]:
        """Yield the part and the text of every document, or of every piece of it, in their order."""
        if self.parts is not None:
            yield from zip(self.parts.tolist(), documents, strict=True)
            return
        place = 0
        for document in documents:
            edges = [0, *(min(max(cut - place, 0), len(document)) for cut in self.cuts), len(document)]
            for part, (start, end) in enumerate(pairwise(edges)):
                if end > start:
                    yield part, document[start:end]
            place += len(document)


def division(
    lengths: Sequence[int] | np.ndarray, *, split: str = "documents", validation: float = 0.1,
    test: float = 0.1, seed: int = 0,
) -> Division:  # fmt: skip
    """Return how `split_documents` divides documents of these lengths, in characters."""
    if split not in SPLITS:
        raise UsageError(f"split must be one of {' | '.join(SPLITS)}, got '{split}'")
    share = 1 - validation - test
    if share <= 1e-9:
        raise UsageError(f"validation {validation:g} and test {test:g} leave nothing to train on; lower them")
    if split == "contiguous":
        total = int(np.sum(lengths))
        # As `int(0.9 * n)`: a share of .1 is not exactly 1 - .9 in floating point.
        return Division(None, (int(round(share, 12) * total), int(round(1 - test, 12) * total)))
    wanted = 1 + (validation > 0) + (test > 0)
    count = len(lengths)
    if count < wanted:
        raise UsageError(
            f"{wanted} parts need at least {wanted} documents, and there {'is' if count == 1 else 'are'} "
            f'{count}; cut the text itself with split = "contiguous", or divide it with documents = '
            '"lines" or "paragraphs"'
        )
    order = np.random.default_rng(seed).permutation(count)
    held = [max(round(s * count), 1) if s > 0 else 0 for s in (test, validation)]
    if sum(held) >= count:
        raise UsageError(f"validation and test leave none of {count} documents to train on; lower them")
    parts = np.zeros(count, np.int8)
    parts[order[: held[0]]], parts[order[held[0] : sum(held)]] = 2, 1
    return Division(parts)


def split_documents(
    documents: Sequence[str], *, split: str = "documents", validation: float = 0.1, test: float = 0.1,
    seed: int = 0,
) -> tuple[list[str], list[str], list[str]]:  # fmt: skip
    """Return the documents of the training, the validation and the test part.

    Args:
        documents: texts, in order.
        split: `documents` draws whole documents at random; `contiguous` leaves all in their order and cuts
            the text at `floor` of the share of its characters, through a document where that is inside one.
        validation: share of documents, or of characters.
        test: likewise, at the end of the text where it is `contiguous`.
        seed: of the draw.

    Raises:
        UsageError: shares that leave nothing for a part, or too few documents.

    """
    lengths = list(map(len, documents))
    divided = division(lengths, split=split, validation=validation, test=test, seed=seed)
    parts: tuple[list[str], list[str], list[str]] = ([], [], [])
    for part, text in divided.pieces(documents):
        parts[part].append(text)
    check_parts([any(part) for part in parts], validation, test)
    return parts


def check_parts(have: Sequence[bool], validation: float, test: float) -> None:
    """Raise a `UsageError` if a part that was asked for has no text.

    Args:
        have: whether the training, the validation and the test part have any.
        validation: share of the validation part.
        test: share of the test part.

    """
    for name, some, asked in zip(PARTS, have, (1.0, validation, test)):
        if asked > 0 and not some:
            raise UsageError(f"the {name} part has no text; give more, or set its share to 0")


def duplicates(train: Sequence[str], held: Sequence[str]) -> int:
    """Return how many held-out documents are, character by character, among the training documents."""
    known = set(train)
    return sum(document in known for document in held)
