"""Count models: what tokens in a row were followed by in the training text; the baseline of networks."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from populace.core.errors import UsageError
from populace.text.data.text_data import TextData

AT_ONCE = 4_000_000
"""Tokens that are counted, of text that stays in a file, and looked up at a time."""

NAMES = {1: "unigram", 2: "bigram", 3: "trigram"}


class _Level(NamedTuple):
    """What was counted after contexts of one length."""

    contexts: np.ndarray  # sorted keys (id of the context without its oldest token) * V + oldest token
    pairs: np.ndarray  # sorted keys (id of the context) * V + next token
    counts: np.ndarray  # of the pairs
    totals: np.ndarray  # of each context: tokens after it
    types: np.ndarray  # of each context: different tokens after it


class CountModel:
    r"""N-gram model with the interpolation of Witten and Bell, or relative frequencies alone.

        P(w | h) = (c(h w) + T(h) P(w | h')) / (c(h) + T(h))

    c(h) is how often the n - 1 tokens h were followed by anything, T(h) by how many different tokens, and h'
    is h without its oldest token. Below the empty context stands the uniform distribution. A context that was
    never seen, or that is longer than the document so far, is that of the next shorter one.

    Without smoothing, P(w | h) = c(h w) / c(h): of tokens that never followed the probability is 0.

    Counting is O(N n log N) for N tokens.

    Source: I. Witten and T. Bell 1991, "The zero-frequency problem: estimating the probabilities of novel
    events in adaptive text compression"; in the form of Chen and Goodman 1999.

    Args:
        order: n, at least 1.
        vocabulary: V, tokens that there are.
        smoothing: `witten-bell` or `none`.

    """

    def __init__(self, order: int, vocabulary: int, smoothing: str = "witten-bell") -> None:
        if order < 1:
            raise UsageError(f"order must be at least 1 (unigram), got {order}")
        if smoothing not in ("witten-bell", "none"):
            raise UsageError(f"smoothing must be witten-bell or none, got '{smoothing}'")
        self.order, self.vocabulary, self.smoothing = order, vocabulary, smoothing
        self._levels: list[_Level] = []

    @property
    def name(self) -> str:
        """Such as `bigram`, or `5-gram`."""
        return NAMES.get(self.order, f"{self.order}-gram")

    def fit(self, tokens: np.ndarray, offsets: np.ndarray) -> "CountModel":
        """Count documents and return the model.

        Args:
            tokens: (total,) documents one after the other.
            offsets: (D + 1,) where they begin, and the last one ends.

        """
        tokens, v = np.asarray(tokens).astype(np.int64), self.vocabulary
        targets, before = _targets(offsets)
        ids = np.zeros(len(targets), np.int64)
        contexts = np.zeros(1, np.int64)
        self._levels = []
        for length in range(self.order):
            if length:
                long = before >= length
                targets, before, ids = targets[long], before[long], ids[long]
                contexts, ids = np.unique(ids * v + tokens[targets - length], return_inverse=True)
            pairs, counts = np.unique(ids * v + tokens[targets], return_counts=True)
            owner = pairs // v
            totals = np.bincount(owner, counts, len(contexts))
            types = np.bincount(owner, minlength=len(contexts)).astype(float)
            self._levels.append(_Level(contexts, pairs, counts.astype(float), totals, types))
        return self

    def probabilities(self, tokens: np.ndarray, offsets: np.ndarray) -> np.ndarray:
        """Return the probability of every token that is predicted, document after document, float64."""
        tokens, v = np.asarray(tokens).astype(np.int64), self.vocabulary
        targets, before = _targets(offsets)
        smooth = self.smoothing == "witten-bell"
        found = np.full(len(targets), 1 / v)
        ids = np.zeros(len(targets), np.int64)
        alive = np.ones(len(targets), bool)
        for length, level in enumerate(self._levels):
            if length:
                alive &= before >= length
                older = tokens[np.maximum(targets - length, 0)]
                place, there = _located(level.contexts, ids * v + older)
                alive &= there
                ids = np.where(alive, place, 0)
            place, there = _located(level.pairs, ids * v + tokens[targets])
            seen = np.where(there, level.counts[place], 0.0)
            total, types = level.totals[ids], level.types[ids]
            here = (seen + types * found) / (total + types) if smooth else seen / np.maximum(total, 1)
            found = np.where(alive, here, found)
        return found

    def distribution(self, context: np.ndarray) -> np.ndarray:
        """Return the probability of each token after a context (n,), the last one the newest, (V,)."""
        context = (
            np.asarray(context)[max(len(context) - self.order + 1, 0) :] if self.order > 1 else context[:0]
        )
        v = self.vocabulary
        rows = np.concatenate([np.tile(context, (v, 1)), np.arange(v)[:, None]], 1)
        offsets = np.arange(v + 1) * rows.shape[1]
        if not len(context):  # the first token of a document is none that is predicted
            rows, offsets = np.concatenate([np.zeros((v, 1), int), rows], 1), np.arange(v + 1) * 2
            return CountModel._of(self, 1).probabilities(rows.ravel(), offsets)
        found = self.probabilities(rows.ravel(), offsets)
        return found.reshape(v, -1)[:, -1]

    def nats(self, tokens: np.ndarray, offsets: np.ndarray) -> float:
        """Return the mean of -log P over the tokens that are predicted; may be infinite."""
        with np.errstate(divide="ignore"):
            return float(-np.log(self.probabilities(tokens, offsets)).mean())

    @staticmethod
    def _of(model: "CountModel", order: int) -> "CountModel":
        lower = CountModel(order, model.vocabulary, model.smoothing)
        lower._levels = model._levels[:order]
        return lower


def baselines(data: TextData, order: int, part: str) -> dict[str, float]:
    """Return the nats per token of unigram, bigram and n-gram on a part, smoothed, by name."""
    some = next(pieces(data, "train"))
    model = CountModel(max(order, 2), len(data.tokenizer)).fit(*some)
    rows = {(m := CountModel._of(model, n)).name: m for n in sorted({1, 2, max(order, 2)})}
    total = dict.fromkeys(rows, 0.0)
    with np.errstate(divide="ignore"):
        for piece in pieces(data, part):
            for name, one in rows.items():
                total[name] -= float(np.log(one.probabilities(*piece)).sum())
    return {name: value / data.predicted(part) for name, value in total.items()}


def pieces(data: TextData, part: str, most: int = AT_ONCE) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield tokens and offsets of the documents of a part: all at once, or where they are in a file, some.

    Args:
        data: text.
        part: its name.
        most: tokens at a time of those in a file; a longer document comes in pieces that share a token, so
            that each token but the first is predicted in one of them.

    """
    offsets = np.asarray(data.part(part))
    if not data.streamed:
        yield np.asarray(data.tokens), offsets
        return
    place, end = int(offsets[0]), int(offsets[-1])
    while place < end - 1:
        stop = min(place + most, end)
        edges = offsets[(offsets > place) & (offsets < stop)]
        yield data.tokens[place:stop], np.array([0, *(edges - place), stop - place])
        place = stop if stop in offsets else stop - 1


def _targets(offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the places of tokens that are predicted, and how many of their document are before each."""
    offsets = np.asarray(offsets)  # of a learner's data they may lie on a device
    lengths = np.diff(offsets)
    places = np.arange(offsets[0], offsets[-1])
    before = places - np.repeat(offsets[:-1], lengths)
    return places[before > 0], before[before > 0]


def _located(keys: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where sorted keys have those that are wanted, and whether they do."""
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return place, keys[place] == wanted
