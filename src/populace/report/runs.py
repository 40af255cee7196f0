"""What the report reads of a run, and the few things it derives from it before drawing."""

import math
import os
import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from populace.report import number_format
from populace.statistics import Interval


class RunLike(Protocol):
    """A run as the report sees it: its folder, and what is in it (see `docs/run-folder.md`)."""

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


# Which summary is believed first, and how a sentence says so.
MEASUREMENTS = ("external", "test", "validation")


@dataclass(frozen=True)
class Reading:
    """One run, read once: results and tables, with its settings ranked and named."""

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
            train=run.metrics("train"),
            evaluation=run.metrics("evaluation"),
            environment=run.environment(),
            recipe=run.recipe_text(),
        )

    @property
    def name(self) -> str:
        """Name of the recipe, or of the folder."""
        return str(self.results.get("name") or self.path.name)

    @property
    def score(self) -> str:
        """Name of the metric that ranks members, for reading: no underscores."""
        return str(self.results["score"]["name"]).replace("_", " ")

    @property
    def lower(self) -> bool:
        """Whether a lower score is the better one."""
        return self.results["score"].get("mode") == "min"

    @property
    def score_threshold(self) -> float | None:
        """The score that counts as solved."""
        return self.results["score"].get("score_threshold")

    @property
    def unit(self) -> str:
        """What training is counted in."""
        return str(self.results.get("unit") or "steps")

    @property
    def settings(self) -> list[dict[str, Any]]:
        """The settings in the order of the run."""
        return self.results["settings"]

    @property
    def members(self) -> list[dict[str, Any]]:
        """The members in the order of the run."""
        return self.results["members"]

    @property
    def axes(self) -> dict[str, list[Any]]:
        """What was swept: path to values."""
        return self.results.get("axes") or {}

    @cached_property
    def measured(self) -> str:
        """The summary that settings are compared by: the best kind that all of them have.

        Usually only the winner is played outside, so the others can be compared by `test` alone.
        """
        found = [e for e in self.settings if any(interval_of(e.get(kind)) for kind in MEASUREMENTS)]
        for kind in MEASUREMENTS:
            if found and all(interval_of(entry.get(kind)) for entry in found):
                return kind
        return "test"

    @cached_property
    def headline(self) -> str:
        """The summary of the winner that the first sentence quotes: the best kind that it has."""
        winner = self.winner or {}
        return next((kind for kind in MEASUREMENTS if interval_of(winner.get(kind))), self.measured)

    def believed(self, entry: dict[str, Any]) -> Interval | None:
        """Return the interquartile mean of a setting that the report believes."""
        return interval_of(entry.get(self.measured))

    def scores(self, entry: dict[str, Any]) -> list[float]:
        """Return a setting's scores, one per member, empty where they were not measured."""
        scores = (entry.get(self.measured) or {}).get("scores") or []
        return [] if any(score is None for score in scores) else [float(s) for s in scores]

    @cached_property
    def ranked(self) -> list[dict[str, Any]]:
        """The settings from the best to the worst by the score the report believes."""

        def rank(entry: dict[str, Any]) -> tuple[float, int]:
            found = self.believed(entry)
            if found is None:
                return math.inf, entry["setting"]
            return (found.value if self.lower else -found.value), entry["setting"]

        return sorted(self.settings, key=rank)

    @cached_property
    def winner(self) -> dict[str, Any] | None:
        """The setting that the run chose, before it was measured afresh."""
        best = self.results.get("best") or {}
        for entry in self.settings:
            if entry["setting"] == best.get("setting"):
                return entry if self.believed(entry) else None
        return None

    @cached_property
    def shown(self) -> list[dict[str, Any]]:
        """The winner and then the settings that rank best: the six which get a color."""
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
        """Path of each axis to its last word, or to the whole path where two would be alike."""
        last = Counter(path.rsplit(".", 1)[-1] for path in self.axes)
        return {p: p if last[p.rsplit(".", 1)[-1]] > 1 else p.rsplit(".", 1)[-1] for p in self.axes}

    def label(self, entry: dict[str, Any], *, full: bool = False) -> str:
        """Name a setting by its values, or by the run where nothing was swept."""
        values = entry.get("values") or {}
        names = {} if full else self.short_names
        parts = [f"{names.get(path, path)} {number_format.setting(v)}" for path, v in values.items()]
        return ", ".join(parts) or self.name

    def compact(self, entry: dict[str, Any]) -> str:
        """Name a setting by its values alone, for rows below a heading of `axes_line`."""
        values = entry.get("values") or {}
        return " · ".join(number_format.setting(value) for value in values.values()) or self.name

    @property
    def axes_line(self) -> str:
        """The names of the axes, in the order of `compact`."""
        return " · ".join(self.short_names.values())

    @property
    def folder(self) -> str:
        """The run's folder as it would be typed: relative to here, or by its name alone."""
        here = os.path.relpath(self.path)
        return shlex.quote(self.path.name if here.startswith("..") else here)


def interval_of(summary: dict[str, Any] | None) -> Interval | None:
    """Return a summary's interquartile mean, None where nothing could be scored."""
    found: Sequence[float | None] | None = (summary or {}).get("iqm")
    if found is None or any(bound is None or math.isnan(bound) for bound in found):
        return None
    value, low, high = (float(bound) for bound in found if bound is not None)
    return Interval(value, low, high)


def score_of(member: dict[str, Any], kind: str) -> float | None:
    """Return a member's score of one kind, None where it was not measured."""
    score = (member.get(kind) or {}).get("score")
    return None if score is None or math.isnan(score) else float(score)
