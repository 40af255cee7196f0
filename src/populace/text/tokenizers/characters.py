"""Characters: one token for each character (Unicode code point) of the text."""

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import numpy as np

from populace.core.errors import UsageError
from populace.core.untrusted.shown import escaped
from populace.text.tokenizers.tokenizer import END, Tokenizer, TokenizerConfig


class CharacterTokenizer(Tokenizer):
    """Tokens are characters, ordered by code point after the special ones; `decode(encode(text)) == text`."""

    kind: ClassVar[str] = "characters"

    def __init__(self, tokens: Sequence[str], special: Sequence[str] = ()) -> None:
        super().__init__(tokens, special)
        known = [(ord(token), i) for i, token in enumerate(self.tokens) if token not in self.special]
        self._points = np.array([point for point, _ in known], np.uint32)
        self._numbers = np.array([number for _, number in known], np.int32)

    def encode(self, text: str) -> np.ndarray:
        """Return the number of each character; one that is unknown is refused with its position."""
        points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
        if not len(points):
            return np.zeros(0, np.int32)
        places = np.minimum(np.searchsorted(self._points, points), max(len(self._points) - 1, 0))
        known = self._points[places] == points if len(self._points) else np.zeros(len(points), bool)
        if not known.all():
            at = int(np.argmin(known))
            raise UsageError(
                f"character '{escaped(text[at])}' (U+{ord(text[at]):04X}) at position {at} is none of the "
                f"{len(self._points)} characters that the tokenizer was trained on"
            )
        return self._numbers[places]

    def decode(self, numbers: Iterable[int]) -> str:
        """Return the characters of tokens, special ones left out."""
        left_out = set(self.special.values())
        return "".join(self.tokens[n] for n in self.checked(numbers) if n not in left_out)

    def normalized(self, text: str) -> str:
        """Return the text as it is."""
        return text


class Characters(TokenizerConfig):
    """Every character that occurs in any part of the text is a token: the alphabet is taken as known."""

    kind: ClassVar[str] = "characters"
    whole_text: ClassVar[bool] = True

    def train(self, texts: Iterable[str], *, ends: bool) -> Tokenizer:
        """Return the tokenizer of the characters of texts."""
        found: set[Any] = set()
        for text in texts:
            found.update(text)
        special = [END] if ends else []
        return CharacterTokenizer([*special, *sorted(found)], special)
