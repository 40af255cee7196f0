"""What the report shows of a language model: is it better than counting, and what does it expect."""

from typing import Any

import numpy as np

from populace.core.media import Image, Visualization
from populace.runs.figures import figure, label, to_image
from populace.supervised.plots import calibration
from populace.text.measures.excerpt import Excerpt, excerpt
from populace.text.measures.surprise import strip, written
from populace.text.models.count_model import AT_ONCE, baselines
from populace.text.models.evaluation import measured
from populace.text.tokenizers.tokenizer import Tokenizer

_READ, _SHOWN, _PLACES, _LIKELIEST = 4_096, 600, 8, 6
_OWN, _COUNTED, _WORSE = "#0f766e", "#94a3b8", "#b91c1c"


def exhibits(learner: Any, network: Any) -> dict[str, Visualization]:
    """Return the figures of a trained network, on the test part or what stands for it."""
    found = excerpt(learner, network, _READ)
    tokenizer = learner.trained_tokenizer
    return {
        "counting": counting(learner, network),
        "surprise": strip(found.tokens[:_SHOWN], found.nats[:_SHOWN], tokenizer, found.part),
        "likeliest": likeliest(found, tokenizer),
        "calibration": calibration(found.logits, found.tokens, f"begin of the {found.part}"),
    }


def counting(learner: Any, network: Any) -> Image:
    """Draw the nats per token of the network beside those of count models of the same split."""
    data, windows = learner.data, learner.batches.scored[1]
    part = data.called("test")
    own = measured(network, data, windows, "test", learner.block, learner.evaluation_batch_size)
    nats = float(own["nats"].value)
    rows = baselines(data, learner.baseline_order, "test")
    best, least = min(rows.items(), key=lambda pair: pair[1])
    beaten = nats < least
    names = [*rows, "this network"]
    values = [*rows.values(), nats]
    drawn, axes = figure(7, 0.5 + 0.42 * len(names))
    colors = [_COUNTED] * len(rows) + [_OWN if beaten else _WORSE]
    bars = axes.barh(range(len(names)), values, color=colors, height=0.7)
    axes.bar_label(bars, [f"{v:.3f}" for v in values], padding=3)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.set_xlabel("nats per token")
    verdict = (
        f"The network beats counting by {least - nats:.3f} nats per token (the {best} model with the "
        "smoothing of Witten and Bell)"
        if beaten
        else f"The network does NOT beat counting: the {best} model with the smoothing of Witten and Bell is "
        f"{nats - least:.3f} nats per token better"
    )
    text = data.counted("test")
    counted = ""
    if data.streamed and data.predicted("train") > AT_ONCE:
        counted = f" Counted were the first {AT_ONCE:,} tokens of the training part."
    return to_image(
        drawn,
        f"{verdict}. All {data.predicted('test'):,} tokens of the {part} part: perplexity "
        f"{np.exp(nats):.3f} per token and {_large(float(own['word_perplexity'].value))} per word "
        f"({text['words']:,.0f} words), {float(own['bits_per_character'].value):.3f} bits per character "
        f"({text['characters']:,.0f}), {float(own['bits_per_byte'].value):.3f} bits per byte "
        f"({text['bytes']:,.0f}). {data.told}.{counted}",
    )


def _large(value: float) -> str:
    return f"{value:,.1f}" if value < 1e6 else f"{value:.2g}"


def likeliest(found: Excerpt, tokenizer: Tokenizer) -> Image:
    """Draw a table of what was expected at some places: the likeliest tokens and their probabilities."""
    count = len(found.tokens)
    places = np.unique(np.linspace(min(24, count - 1), min(_SHOWN, count) - 1, _PLACES).astype(int))
    rows = []
    for place in places:
        before = tokenizer.decode(found.contexts[place])[-28:]
        log_p = found.log_probabilities[place]
        ranked = np.argsort(-log_p, kind="stable")[:_LIKELIEST]
        shown = [f"{_cell(tokenizer, t)}  {100 * np.exp(log_p[t]):.0f} %" for t in ranked]
        shown += [""] * (_LIKELIEST - len(shown))
        came = _cell(tokenizer, found.tokens[place])
        rows.append([label(before.replace("\n", "⏎"), 30), came, *shown])
    drawn, axes = figure(12, 0.5 + 0.34 * len(rows))
    axes.axis("off")
    heads = ["text before", "came", *map(str, range(1, _LIKELIEST + 1))]
    widths = [0.26, 0.1, *[0.64 / _LIKELIEST] * _LIKELIEST]
    table = axes.table(
        rows, colLabels=heads, loc="center", cellLoc="left", colWidths=widths, edges="horizontal"
    )
    table.auto_set_font_size(False)
    table.set_fontsize(9)
    table.scale(1, 1.4)
    for row in range(1, len(rows) + 1):
        table[row, 0].get_text().set_horizontalalignment("right")
        table[row, 0].get_text().set_family("monospace")
        table[row, 1].get_text().set_weight("bold")
    return to_image(
        drawn, f"The likeliest tokens at some places of the {found.part} part, and the one that came."
    )


def _cell(tokenizer: Tokenizer, number: Any) -> str:
    return label(written(tokenizer, int(number)).replace(" ", "␣"), 12)
