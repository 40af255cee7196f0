"""The trade-offs of a sweep: the score of each setting beside what it costs, and the undominated front."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from populace.report import number_format
from populace.report.runs import Reading
from populace.report.sections.generalization_gap import gap, measure
from populace.statistics import Interval, undominated


@dataclass(frozen=True)
class Cost:
    """A cost: the key of `SettingCosts.of`, its name, a short one, and how a value is written."""

    key: str
    name: str
    short: str
    write: Callable[[float | None], str]


def written_bytes(value: float | None) -> str:
    """Format a number of bytes: `820 B`, `20.6 kB`, `3.1 MB`."""
    if value is None:
        return number_format.MISSING
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000 or unit == "GB":
            return f"{number_format.rough(value)} {unit}"
        value /= 1000
    raise AssertionError


def written_seconds(value: float | None) -> str:
    """Format a short time: `42 µs`, `1.3 ms`, `2.1 s`, `2 min 14 s`."""
    if value is None or value >= 1:
        return number_format.duration(value)
    unit, factor = ("ms", 1e3) if value >= 1e-3 else ("µs", 1e6)
    return f"{number_format.rough(value * factor)} {unit}"


COSTS = (
    Cost("parameters", "parameters", "parameters", number_format.whole),
    Cost("train_s", "training time", "training", written_seconds),
    Cost("seconds", "prediction time", "prediction", written_seconds),
    Cost("bytes", "prediction memory", "memory", written_bytes),
)


@dataclass(frozen=True)
class SettingCosts:
    """One setting: its entry in the results, its score, what it costs by `Cost.key`, and its over-fitting.

    `training` is its score on what it was trained on; `over_fitting` how much worse it is held out.
    """

    entry: dict[str, Any]
    score: Interval
    of: dict[str, float | None]
    training: float | None = None
    over_fitting: Interval | None = None


@dataclass(frozen=True)
class TradeOff:
    """The settings of a run that have a score, from best to worst, with their costs."""

    reading: Reading

    @property
    def obstacle(self) -> str:
        """Why there is none, in a line; empty if there is."""
        reading = self.reading
        if len(reading.settings) < 2:
            return "the run has one setting, and a trade-off is one between several"
        if reading.panels:
            return "its settings are of different tasks, whose scores cannot be compared"
        if not reading.results.get("costs"):
            ended = reading.results.get("status") == "finished"
            why = "an earlier version trained it" if ended else "it has not ended"
            return f"the run says nothing of what its settings cost: {why}"
        return "" if self.settings and reading.winner else "no setting has a score"

    @cached_property
    def settings(self) -> list[SettingCosts]:
        """The settings."""
        reading, found = self.reading, []
        costs = {one["setting"]: one for one in reading.results.get("costs") or []}
        elsewhere = {id(one.entry): one for one in measure(reading)}
        for entry in reading.ranked:
            score, own = reading.believed(entry), costs.get(entry["setting"], {})
            if score is None:
                continue
            of = {name: own.get(name) for name in ("parameters", "train_s")} | (own.get("prediction") or {})
            training, over_fitting = None, None
            if held_out := elsewhere.get(id(entry)):
                training, over_fitting = held_out.training.value, held_out.lost
            elif (trained := own.get("training_scores")) and (fresh := reading.scores(entry, "test")):
                training = float(np.mean(trained))
                over_fitting = gap(trained, fresh, lower=reading.lower)
            known = {cost.key: of.get(cost.key) for cost in COSTS}
            found.append(SettingCosts(entry, score, known, training, over_fitting))
        return found

    @property
    def judges_over_fitting(self) -> bool:
        """Whether the over-fitting of any setting is known."""
        return any(one.over_fitting is not None for one in self.settings)

    @cached_property
    def costs(self) -> list[Cost]:
        """The costs that are known of every setting."""
        return [c for c in COSTS if all(one.of[c.key] is not None for one in self.settings)]

    @cached_property
    def differing(self) -> list[Cost]:
        """Those of them that are not the same for all settings."""
        return [cost for cost in self.costs if len({one.of[cost.key] for one in self.settings}) > 1]

    @cached_property
    def front(self) -> list[SettingCosts]:
        """The settings that no other one dominates: better in score or a cost, and worse in nothing."""
        return self._undominated(self.differing)

    def front_by(self, cost: Cost) -> list[SettingCosts]:
        """Return the settings that no other one dominates in score and one cost, cheapest first."""
        return sorted(self._undominated([cost]), key=lambda one: one.of[cost.key] or 0.0)

    def _undominated(self, costs: list[Cost]) -> list[SettingCosts]:
        sign = -1.0 if self.reading.lower else 1.0
        rows = [
            [sign * one.score.value, *(-float(one.of[cost.key] or 0.0) for cost in costs)]
            for one in self.settings
        ]
        return [one for one, free in zip(self.settings, undominated(rows)) if free]

    @cached_property
    def winner(self) -> SettingCosts:
        """The selected setting."""
        return next(one for one in self.settings if one.entry is self.reading.winner)

    @cached_property
    def smallest(self) -> SettingCosts | None:
        """The setting with the fewest parameters of those within the winner's interval, or better.

        Of equally small ones it is the best. None where the winner has no interval.
        """
        bounds, lower = self.winner.score, self.reading.lower
        if not number_format.has_width(bounds):
            return None
        good = [
            one
            for one in self.settings
            if (one.score.value <= bounds.high if lower else one.score.value >= bounds.low)
        ]
        size = min(one.of["parameters"] or 0 for one in good)
        small = [one for one in good if one.of["parameters"] == size]
        return self.winner if self.winner in small else small[0]
