"""The command generate: text after a prompt, and the probabilities that it was chosen from."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from populace.cli.display import Display
from populace.cli.domains.members import chosen
from populace.cli.output import Terminal, print_json

_ROWS = 40
"""Tokens whose choices are printed; `--json` has those of all."""


def generate(
    folder: Path, prompts: Sequence[str], length: int, how: dict[str, Any], members: str, shown: int,
    display: Display, *, trust: bool, as_json: bool,
) -> None:  # fmt: skip
    """Write after prompts, and print what was written and from which probabilities."""
    from populace.engine.placement import setup
    from populace.text.generation.generate import Writer, members_of

    setup()
    display.phase("loading")
    who = members_of(chosen(folder, members, trust=trust))
    display.phase("writing")
    writer = Writer(who, list(prompts) or [""], **how)
    found = writer.more(length)
    display.close()
    if as_json:
        rows = [
            {
                "prompt": one.prompt,
                "text": one.text,
                "members": len(who),
                "unknown": list(one.unknown),
                "tokens": [
                    {"token": token, "log_probability": float(log_p), "chosen_from": dict(best)}
                    for token, log_p, best in zip(one.tokens, one.log_probabilities, one.likeliest)
                ],
            }
            for one in found
        ]
        print_json({"texts": rows} | how | {"length": length})
        return
    console = Terminal()
    averaged = f", probabilities averaged over {len(who)} members" if len(who) > 1 else ""
    for one in found:
        if one.unknown:
            words = ", ".join(one.unknown)
            console.print(f"read as \\[UNK]: {words}", highlight=False, soft_wrap=True)
        joined = " " if writer.tokenizer.kind == "words" and one.prompt else ""
        text = Text(one.prompt, style="dim") + Text(joined + one.text)
        console.print(text, highlight=False, soft_wrap=True)
        console.print(
            f"\n{len(one.tokens)} tokens, {one.nats:.3f} nats each{averaged}\n",
            highlight=False,
            soft_wrap=True,
        )
        if shown:
            console.print(_choices(one, shown))


def _choices(one: Any, shown: int) -> Table:
    """Return a table of the first tokens: what was drawn, and the likeliest of what it was drawn from."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("token")
    for place in range(shown):
        table.add_column("drawn from" if not place else "")
    for token, best in list(zip(one.tokens, one.likeliest))[:_ROWS]:
        cells = [
            Text(f"{_written(t)} {100 * p:.1f} %", "bold" if t == token else "") for t, p in best[:shown]
        ]
        table.add_row(Text(_written(token), "bold"), *cells)
    if (more := len(one.tokens) - _ROWS) > 0:
        table.add_row(f"... and {more:,} more")
    return table


def _written(token: str) -> str:
    return token if token.isprintable() and token != " " else repr(token)
