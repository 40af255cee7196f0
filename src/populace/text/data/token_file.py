"""Token file: the tokens of a text that stays on disk, and its windows as rows that are read from there."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from populace.data.arrays import BLOCK
from populace.data.file_stamp import check_unchanged, identity, stamp
from populace.text.data import windows
from populace.text.data.windows import Windows


class TokenFile:
    """Tokens in a file; takes the place of an array of them, and is indexed like one.

    Args:
        tokens: memory-mapped, (total,).
        memory: bytes of windows that may be held in memory at once.

    """

    def __init__(self, tokens: np.ndarray, memory: int) -> None:
        self._given, self._stamp, self.memory = tokens, stamp(tokens), memory
        self._tokens = np.asarray(tokens)
        self.shape, self.dtype = self._tokens.shape, self._tokens.dtype
        self._identity = (identity(tokens, self._stamp), memory)

    def __getitem__(self, places: Any) -> np.ndarray:
        """Return the tokens at places, read from the file.

        Raises:
            RunError: the file was changed or removed since it was opened.

        """
        check_unchanged(self._given, self._stamp)
        return np.array(self._tokens[places])

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield all tokens, some at a time."""
        for start in range(0, len(self), BLOCK):
            yield self[start : start + BLOCK]

    def __len__(self) -> int:
        return len(self._tokens)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TokenFile) and self._identity == other._identity

    def __hash__(self) -> int:
        return hash(self._identity)

    def __repr__(self) -> str:
        return f"TokenFile({self.dtype}[{len(self):,}])"


class WindowRows:
    """The windows of a part as rows of `block + 1` tokens each; see `populace.data.feed.RowFiles`.

    Beyond the text a row repeats its last token, as `windows.read` has it; row -1 fills a batch up, and has
    the tokens of the last window.

    Args:
        tokens: of all parts.
        part: its windows.
        block: tokens predicted in a window.

    """

    def __init__(self, tokens: TokenFile, part: Windows, block: int) -> None:
        self._tokens, self._starts = tokens, np.asarray(part.starts)
        self.memory, self.dtype = tokens.memory, tokens.dtype
        self.shape: tuple[int, ...] = (len(self._starts), block + 1)

    @property
    def row_bytes(self) -> int:
        """Bytes of one window as it is read."""
        return self.shape[1] * self.dtype.itemsize

    def read(self, rows: np.ndarray, out: np.ndarray) -> None:
        """Read rows, (M,), into `out`, (M, block + 1), in the order in which they lie on the disk."""
        starts, width = self._starts[rows], self.shape[1]
        order, many = np.argsort(starts, kind="stable"), max(BLOCK // width, 1)
        for at in np.split(order, range(many, len(order), many)):
            out[at] = windows.rows(self._tokens, starts[at], width - 1)

    def __len__(self) -> int:
        return self.shape[0]
