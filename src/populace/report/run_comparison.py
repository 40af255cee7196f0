"""Runs that can be compared: of one task and one measure, each by its selected setting."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from populace.report import number_format
from populace.report.entries import MEASUREMENTS, interval_of
from populace.report.runs import Reading
from populace.report.winner_comparison import WinnerComparison
from populace.statistics import Interval

CONFIRMATION = "confirmation"


class RunComparison:
    """Named runs of one task and one measure, with their scores; `places` are their numbers on the page.

    A run that was confirmed is compared by its score on new seeds, and the others then by their test scores;
    where none was, all are compared by the preferred kind of score that all of them have.
    """

    def __init__(self, readings: Sequence[Reading], names: Sequence[str], places: Sequence[int] = ()) -> None:
        self.readings = list(readings)
        self.names = list(names)
        self.places = list(places) or list(range(len(readings)))
        self.score = readings[0].score
        self.lower = readings[0].lower
        self.task = readings[0].task[0]
        self.statistic = " or ".join(dict.fromkeys(reading.statistic for reading in readings))

    @cached_property
    def kinds(self) -> list[str]:
        """The kind of score that each run is compared by."""
        scored = [r for r in self.readings if r.winner]
        if any(r.confirmed for r in scored):
            return [CONFIRMATION if r.confirmed else _first(r, MEASUREMENTS[1:]) for r in self.readings]
        kind = next((k for k in MEASUREMENTS if all(_summary(r, k) for r in scored)), "test")
        return [kind] * len(self.readings)

    def found(self, index: int) -> Interval | None:
        """Return the interquartile mean of a run's selected setting."""
        return _summary(self.readings[index], self.kinds[index])

    def members(self, index: int) -> list[float]:
        """Return the scores of the members of a run's selected setting; empty if not measured."""
        scores = (_entry(self.readings[index], self.kinds[index]) or {}).get("scores") or []
        return [] if any(s is None for s in scores) else [float(s) for s in scores]

    @cached_property
    def ranked(self) -> list[int]:
        """The runs that have a score, from best to worst."""
        scored = [(i, found.value) for i in range(len(self.readings)) if (found := self.found(i)) is not None]
        return [i for i, value in sorted(scored, key=lambda row: row[1] if self.lower else -row[1])]

    @cached_property
    def best(self) -> WinnerComparison:
        """The best run against the others."""
        scores = {i: found for i in self.ranked if (found := self.members(i))}
        return WinnerComparison(self.ranked[0], scores, lower=self.lower)

    @property
    def tied(self) -> list[int]:
        """The runs that share the best score."""
        values = [number_format.significant(f.value) for i in self.ranked if (f := self.found(i))]
        return [i for i, value in zip(self.ranked, values) if value == values[0]]

    @property
    def bounds(self) -> str:
        """What the bounds around the scores are, `95 % interval` or `range of 4 seeds`."""
        return number_format.bounds_name(map(self.seeds, range(len(self.readings)))) or "single seeds"

    def seeds(self, index: int) -> int:
        """Return the number of seeds of a run's score."""
        return int((_entry(self.readings[index], self.kinds[index]) or {}).get("n") or 0)

    def color(self, index: int) -> str:
        """Return the color of a run."""
        place = self.places[index]
        return f"c{place}" if place < 7 else "muted"

    @property
    def title(self) -> str:
        """The measure and the task, `return on CartPole-v1 (higher is better)`."""
        task = f" on {self.task}" if self.task else ""
        score = self.score[:1].upper() + self.score[1:]
        return f"{score}{task} ({'lower' if self.lower else 'higher'} is better)"


def comparisons(readings: Sequence[Reading], names: Sequence[str]) -> list[RunComparison]:
    """Group runs by measure and task; a run over several tasks is in several groups."""
    parts = [
        (part, name, place)
        for place, (reading, name) in enumerate(zip(readings, names))
        for part in reading.panels or [reading]
    ]
    groups: dict[tuple[str, bool, str], list[tuple[Reading, str, int]]] = {}
    for part in parts:
        groups.setdefault((part[0].score, part[0].lower, part[0].task[1]), []).append(part)
    return [RunComparison(*zip(*group)) for group in groups.values()]


def run_names(readings: Sequence[Reading]) -> list[str]:
    """Return distinct names: those of the recipes, or of the folders where all share a recipe."""
    names = [reading.name for reading in readings]
    folders = [reading.path.name for reading in readings]
    if len(set(names)) == 1 < len(names):
        names = folders
    if len(set(names)) < len(names):
        names = [name if name == folder else f"{name} ({folder})" for name, folder in zip(names, folders)]
    if len(set(names)) < len(names):
        names = [f"{name} #{i}" for i, name in enumerate(names, start=1)]
    return names


def _entry(reading: Reading, kind: str) -> dict[str, Any] | None:
    if kind == CONFIRMATION:
        return reading.confirmed[0]["test"]
    return (reading.winner or {}).get(kind)


def _summary(reading: Reading, kind: str) -> Interval | None:
    return interval_of(_entry(reading, kind))


def _first(reading: Reading, kinds: Sequence[str]) -> str:
    return next((kind for kind in kinds if _summary(reading, kind)), kinds[0])
