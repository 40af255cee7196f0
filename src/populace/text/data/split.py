"""Splits of text into training, validation and test, made before anything is cut into windows."""

from collections.abc import Sequence

import numpy as np

from populace.core.errors import UsageError

PARTS = ("train", "validation", "test")
SPLITS = ("documents", "contiguous")


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
    share = 1 - validation - test
    if share <= 1e-9:
        raise UsageError(f"validation {validation:g} and test {test:g} leave nothing to train on; lower them")
    if split == "contiguous":
        total = sum(map(len, documents))
        # As `int(0.9 * n)`: a share of .1 is not exactly 1 - .9 in floating point.
        first, second = int(round(share, 12) * total), int(round(1 - test, 12) * total)
        parts = tuple(_between(documents, *ends) for ends in ((0, first), (first, second), (second, total)))
    else:
        wanted = 1 + (validation > 0) + (test > 0)
        count = len(documents)
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
        rows = order[sum(held) :], order[held[0] : sum(held)], order[: held[0]]
        parts = tuple([documents[i] for i in np.sort(part)] for part in rows)
    for name, part, asked in zip(PARTS, parts, (1.0, validation, test)):
        if asked > 0 and not any(part):
            raise UsageError(f"the {name} part has no text; give more, or set its share to 0")
    return parts  # pyright: ignore[reportReturnType]


def duplicates(train: Sequence[str], held: Sequence[str]) -> int:
    """Return how many held-out documents are, character by character, among the training documents."""
    known = set(train)
    return sum(document in known for document in held)


def _between(documents: Sequence[str], start: int, end: int) -> list[str]:
    """Return what of the documents lies between two places in their concatenation."""
    found, place = [], 0
    for document in documents:
        piece = document[max(start - place, 0) : max(end - place, 0)]
        if piece:
            found.append(piece)
        place += len(document)
    return found
