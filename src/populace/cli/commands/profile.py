"""The command profile."""

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from populace.analysis.profile_cases import PROFILE_CASES, ProfileCase, profile_case
from populace.analysis.units import quantity
from populace.cli.output import Terminal, fail, made_folder, print_json
from populace.core.errors import RunError, UsageError
from populace.core.files import to_json, write

_RESULT = "profile.json"
_FEWEST = 3  # sizes that a fit needs: every line goes through two
_TOGETHER = 7  # most layers that one figure can show legibly
_FITS = (("forward", "seconds"), ("gradient", "seconds"), ("forward", "flops"))
_HEADINGS = {
    "seconds": ("time", "s"),
    "flops": ("FLOPs", ""),
    "bytes": ("bytes", "B"),
    "memory": ("peak", "B"),
}


def profile(names: Sequence[str], sizes: str | None, out: Path | None, repeats: int, as_json: bool) -> None:
    """Profile layers one after the other; each measurement is written to disk at once."""
    if not names:
        print_list()
        return
    named = (profile_case(name) for name in (PROFILE_CASES if "all" in names else names))
    wanted = list({one.name: one for one in named}.values())
    chosen = _sizes(sizes)
    folder = made_folder(out or Path("profiles") / time.strftime("%Y%m%d-%H%M%S"))
    from populace.engine.placement import setup
    from populace.runs import provenance

    setup()
    console = Terminal(quiet=as_json)
    found: dict[str, Any] = {}
    result = provenance.describe() | {"repeats": repeats}

    def keep() -> None:
        result["layers"] = [_entry(one, found[one.name]) for one in wanted if one.name in found]
        write(folder / _RESULT, to_json(result))

    try:
        for one in wanted:
            _measure(console, one, chosen, repeats, found, keep)
            _draw(folder / f"{one.name}.png", [one], found)
        if 1 < len(found) <= _TOGETHER:
            _draw(folder / "profile.png", wanted, found)
        if len(found) > 1:
            _summary(console, wanted, found)
    except KeyboardInterrupt:
        measured = sum(len(p.sizes) for p in found.values())
        fail(f"interrupted; the {measured} sizes measured so far are in '{folder / _RESULT}'", 130)
    except OSError as error:
        raise RunError(f"cannot write to output folder '{folder}': {error.strerror}") from None
    if as_json:
        print_json(result)
    console.print(f"\nprofile  {folder}", highlight=False, markup=False, soft_wrap=True)


def _measure(
    console: Console, one: ProfileCase, sizes: Sequence[int] | None, repeats: int,
    found: dict[str, Any], keep: Callable[[], None],
) -> None:  # fmt: skip
    from populace.analysis import cost

    with console.status(f"{one.name}: compiling and measuring"):
        for grown in cost.profiled(one.name, one.build, sizes or one.sizes, repeats=repeats):
            found[one.name] = grown
            keep()
    _show(console, one, found[one.name])


def _draw(path: Path, cases: Sequence[ProfileCase], found: dict[str, Any]) -> None:
    import imageio.v3 as iio

    from populace.analysis import plots

    drawn = [one for one in cases if found[one.name].sizes]
    if drawn:
        words = {one.size for one in drawn}
        image = plots.costs(
            [found[one.name] for one in drawn],
            {one.name: one.order for one in drawn},
            size=words.pop() if len(words) == 1 else "size",
        )
        iio.imwrite(path, image)


def print_list() -> None:
    """Print the layers that can be profiled."""
    table = _table("layer", "work", "n", "with")
    for one in PROFILE_CASES.values():
        table.add_row(one.name, f"O({one.work})", one.size, one.fixed)
    console = Terminal()
    console.print(table, highlight=False)
    console.print(
        "\n[dim]populace profile LAYER... to profile layers, or all for all of them[/]", highlight=False
    )


def _show(console: Console, one: ProfileCase, found: Any) -> None:
    """Print the costs of one layer, one row per size, and the fitted exponents below."""
    console.print(
        f"\n[bold]{one.name}[/]  work O({one.work}), memory O({one.memory}), n = {one.size}",
        highlight=False,
    )
    if one.fixed:
        console.print(f"  {one.fixed}", highlight=False)
    for line in found.missing:
        console.print(f"  skipped  size {line}", highlight=False, soft_wrap=True)
    if not found.sizes:
        return
    columns = [(which, name) for name in _HEADINGS for which in ("forward", "gradient")]
    table = _table("n", right=True)
    for which, name in columns:
        table.add_column(
            _HEADINGS[name][0] if which == "forward" else "+ grad", justify="right", no_wrap=True
        )
    for i, size in enumerate(found.sizes):
        cells = (quantity(found.values(which, name)[i], _HEADINGS[name][1]) for which, name in columns)
        table.add_row(f"{size:,}", *cells, end_section=size == found.sizes[-1])
    fits = [found.exponent(which, name) for which, name in columns]
    known = [found.scales(which, name) for which, name in columns]
    numbers = (_exponent(p, sure) for p, sure in zip(fits, known))
    table.add_row("exponent", *numbers, style="bold")
    table.add_row("± 95 %", *(_number(p.high - p.value) for p in fits))
    table.add_row("theory", *(str(one.order) if name == "flops" else "" for _, name in columns))
    console.print(table, highlight=False)
    if note := _doubt(found, fits, known):
        console.print(f"  {note}", highlight=False)
    for line in found.uncounted:
        console.print(f"  FLOPs and bytes do not include {line}", highlight=False, soft_wrap=True)


def _doubt(found: Any, fits: Sequence[Any], known: Sequence[bool]) -> str:
    """Return why exponents are not known, and what to do; empty if they are."""
    if len(found.sizes) < _FEWEST:
        measured = len(found.sizes)
        return f"no exponents: a fit needs {_FEWEST} sizes, and {measured} are measured; give smaller ones"
    unknown = [p for p, sure in zip(fits, known) if math.isfinite(p.value) and not sure]
    if not unknown:
        return ""
    worst = max(p.high - p.value for p in unknown)
    return (
        f"? the fit is useless: up to ± {worst:.3g}, so it does not tell n from n²; "
        "measure larger sizes, further apart (--sizes), or more often (--repeats)"
    )


def _summary(console: Console, wanted: Sequence[ProfileCase], found: dict[str, Any]) -> None:
    """Print the exponents of all layers, one row each."""
    table = _table("exponent of n", "theory", "time", "with gradient", "FLOPs", "")
    for one in wanted:
        fits = [_fit(found[one.name], *cell) for cell in _FITS]
        table.add_row(one.name, f"O({one.work})", *fits, "*" if found[one.name].uncounted else "")
    console.print()
    console.print(table, highlight=False)
    if any(found[one.name].uncounted for one in wanted):
        console.print("* FLOPs are incomplete; see the table of the layer", highlight=False)


def _entry(one: ProfileCase, found: Any) -> dict[str, Any]:
    """Return a layer's profile as written to `profile.json`, with None for NaN."""
    passes = {}
    for which in ("forward", "gradient"):
        costs = getattr(found, which)
        values = {name: found.values(which, name) for name in _HEADINGS}
        fits = {name: found.exponent(which, name).as_list() for name in _HEADINGS}
        passes[which] = values | {"times": [cost.times for cost in costs], "exponents": fits}
    paper = {"work": one.work, "order": one.order, "memory": one.memory, "n": one.size, "with": one.fixed}
    left = {"uncounted": found.uncounted, "missing": found.missing}
    return {"name": one.name, "documented": paper, "sizes": found.sizes} | passes | left


def _sizes(text: str | None) -> tuple[int, ...] | None:
    from populace.analysis.cost import checked

    if text is None:
        return None
    try:
        return checked([int(part) for part in text.split(",")])
    except ValueError:  # of int(), or a UsageError of checked()
        raise UsageError(
            f"--sizes needs at least {_FEWEST} different positive integers, such as 64,128,256, for every "
            f"power law fits two; got '{text}'"
        ) from None


def _table(*headings: str, right: bool = False) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 1, 0, 0))
    for heading in headings:
        table.add_column(heading, justify="right" if right else "left", no_wrap=heading != "with")
    return table


def _number(value: float) -> str:
    return f"{value:.2f}" if math.isfinite(value) else "-"


def _exponent(p: Any, known: bool) -> str:
    if not math.isfinite(p.value):
        return "-"
    return f"{p.value:.2f}" if known else "?"


def _fit(found: Any, which: str, quantity: str) -> str:
    p = found.exponent(which, quantity)
    value = _exponent(p, found.scales(which, quantity))
    return f"{value} ± {p.high - p.value:.2f}" if math.isfinite(p.value) else value
