"""The commands list, show and doctor, and how results are printed."""

import importlib.util
import inspect
import math
import re
import shutil
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from populace import recipes
from populace.cli.output import Terminal
from populace.core.errors import unknown

KINDS = ("recipes", "learners", "environments", "runs")


def print_list(what: str) -> None:
    """Print the names of all recipes, learners or environments."""
    console = Terminal()
    if what not in KINDS:
        raise unknown("list", what, KINDS)
    if what == "environments":
        from populace.rl.environments import registry
        from populace.rl.multi_agent.environments import WORLDS

        for name in registry.names():
            console.print(name, highlight=False)
        console.print("\n[dim]of several agents:[/]")
        for name in sorted(WORLDS):
            console.print(name, highlight=False)
        return
    if what == "recipes":
        import tomllib

        rows = [(n, tomllib.loads(recipes.text(n)).get("about", "")) for n in recipes.names()]
    else:
        from populace.runs.recipe import learners

        rows = [(n, _summary(n)) for n in sorted(learners())]
    table = Table.grid(padding=(0, 3))
    for name, about in rows:
        table.add_row(f"[bold]{name}[/]", about)
    console.print(table)
    trains = ", populace run NAME to train it" if what == "recipes" else ""
    console.print(f"\n[dim]populace show NAME for details{trains}[/]")


def print_description(name: str) -> None:
    """Print a description of a recipe or learner with all its settings."""
    from populace.core.formatting import format_value
    from populace.runs.recipe import foreign_modules, learner_class, learners, parse

    console = Terminal()
    if name in recipes.names() or Path(name).is_file() or name.endswith(".toml"):
        text = recipes.read(name)
        if found := foreign_modules(text):
            modules = ", ".join(found)
            console.print(f"{name} names code outside populace, which is not run to describe it: {modules}\n",
                          markup=False, highlight=False, soft_wrap=True)  # fmt: skip
            console.print(text, markup=False, highlight=False, soft_wrap=True)
            console.print(f"populace run {name} --trust", markup=False, highlight=False, soft_wrap=True)
            return
        recipe = parse(text, name)
        population = recipe.population(check=False)
        console.print(f"[bold]{escape(name)}[/]: {escape(recipe.about)}\n")
        settings, seeds, per_step = (
            len(population.settings),
            len(population.seeds),
            recipe.learner.units_per_step,
        )
        each = f" of {per_step} {recipe.learner.unit}" if per_step != 1 else ""
        console.print(
            f"{len(population)} members: {settings} setting{'s' * (settings != 1)} with "
            f"{seeds} seed{'s' * (seeds != 1)} each, {recipe.options.steps:,} steps{each}\n"
        )
        for path, values in population.axes.items():
            console.print(f"  sweep  {path}: {', '.join(map(format_value, values))}", markup=False)
        console.print()
        _settings(console, type(recipe.learner), recipe.learner)
        _options(console, recipe.options)
        console.print(f"[dim]populace run {escape(name)} --set KEY=VALUE --sweep KEY=A,B[/]", highlight=False)
        return
    if name not in learners() and ":" not in name:
        raise unknown(
            "recipe or learner",
            name,
            {*recipes.names(), *learners()},
            where=" (and there is no file of that name)",
        )
    cls = learner_class(name)
    about = _flowing(inspect.getdoc(cls) or "")
    console.print(f"[bold]{escape(name)}[/]: {escape(about)}\n", highlight=False)
    _settings(console, cls, None)


def doctor(as_json: bool) -> None:
    """Print a diagnosis of the installation."""
    import jax

    from populace.core import native
    from populace.core.files import cache_dir, to_json
    from populace.engine.placement import setup
    from populace.runs import provenance

    setup()
    cache = cache_dir()
    size = sum(f.stat().st_size for f in cache.rglob("*") if f.is_file()) if cache.exists() else 0
    missing = []
    if importlib.util.find_spec("pygame") is None:
        missing.append(
            "pygame: no videos of classic-control agents; pip install 'gymnasium[classic-control]'"
        )
    if importlib.util.find_spec("tensorboard") is None:
        missing.append("tensorboard: logs are written anyway; pip install tensorboard to view them")
    if jax.default_backend() == "cpu" and shutil.which("nvidia-smi"):
        missing.append("an NVIDIA GPU is here, but JAX does not use it; pip install 'jax[cuda13]'")
    if reason := native.missing():
        missing.append(
            "native kernels: graph layers and convolutions use XLA instead, which is slower on CPU; "
            f"{reason}; {native.ADVICE}"
        )
    found = provenance.describe()
    found |= {"cache": str(cache), "cache_mb": round(size / 1e6, 1), "missing": missing}
    if as_json:
        print(to_json(found))
        return
    console = Terminal()
    table = Table.grid(padding=(0, 3))
    for key in ("populace", "python", "platform", "cpu", "cores", "backend"):
        table.add_row(f"[bold]{key}[/]", str(found[key]))
    table.add_row("[bold]devices[/]", "\n".join(found["devices"]))
    table.add_row("[bold]packages[/]", "\n".join(f"{k} {v}" for k, v in found["packages"].items()))
    table.add_row("[bold]cache[/]", f"{cache} ({found['cache_mb']} MB; safe to delete)")
    table.add_row("[bold]missing[/]", "\n".join(missing) or "nothing")
    console.print(table, highlight=False)


def print_results(console: Console, folder: Path, results: dict[str, Any]) -> None:
    """Print the results of a run."""
    from populace.report.number_format import bounds_name

    best, score = results["best"], results["score"]["name"]
    if best is None:
        first = min(m["diverged_at"] for m in results["members"])
        all_of_them = f"all {len(results['members']):,} members"
        console.print(
            f"\n[bold]no best setting[/]  {all_of_them} diverged, the first at step {first:,}; "
            "lower the learning rate",
            highlight=False,
        )
        _print_end(console, folder, results)
        return
    setting = results["settings"][best["setting"]]
    values = ", ".join(
        f"{k} {v:g}" if isinstance(v, float) else f"{k} {v}" for k, v in setting["values"].items()
    )
    console.print(f"\n[bold]best setting[/]  {escape(values) or 'the only setting'}", highlight=False)
    seeds = len(setting["members"])
    independent = results.get("independent_test", True)
    for key in ("validation", "test", "external"):
        label = "score" if independent is None else key
        summary = best[key]
        if summary is None or _headline(summary)[0] is None or (key == "test" and independent is False):
            continue  # what members were selected by, measured again, is the same number
        if key == "external":
            member = results["members"][best["member"]]["external"]
            label = member["backend"] if member else label
        value, low, high = _headline(summary)
        kind = bounds_name([seeds])
        folded = summary.get("headline") == "mean"
        what = f"mean of {seeds} folds" if folded else f"interquartile mean of {seeds} seeds"
        sure = f"({kind} {low:.4g} to {high:.4g}), {what}"
        sure = sure if kind else "(one seed: no interval)"
        if independent is False:
            sure += ", on what members were selected by: there is no test part"
        elif (key == "test" or independent is None) and results.get("test_description"):
            sure += f", on {results['test_description']}"
        text = f"  {label:<12} {score} {value:.4g} {sure}"
        console.print(text, highlight=False, markup=False, soft_wrap=True)
    for entry, who in zip(
        (results.get("confirmation") or {}).get("settings", []), ("confirmed", "its rival")
    ):
        measured = entry["test"] or entry["validation"]
        value, low, high = _headline(measured)
        if value is not None:
            many = measured["n"]
            kind = bounds_name([many])
            sure = f"({kind} {low:.4g} to {high:.4g}), " if kind else ""
            text = f"  {who:<12} {score} {value:.4g} {sure}on {many} new seed{'s' * (many > 1)}"
            console.print(text, highlight=False, markup=False, soft_wrap=True)
    diverged = sum(m["diverged_at"] is not None for m in results["members"])
    if diverged:
        console.print(
            f"  {diverged} of {len(results['members'])} members diverged; "
            f"each counts as {results['score']['floor']}",
            highlight=False,
            markup=False,
        )
    _print_end(console, folder, results)


def _print_end(console: Console, folder: Path, results: dict[str, Any]) -> None:
    timing = results["timing"]
    console.print(
        f"  {timing['wall_s']:.0f} s, {timing['units_per_s']:,.0f} {results['unit']}/s",
        highlight=False,
        markup=False,
    )
    page = folder / "report.html"
    console.print(f"\nrun     {folder}", highlight=False, markup=False, soft_wrap=True)
    if page.is_file():
        console.print(f"report  {page}", highlight=False, markup=False, soft_wrap=True)


def _flowing(text: str) -> str:
    """Return a docstring whose paragraphs a terminal can wrap: one line each, but for what is indented."""
    blocks = text.split("\n\n")
    plain = [b if any(line[:1] in " -" for line in b.splitlines()) else " ".join(b.split()) for b in blocks]
    # A link reads as the name that it shows.
    return re.sub(r"\[(`[^`]+`)\](\[[^\]]*\])?", r"\1", "\n\n".join(plain))


def _headline(summary: dict[str, Any]) -> list[Any]:
    """Return `[value, low, high]` of the interquartile mean, or of folds that of the mean."""
    return summary[summary.get("headline", "iqm")]


def _best_first(entries: list[dict[str, Any]], mode: str) -> list[dict[str, Any]]:
    """Return settings by their score, the best first; those without one come last."""
    sign = 1 if mode == "min" else -1
    values = [_headline(entry["summary"])[0] for entry in entries]
    ranked = sorted(range(len(entries)), key=lambda i: math.inf if values[i] is None else sign * values[i])
    return [entries[i] for i in ranked]


def print_evaluation(found: dict[str, Any]) -> None:
    """Print a new evaluation as a table."""
    from populace.report.number_format import bounds_name

    order = _best_first(found["settings"], found["mode"])
    shown = {
        entry["setting"]: ", ".join(
            f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in entry["values"].items()
        )
        for entry in order
    }
    size = f"{found['size']} {found['unit']} per member, " if found["unit"] else ""
    title = f"{size}{found['backend']}, seed {found['seed']}"
    table = Table(title=escape(title), box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    # Lines wrap between the names of settings, never within one.
    longest = max((len(word) for values in shown.values() for word in values.split()), default=0)
    bounds_title = bounds_name(len(entry["members"]) for entry in order) or "no interval"
    folded = any(entry["summary"].get("headline") == "mean" for entry in order)
    many, statistic = ("folds", "mean") if folded else ("seeds", "interquartile mean")
    for heading in ("setting", "values", many, "diverged", statistic, bounds_title):
        table.add_column(heading, overflow="fold", min_width=longest if heading == "values" else None)
    for entry in order:
        value, low, high = _headline(entry["summary"])
        number = "-" if value is None else f"{value:.4g}"
        bounds = "-" if value is None else f"{low:.4g} to {high:.4g}"
        counts = str(len(entry["members"])), str(entry["summary"]["diverged"])
        table.add_row(str(entry["setting"]), escape(shown[entry["setting"]]), *counts, number, bounds)
    Terminal().print(table)


def _settings(console: Console, cls: type, learner: Any) -> None:
    from populace.core import settings
    from populace.core.formatting import format_value

    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for heading in ("setting", "type", "value" if learner else "default", "range", "meaning"):
        table.add_column(heading, overflow="fold", no_wrap=heading in ("setting", "run."))
    for path, field, value in _walk(settings, cls, learner):
        if field.nested:
            kinds = " | ".join(settings.variants(field.hint))
            kind = escape(getattr(value, "kind", ""))
            table.add_row(path, "kind", kind, escape(kinds), escape(field.meaning.help))
            continue
        traced = "" if field.type_name in ("float", "float or none") else " [dim]*[/]"
        shown = escape(format_value(value))
        table.add_row(
            path,
            field.type_name + traced,
            shown,
            escape(field.meaning.range()),
            escape(field.meaning.help),
        )
    console.print(table, highlight=False)
    console.print("\n[dim]* structural: members with different values are compiled as separate programs[/]\n")


def _walk(settings: Any, cls: type, learner: Any, prefix: str = "") -> list[Any]:
    rows = []
    for field in settings.describe(cls):
        value = field.default if learner is None else getattr(learner, field.name)
        rows.append((prefix + field.name, field, value))
        if field.nested:
            rows += _walk(settings, type(value), value, f"{prefix}{field.name}.")
    return rows


def _options(console: Console, options: Any) -> None:
    from populace.core.formatting import format_value

    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for heading in ("run.", "value", "meaning"):
        table.add_column(heading, overflow="fold", no_wrap=heading in ("setting", "run."))
    for name, field in type(options).model_fields.items():
        value = escape(format_value(getattr(options, name)))
        table.add_row(name, value, escape(field.description or ""))
    console.print(table, highlight=False)
    console.print()


def _summary(name: str) -> str:
    """Return the first sentence about a learner; one that cannot be imported says why, and hides no other."""
    from populace.core.errors import UsageError
    from populace.runs.recipe import learner_class

    try:
        return (inspect.getdoc(learner_class(name)) or "").splitlines()[0]
    except UsageError as error:
        return escape(str(error))
