"""The commands list and show: what there is, and what each setting of it means."""

import inspect
import re
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
        from populace.runs.recipe.kinds import learners

        rows = [(n, _summary(n)) for n in sorted(learners())]
    table = Table.grid(padding=(0, 3))
    for name, about in rows:
        table.add_row(f"[bold]{name}[/]", about)
    console.print(table)
    trains = ", populace run NAME to train it" if what == "recipes" else ""
    console.print(f"\n[dim]populace show NAME for details{trains}[/]")


def print_description(name: str) -> None:
    """Print a description of a recipe, learner or controller with all its settings."""
    from populace.core.formatting import format_value
    from populace.runs.recipe.kinds import controller_class, controllers, learner_class, learners
    from populace.runs.recipe.parsing import foreign_modules, parse

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
    known = {*learners(), *controllers()}
    if name not in known and ":" not in name:
        where = " (and there is no file of that name)"
        raise unknown("recipe, learner or controller", name, {*recipes.names(), *known}, where=where)
    tunes = name in controllers()
    cls = controller_class(name) if tunes else learner_class(name)
    about = _flowing(inspect.getdoc(cls) or "")
    console.print(f"[bold]{escape(name)}[/]: {escape(about)}\n", highlight=False)
    _settings(console, cls, None, swept=not tunes)


def _flowing(text: str) -> str:
    """Return a docstring whose paragraphs a terminal can wrap: one line each, but for what is indented."""
    blocks = text.split("\n\n")
    plain = [b if any(line[:1] in " -" for line in b.splitlines()) else " ".join(b.split()) for b in blocks]
    # A link reads as the name that it shows.
    return re.sub(r"\[(`[^`]+`)\](\[[^\]]*\])?", r"\1", "\n\n".join(plain))


def _settings(console: Console, cls: type, learner: Any, *, swept: bool = True) -> None:
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
        structural = swept and field.type_name not in ("float", "float or none")
        shown = escape(format_value(value))
        table.add_row(
            path,
            field.type_name + (" [dim]*[/]" if structural else ""),
            shown,
            escape(field.meaning.range()),
            escape(field.meaning.help),
        )
    console.print(table, highlight=False)
    if swept:
        console.print(
            "\n[dim]* structural: members with different values are compiled as separate programs[/]\n"
        )


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
    from populace.runs.recipe.kinds import learner_class

    try:
        return (inspect.getdoc(learner_class(name)) or "").splitlines()[0]
    except UsageError as error:
        return escape(str(error))
