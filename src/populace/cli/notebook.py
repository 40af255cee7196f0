"""A line in a notebook that is updated in place, by IPython's own display: nothing else need be installed."""

import html
import sys
from collections.abc import Sequence
from typing import Any


def in_notebook() -> bool:
    """Return whether this process is the kernel of a notebook; IPython in a terminal has none."""
    ipython = sys.modules.get("IPython")  # a kernel has imported it before any code of the user's
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None


class Line:
    """One output of a cell: a bar and words, also as text for front ends that show no HTML."""

    def __init__(self) -> None:
        self._handle: Any = None

    def show(self, done: float | None, parts: Sequence[str]) -> None:
        """Show how much is done, from 0 to 1 or None, and what there is to say of it."""
        from IPython.display import display  # pyright: ignore[reportMissingImports]

        words = "&ensp; ".join(html.escape(part) for part in parts)
        if done is None:
            shown = {"text/plain": "  ".join(parts), "text/html": words}
        else:
            bar = f'<progress max="1" value="{done:.4f}"></progress>&ensp;{done:.0%}&ensp; '
            shown = {"text/plain": "  ".join([f"{done:4.0%}", *parts]), "text/html": bar + words}
        if self._handle is None:
            self._handle = display(shown, raw=True, display_id=True)
        else:
            self._handle.update(shown, raw=True)
