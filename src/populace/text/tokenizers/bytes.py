"""Bytes: the 256 values of a byte, over UTF-8. No text has an unknown token."""

from collections.abc import Iterable
from typing import ClassVar

import numpy as np

from populace.text.tokenizers.tokenizer import END, Tokenizer, TokenizerConfig


class ByteTokenizer(Tokenizer):
    r"""Token n is byte n, after the special ones; written `\x0a` where the byte is no printable ASCII."""

    kind: ClassVar[str] = "bytes"

    def encode(self, text: str) -> np.ndarray:
        """Return the bytes of a text's UTF-8; half of a surrogate pair is encoded as if it were one."""
        raw = np.frombuffer(text.encode("utf-8", "surrogatepass"), np.uint8)
        return raw.astype(np.int32) + len(self.special)

    def decode(self, numbers: Iterable[int]) -> str:
        """Return the text of bytes; those that are no UTF-8, as of half a character, become U+FFFD."""
        first = len(self.special)
        raw = bytes(n - first for n in self.checked(numbers) if n >= first)
        try:
            return raw.decode("utf-8", "surrogatepass")
        except UnicodeDecodeError:
            return raw.decode("utf-8", "replace")

    def normalized(self, text: str) -> str:
        """Return the text as it is."""
        return text


class Bytes(TokenizerConfig):
    """The 256 bytes; nothing is learned of the texts."""

    kind: ClassVar[str] = "bytes"

    def train(self, texts: Iterable[str], *, ends: bool) -> Tokenizer:
        """Return the tokenizer, whatever the texts."""
        del texts
        special = [END] if ends else []
        return ByteTokenizer([*special, *map(_written, range(256))], special)


def _written(byte: int) -> str:
    return chr(byte) if 32 <= byte < 127 else f"\\x{byte:02x}"
