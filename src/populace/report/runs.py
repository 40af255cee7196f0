"""The data that the report reads from a run, and values derived from it."""

import dataclasses
import math
import os
import shlex
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from populace.report import number_format
from populace.report.entries import MEASUREMENTS, interval_of
from populace.report.winner_comparison import WinnerComparison
from populace.statistics import Interval


class RunLike(Protocol):
    """Interface of a run for the report: its folder and its content (see `docs/run-folder.md`)."""

    @property
    def path(self) -> Path:
        """The run's folder."""
        ...

    def results(self) -> dict[str, Any]:
        """Return the content of `results.json`."""
        ...

    def metrics(self, kind: str = "train") -> pa.Table:
        """Return the table of training metrics, or of the `"evaluation"`s."""
        ...

    def environment(self) -> dict[str, Any]:
        """Return versions, platform and device."""
        ...

    def recipe_text(self) -> str:
        """Return the complete recipe."""
        ...


@dataclass(frozen=True)
class Reading:
    """The content of one run: results and tables, with its settings ranked and labeled."""

    path: Path
    results: dict[str, Any]
    train: pa.Table
    evaluation: pa.Table
    environment: dict[str, Any]
    recipe: str

    @classmethod
    def of(cls, run: RunLike) -> "Reading":
        """Read a run."""
        return cls(
            path=Path(run.path),
            results=run.results(),
            train=_drawn(run.metrics("train")),
            evaluation=_drawn(run.metrics("evaluation")),
            environment=run.environment(),
            recipe=run.recipe_text(),
        )

    @property
    def name(self) -> str:
        """Name of the recipe, or of the folder."""
        return str(self.results.get("name") or self.path.name)

    @property
    def score(self) -> str:
        """Display name of the metric that ranks members, without underscores."""
        return str(self.results["score"]["name"]).replace("_", " ")

    @property
    def lower(self) -> bool:
        """Whether a lower score is better."""
        return self.results["score"].get("mode") == "min"

    @property
    def folded(self) -> bool:
        """Whether members are the folds of a cross-validation."""
        return any((e.get("validation") or {}).get("headline") == "mean" for e in self.settings)

    @property
    def statistic(self) -> str:
        """What the score of a setting is of those of its members."""
        return "mean" if self.folded else "interquartile mean"

    @property
    def score_threshold(self) -> float | None:
        """The score that counts as solved."""
        return self.results["score"].get("score_threshold")

    @property
    def unit(self) -> str:
        """Unit in which training is counted."""
        return str(self.results.get("unit") or "steps")

    @property
    def settings(self) -> list[dict[str, Any]]:
        """The settings, in the order of the run."""
        return self.results["settings"]

    @property
    def members(self) -> list[dict[str, Any]]:
        """The members, in the order of the run."""
        return self.results["members"]

    @property
    def axes(self) -> dict[str, list[Any]]:
        """The swept settings: path to values."""
        return self.results.get("axes") or {}

    @cached_property
    def measured(self) -> str:
        """The kind of score that settings are compared by: the preferred one that all of them have.

        Usually only the best setting is evaluated externally, so settings are compared by `test`.
        """
        found = [e for e in self.settings if any(interval_of(e.get(kind)) for kind in MEASUREMENTS)]
        for kind in MEASUREMENTS:
            if found and all(interval_of(entry.get(kind)) for entry in found):
                return kind
        return "test"

    @cached_property
    def headline(self) -> str:
        """The kind of score that the first sentence quotes: the preferred one that the winner has."""
        winner = self.winner or {}
        return next((kind for kind in MEASUREMENTS if interval_of(winner.get(kind))), self.measured)

    @property
    def confirmed(self) -> list[dict[str, Any]]:
        """The winner and its nearest rival as trained on new seeds, in this order; empty if they were not.

        Each has a `test`: where the score is of the training itself, that is its `validation`.
        """
        found = (self.results.get("confirmation") or {}).get("settings") or []
        found = [entry | {"test": entry.get("test") or entry.get("validation")} for entry in found]
        return found if found and interval_of(found[0].get("test")) else []

    def believed(self, entry: dict[str, Any]) -> Interval | None:
        """Return the score of a setting, of the kind of score that settings are compared by."""
        return interval_of(entry.get(self.measured))

    def scores(self, entry: dict[str, Any], kind: str = "") -> list[float]:
        """Return a setting's scores, one per member, by default those compared; empty if not measured."""
        scores = (entry.get(kind or self.measured) or {}).get("scores") or []
        return [] if any(score is None for score in scores) else [float(s) for s in scores]

    @property
    def task(self) -> tuple[str, str]:
        """Name and identity of what the selected setting was measured on; empty if the run does not say."""
        entry = self.winner or (self.settings[0] if self.settings else {})
        found = entry.get("task") or {}
        return str(found.get("name") or ""), str(found.get("identity") or "")

    @cached_property
    def panels(self) -> list["Reading"]:
        """The run task by task, where its settings are of several; else empty. Tasks are never ranked."""
        bests = self.results.get("best_by_task") or []
        if len(bests) < 2:
            return []
        found = []
        for best in bests:
            (chosen,) = [e for e in self.settings if e["setting"] == best]
            own = [e for e in self.settings if e.get("task") == chosen.get("task")]
            members = {m for e in own for m in e["members"]}
            axes = {
                path: values
                for path, values in self.axes.items()
                if len({repr((entry.get("values") or {}).get(path)) for entry in own}) > 1
            }
            results = self.results | {
                "axes": axes,
                "settings": own,
                "members": [m for m in self.members if m["member"] in members],
                "best": {"setting": best},
                "best_by_task": [best],
                "confirmation": None,
            }
            found.append(dataclasses.replace(self, results=results))
        return found

    @cached_property
    def ranked(self) -> list[dict[str, Any]]:
        """The settings from best to worst; of those that tie, the selected one comes first.

        Those that lost, and were stopped for it, come behind those that trained longer.
        """
        best = (self.results.get("best") or {}).get("setting")

        def rank(entry: dict[str, Any]) -> tuple[float, float, bool, int]:
            found, other = self.believed(entry), entry["setting"] != best
            if found is None:
                return -self.lasted(entry), math.inf, other, entry["setting"]
            value = number_format.significant(found.value)
            return -self.lasted(entry), (value if self.lower else -value), other, entry["setting"]

        return sorted(self.settings, key=rank)

    def lasted(self, entry: dict[str, Any]) -> float:
        """Return the step at which a setting had lost and was stopped; infinite where it trained on."""
        if not self.results.get("eliminated"):
            return math.inf
        ended = (self.members[m].get("stopped_at") for m in entry["members"])
        return max(math.inf if step is None else step for step in ended)

    @cached_property
    def winner(self) -> dict[str, Any] | None:
        """The setting that the run selected, by validation scores alone; None if all members diverged."""
        best = self.results.get("best") or {}
        if self.members and all(m.get("diverged_at") is not None for m in self.members):
            return None
        for entry in self.settings:
            if entry["setting"] == best.get("setting"):
                return entry if self.believed(entry) else None
        return None

    @cached_property
    def comparison(self) -> WinnerComparison | None:
        """How the winner stands to the other settings; None without a winner or without others."""
        # Those that were stopped trained less, so that a difference would not be one of settings.
        trained = [e for e in self.settings if self.lasted(e) == math.inf]
        scores = {e["setting"]: found for e in trained if (found := self.scores(e))}
        if self.winner is None or len(scores) < 2 or self.winner["setting"] not in scores:
            return None
        chosen_by = {e["setting"]: self.scores(e, "validation") for e in trained}
        return WinnerComparison(self.winner["setting"], scores, chosen_by, self.lower)

    @cached_property
    def shown(self) -> list[dict[str, Any]]:
        """The winner, followed by the best of the other settings: the six that get a color."""
        first = [self.winner] if self.winner else []
        others = [e for e in self.ranked if e is not self.winner and self.believed(e)]
        return (first + others)[:6]

    def color(self, entry: dict[str, Any]) -> str:
        """Return the color of a setting, the same in every chart."""
        for index, shown in enumerate(self.shown):
            if shown is entry:
                return f"c{index}"
        return "faint"

    @cached_property
    def short_names(self) -> dict[str, str]:
        """Path of each axis to its last part, or to the whole path if two would be equal."""
        last = Counter(path.rsplit(".", 1)[-1] for path in self.axes)
        return {p: p if last[p.rsplit(".", 1)[-1]] > 1 else p.rsplit(".", 1)[-1] for p in self.axes}

    def label(self, entry: dict[str, Any], *, full: bool = False) -> str:
        """Return a label for a setting: its values, or the run's name if nothing was swept."""
        values = self._values(entry)
        names = {} if full else self.short_names
        parts = [f"{names.get(path, path)} {number_format.setting(v)}" for path, v in values.items()]
        return ", ".join(parts) or self.name

    def compact(self, entry: dict[str, Any]) -> str:
        """Return a short label of the values alone, for rows below the heading `axes_line`."""
        values = self._values(entry)
        return " · ".join(number_format.setting(value) for value in values.values()) or self.name

    def _values(self, entry: dict[str, Any]) -> dict[str, Any]:
        return {path: value for path, value in (entry.get("values") or {}).items() if path in self.axes}

    @property
    def axes_line(self) -> str:
        """The names of the axes, in the order of `compact`."""
        return " · ".join(self.short_names.values())

    @property
    def bounds(self) -> str:
        """What the bounds around the scores of settings are, `95 % interval` or `range of 4 seeds`."""
        return number_format.bounds_name(len(entry["members"]) for entry in self.settings)

    @property
    def folder(self) -> str:
        """The run's folder as one would type it: relative to the working directory, or its name alone."""
        here = os.path.relpath(self.path)
        return shlex.quote(self.path.name if here.startswith("..") else here)


def _drawn(table: pa.Table) -> pa.Table:
    """Return a metric table without what stands in the results: of many members it takes much memory."""
    return table.drop_columns([name for name in ("setting", "seed") if name in table.column_names])
