"""Surprise: text with every token colored by how little the model expected it."""

import math

import numpy as np

from populace.core.media import Image
from populace.runs.figures import figure, label, to_image
from populace.text.tokenizers.tokenizer import Tokenizer

_COLUMNS = 92
_MOST_BITS = 10.0


def strip(tokens: np.ndarray, nats: np.ndarray, tokenizer: Tokenizer, part: str) -> Image:
    """Draw tokens in their order, white where they were expected and red where they were a surprise.

    Args:
        tokens: (n,) numbers.
        nats: (n,) -log p of each.
        tokenizer: of the tokens.
        part: that they are of, for the caption.

    """
    from matplotlib import colormaps
    from matplotlib.patches import Rectangle

    spaced = tokenizer.kind == "words"
    cells, line, column = [], 0, 0
    for number, surprise in zip(tokens.tolist(), nats.tolist()):
        shown = written(tokenizer, number)
        wide = len(shown) + spaced
        if column + wide > _COLUMNS:
            line, column = line + 1, 0
        cells.append((column, line, wide, shown, surprise / math.log(2)))
        column += wide
        if number == tokenizer.end or shown == "⏎":
            line, column = line + 1, 0
    lines, widest = line + 1, max(cell[0] + cell[2] for cell in cells)
    drawn, axes = figure(max(10 * widest / _COLUMNS, 5), 0.5 + 0.24 * lines)
    colors = colormaps["Reds"]
    for column, line, wide, shown, bits in cells:
        color = colors(0.75 * min(bits / _MOST_BITS, 1))
        axes.add_patch(Rectangle((column, line), wide, 1, color=color, linewidth=0))
        axes.text(
            column + (wide - spaced) / 2, line + 0.5, label(shown, 40), family="monospace", fontsize=7,
            ha="center", va="center",
        )  # fmt: skip
    axes.set(xlim=(0, widest), ylim=(lines, 0))
    axes.axis("off")
    mean = float(nats.mean())
    caption = (
        f"The first {len(tokens):,} tokens of the {part} part, redder where they were less expected: white "
        f"is 0 bits of surprise, the deepest red {_MOST_BITS:g} or more. On average "
        f"{mean / math.log(2):.2f} bits, {mean:.3f} nats per token."
    )
    return to_image(drawn, caption)


def written(tokenizer: Tokenizer, number: int) -> str:
    """Return the text of a token for a figure or table: spaces and line breaks by signs."""
    if number in tokenizer.special.values():
        return tokenizer.tokens[number].strip("[]").lower().join("⟨⟩")
    text = tokenizer.tokens[number] if tokenizer.kind == "words" else tokenizer.decode([number])
    if tokenizer.kind == "bytes" and not (text.isprintable() or text in " \n\t"):
        text = tokenizer.tokens[number]
    text = text.replace("\n", "⏎").replace("\t", "⇥").replace(" ", "·" if tokenizer.kind == "bpe" else " ")
    return "".join(c if c.isprintable() else "�" for c in text)
