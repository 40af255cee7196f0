"""Successive halving and Hyperband: settings that lose are stopped early, those that win train on."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar, Self

from populace.core.errors import UsageError
from populace.core.population import Population
from populace.core.settings import setting
from populace.engine.callbacks import Evaluation
from populace.engine.controller import Controller, Decision
from populace.statistics import interquartile_mean


class Eliminating(Controller):
    """A controller that stops the settings which lose at rungs, each eta times as late as the one before."""

    eliminates: ClassVar[bool] = True

    min_steps: int = setting(
        0, low=0,
        help="iterations of the first rung; 0: halving has the one that leaves one setting at its last, and "
        "hyperband the distance of evaluations",
    )  # fmt: skip
    eta: int = setting(3, low=2, high=1000, help="of so many settings one is promoted at each rung")


class SuccessiveHalving(Eliminating):
    """Stops all but the best 1/eta of the settings at rungs of min_steps * eta^k iterations.

    At rung k = 0, 1, ... the floor(n / eta^(k + 1)) best of n settings are promoted, at least one; the
    members of the others train no further, and the program is made anew without them once half of its
    members have been stopped. A setting is judged by the interquartile mean of its seeds at that very
    evaluation; one that has diverged ranks last, and of equal ones the first stays.

    81 settings, eta 3 and rungs at 1, 3, 9 and 27 of 81 epochs take 297 epochs instead of 6,561.

    Source: K. Jamieson, A. Talwalkar (2016). Non-stochastic Best Arm Identification and Hyperparameter
    Optimization. AISTATS.
    """

    def planned(self, population: Population, steps: int, evaluate_every: int) -> Self:
        """Return the controller with its first rung chosen; refuse what cannot be halved."""
        _check_settings(population)
        first = self.min_steps
        if not first:
            cuts = max(1, _log(len(population.settings), self.eta))
            first = max(evaluate_every, steps // self.eta**cuts // evaluate_every * evaluate_every)
        _check_rung(first, steps, evaluate_every)
        return replace(self, min_steps=first)

    def init(self, population: Population) -> dict[str, Any]:
        """Return the settings that train, and the number of the next rung."""
        return {"training": list(range(len(population.settings))), "rung": 0}

    def decide(
        self, state: dict[str, Any], evaluation: Evaluation, population: Population
    ) -> tuple[dict[str, Any], Decision | None]:
        """At a rung, stop the members of all settings that are not promoted."""
        training, rung = state["training"], state["rung"]
        if evaluation.step < self.min_steps * self.eta**rung:
            return state, None
        promoted = best_of(
            training, len(population.settings) // self.eta ** (rung + 1), evaluation, population
        )
        return {"training": promoted, "rung": rung + 1}, stopping(training, promoted, population)


class Hyperband(Eliminating):
    """Runs brackets of successive halving side by side, from eager ones to one that stops nobody.

    With s_max = floor(log_eta(steps / min_steps)), bracket s = s_max, ..., 0 has its first rung at
    steps / eta^s iterations, and a share of the settings proportional to eta^s / (s + 1). The settings are
    dealt to the brackets in their order, so those of a grid should be drawn at random (`samples`). It costs
    more than halving alone, and does not lose a setting that starts slowly.

    Source: L. Li, K. Jamieson, G. DeSalvo, A. Rostamizadeh, A. Talwalkar (2018). Hyperband: A Novel
    Bandit-Based Approach to Hyperparameter Optimization. JMLR 18.
    """

    max_steps: int = setting(0, low=0, help="iterations of the last rung; 0: those of the run")

    def planned(self, population: Population, steps: int, evaluate_every: int) -> Self:
        """Return the controller with its rungs chosen; refuse what cannot be halved."""
        _check_settings(population)
        first = self.min_steps or evaluate_every
        _check_rung(first, steps, evaluate_every)
        planned = replace(self, min_steps=first, max_steps=self.max_steps or steps)
        need = len(planned.firsts())
        if len(population.settings) < need:
            raise UsageError(
                f"hyperband has {need} brackets here, of one setting at least, and there are "
                f"{len(population.settings)} settings; sweep more, or raise min_steps"
            )
        return planned

    def firsts(self) -> list[int]:
        """Return the first rung of each bracket, the earliest first: min_steps * eta^k."""
        brackets = _log(self.max_steps // max(1, self.min_steps), self.eta) + 1
        return [self.min_steps * self.eta**k for k in range(brackets)]

    def init(self, population: Population) -> list[dict[str, Any]]:
        """Return for each bracket its settings, those that train, and the number of its next rung."""
        brackets = len(self.firsts())
        shares = [self.eta**s / (s + 1) for s in range(brackets - 1, -1, -1)]
        found, at = [], 0
        for count in _dealt(len(population.settings), shares):
            found.append({"settings": count, "training": list(range(at, at + count)), "rung": 0})
            at += count
        return found

    def decide(
        self, state: list[dict[str, Any]], evaluation: Evaluation, population: Population
    ) -> tuple[list[dict[str, Any]], Decision | None]:
        """Stop those that are not promoted in each bracket that has come to a rung."""
        after, stopped = [], []
        for first, bracket in zip(self.firsts(), state, strict=True):
            rung = bracket["rung"]
            due = first * self.eta**rung
            if evaluation.step < due or due >= self.max_steps:
                after.append(bracket)
                continue
            count = bracket["settings"] // self.eta ** (rung + 1)
            promoted = best_of(bracket["training"], count, evaluation, population)
            after.append(bracket | {"training": promoted, "rung": rung + 1})
            if decision := stopping(bracket["training"], promoted, population):
                stopped += decision.stop_members
        return after, Decision(stop_members=tuple(stopped)) if stopped else None


def best_of(training: Sequence[int], count: int, evaluation: Evaluation, population: Population) -> list[int]:
    """Return the `count` best settings, at least one, in the order of the sweep."""
    values = evaluation.scores(population.learner)
    scores = {s: float(interquartile_mean(values[population.members_of(s)])) for s in training}
    ranked = sorted(training, key=lambda s: (-scores[s], s))
    return sorted(ranked[: max(1, count)])


def stopping(training: Sequence[int], promoted: Sequence[int], population: Population) -> Decision | None:
    """Return the decision to stop the members of all settings but those promoted; None where all are."""
    losers = sorted(set(training) - set(promoted))
    members = tuple(m for s in losers for m in population.members_of(s))
    return Decision(stop_members=members) if members else None


def _check_settings(population: Population) -> None:
    if len(population.settings) < 2:
        raise UsageError(
            "halving chooses among settings, and this run has one; sweep a setting, such as "
            "--sweep learning_rate=1e-3,3e-4"
        )


def _check_rung(first: int, steps: int, evaluate_every: int) -> None:
    """Raise a `UsageError` for a rung that no evaluation meets, or that lies behind the end."""
    if first % evaluate_every:
        raise UsageError(
            f"the first rung, min_steps {first:,}, must be a multiple of evaluate_every, {evaluate_every:,}: "
            "settings are judged at evaluations"
        )
    if first >= steps:
        raise UsageError(
            f"the first rung, min_steps {first:,}, must come before the end, steps {steps:,}; "
            "lower min_steps, or evaluate more often"
        )


def _log(value: int, base: int) -> int:
    """Return floor(log_base(value)), exactly."""
    power = 0
    while base ** (power + 1) <= value:
        power += 1
    return power


def _dealt(count: int, shares: Sequence[float]) -> list[int]:
    """Return how many of `count` each share gets, one at least, the rest by largest remainder."""
    free, total = count - len(shares), sum(shares)
    exact = [free * share / total for share in shares]
    given = [math.floor(x) for x in exact]
    order = sorted(range(len(shares)), key=lambda i: given[i] - exact[i])
    for i in order[: free - sum(given)]:
        given[i] += 1
    return [1 + x for x in given]
