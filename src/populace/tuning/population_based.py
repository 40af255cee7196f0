"""Population-based training: losers go on from copies of winners, with settings a little changed."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Self

import numpy as np

from populace.core import settings
from populace.core.errors import UsageError
from populace.core.population import Population
from populace.core.settings import setting
from populace.engine.callbacks import Evaluation
from populace.engine.controller import Controller, Decision, exchanging


class PopulationBased(Controller):
    """Exploits and explores: every so often the worst members take over state and settings of the best ones.

    Of n members that exchange, the floor(fraction n) worst, at least one, each copy one of as many best
    ones, drawn evenly (exploit). Each swept setting of a copy is then multiplied by 1 - perturb or
    1 + perturb; or, with probability `resample`, the copy takes one of the settings of the sweep (explore). A
    value outside the range of its setting is not taken. Diverged members rank last, are always replaced, and
    are never copied; a member copies one as good as itself, but never a worse one.

    Members exchange within a seed, so that every seed has a population of its own, independent of the
    others: these are what intervals can be made of. Members that exchanged among themselves are not.

    Source: M. Jaderberg and others (2017). Population Based Training of Neural Networks. arXiv:1711.09846
    """

    every: int = setting(0, low=0, help="iterations between exchanges; 0: at every evaluation")
    fraction: float = setting(
        0.25, above=0, high=0.5, help="share of members replaced, and copied, each time"
    )
    perturb: float = setting(
        0.2, low=0, high=0.99, help="settings are multiplied by 1 - perturb or 1 + perturb"
    )
    resample: float = setting(
        0.0, low=0, high=1, help="probability that a copy takes one of the settings of the sweep instead"
    )
    within: str = setting(
        "seed", choices=("seed", "all"),
        help="who exchanges: the members of one seed, or all; with all, no interval over seeds holds",
    )  # fmt: skip
    seed: int = setting(0, low=0, high=2**31 - 1, help="seed of what is drawn")

    @property
    def exchange(self) -> str:
        """Who takes over states from whom."""
        return self.within

    def planned(self, population: Population, steps: int, evaluate_every: int) -> Self:
        """Return the controller with its interval chosen; refuse a population that cannot exchange."""
        for path, values in population.axes.items():
            if not all(isinstance(value, float) for value in values):
                raise UsageError(
                    f"population-based training copies weights between members, so '{path}' cannot be swept: "
                    "only float settings leave the structure as it is"
                )
        if len(population.settings) < 2:
            raise UsageError(
                "population-based training needs at least 2 settings to exchange, and this run has one; "
                "sweep a float setting"
            )
        every = self.every or evaluate_every
        if every % evaluate_every:
            raise UsageError(
                f"every {every:,} must be a multiple of evaluate_every, {evaluate_every:,}: members are "
                "compared at evaluations"
            )
        if every >= steps:
            raise UsageError(
                f"every {every:,} must be below steps, {steps:,}, or nothing is ever exchanged; lower it"
            )
        return replace(self, every=every)

    def init(self, population: Population) -> dict[str, dict[str, float]]:
        """Return the settings that members have taken over so far: none."""
        return {}

    def decide(
        self, state: dict[str, dict[str, float]], evaluation: Evaluation, population: Population
    ) -> tuple[dict[str, dict[str, float]], Decision | None]:
        """Replace the worst members of each population by changed copies of its best."""
        if evaluation.step % self.every:
            return state, None
        scores = evaluation.scores(population.learner)
        random = np.random.default_rng([self.seed, evaluation.step])
        copies: dict[int, int] = {}
        changes: dict[int, dict[str, float]] = {}
        for island in exchanging(population, self.within):
            for member, donor in self._pairs(island, scores, random):
                copies[member] = donor
                own = population.settings[population.members[donor].setting] | state.get(str(donor), {})
                changes[member] = self._explored(own, population, random)
        if not copies:
            return state, None
        state = state | {str(member): values for member, values in changes.items()}
        return state, Decision(copy=copies, settings=changes)

    def _pairs(
        self, island: np.ndarray, scores: np.ndarray, random: np.random.Generator
    ) -> Iterator[tuple[int, int]]:
        """Yield who is replaced and by whom."""
        order = island[np.argsort(-scores[island], kind="stable")]  # the best first, of equal ones the first
        count = max(1, int(self.fraction * len(island)))
        best = [m for m in order[:count].tolist() if np.isfinite(scores[m])]
        if not best:
            return
        lost = int((~np.isfinite(scores[order])).sum())
        for member in order[len(order) - max(count, lost) :].tolist():
            donor = best[int(random.integers(len(best)))]
            if donor != member and scores[donor] >= scores[member]:
                yield member, donor

    def _explored(
        self, values: dict[str, Any], population: Population, random: np.random.Generator
    ) -> dict[str, float]:
        """Return settings near those of a winner, or others of the sweep."""
        factors = random.choice((1 - self.perturb, 1 + self.perturb), len(values))
        drawn = population.settings[int(random.integers(len(population.settings)))]
        if random.random() < self.resample:
            return {path: float(value) for path, value in drawn.items()}
        return {
            path: _within_range(population, path, float(value * factor), float(value))
            for (path, value), factor in zip(values.items(), factors, strict=True)
        }


def _within_range(population: Population, path: str, value: float, before: float) -> float:
    """Return a value where the setting takes it, else the one before."""
    try:
        settings.replace(population.learner, path, value)
    except UsageError:
        return before
    return value
