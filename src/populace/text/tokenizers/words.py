"""Words: runs of anything but white space, with each punctuation mark as a token of its own.

`Add 2 cups, stir; don't` is `add 2 cups , stir ; don ' t`.
"""

import re
import string
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, ClassVar

import numpy as np

from populace.core.errors import UsageError
from populace.core.settings import setting
from populace.text.tokenizers.tokenizer import END, PADDING, UNKNOWN, Tokenizer, TokenizerConfig

_REMEMBERED = 1_000_000  # runs between white space whose numbers are kept


def split_words(text: str, lowercase: bool = True) -> list[str]:
    """Return the words and punctuation marks of a text, in order.

    Punctuation is all of ASCII's (`string.punctuation`) and Unicode's (the categories P).
    """
    return _pattern().findall(text.lower() if lowercase else text)


class WordTokenizer(Tokenizer):
    """Tokens are `[PAD]`, `[UNK]`, perhaps `[END]`, and words, the most frequent first.

    What a text's tokens keep of it: words with single spaces between them, unknown ones as `[UNK]`.
    """

    kind: ClassVar[str] = "words"

    def __init__(self, tokens: Sequence[str], special: Sequence[str] = (), lowercase: bool = True) -> None:
        super().__init__(tokens, special)
        self.lowercase = lowercase
        self._numbers = {token: i for i, token in enumerate(self.tokens)}
        self._runs: dict[str, list[int]] = {}

    def settings(self) -> dict[str, Any]:
        """Return whether text is made lower case."""
        return {"lowercase": self.lowercase}

    def encode(self, text: str) -> np.ndarray:
        """Return the number of each word."""
        # What stands between white space repeats itself, and is looked up whole: several times quicker.
        runs, known = (text.lower() if self.lowercase else text).split(), self._runs
        found: list[int] = []
        for run in runs:
            numbers = known.get(run)
            found += self._remember(run) if numbers is None else numbers
        return np.asarray(found, np.int32)

    def _remember(self, run: str) -> list[int]:
        get, unknown = self._numbers.get, self.special[UNKNOWN]
        numbers = [get(word, unknown) for word in _pattern().findall(run)]
        if len(self._runs) < _REMEMBERED:
            self._runs[run] = numbers
        return numbers

    def decode(self, numbers: Iterable[int]) -> str:
        """Return words with spaces between them; `[UNK]` is written, `[PAD]` and `[END]` are not."""
        left_out = {self.special.get(PADDING), self.special.get(END)}
        return " ".join(self.tokens[n] for n in self.checked(numbers) if n not in left_out)

    def normalized(self, text: str) -> str:
        """Return words and marks with single spaces between them, unknown ones as they are."""
        return " ".join(split_words(text, self.lowercase))


class Words(TokenizerConfig):
    """The V most frequent words of the training texts; of equally frequent ones, the first by code points."""

    kind: ClassVar[str] = "words"
    vocabulary: int = setting(10_000, low=1, help="tokens at most, special ones included; V")
    lowercase: bool = setting(True, help="make text lower case")

    def train(self, texts: Iterable[str], *, ends: bool) -> Tokenizer:
        """Return the tokenizer of the most frequent words."""
        special = [PADDING, UNKNOWN, *([END] if ends else [])]
        if self.vocabulary <= len(special):
            raise UsageError(
                f"vocabulary must be above {len(special)}, the number of special tokens "
                f"({', '.join(special)}), got {self.vocabulary}"
            )
        runs: Counter[str] = Counter()
        for text in texts:
            runs.update((text.lower() if self.lowercase else text).split())
        counts: Counter[str] = Counter()
        for run, times in runs.items():
            for word in _pattern().findall(run):
                counts[word] += times
        ranked = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
        words = [word for word, _ in ranked[: self.vocabulary - len(special)]]
        return WordTokenizer([*special, *words], special, self.lowercase)


@cache
def _pattern() -> re.Pattern[str]:
    marks = {c for c in map(chr, range(sys.maxunicode + 1)) if unicodedata.category(c)[0] == "P"}
    inside = "".join(re.escape(c) for c in sorted(marks | set(string.punctuation)))
    return re.compile(rf"[{inside}]|[^\s{inside}]+")
