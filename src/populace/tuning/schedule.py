"""A schedule of settings: what population-based training found, trained again by one member alone."""

from populace.core.errors import UsageError
from populace.core.population import Population
from populace.core.settings import setting
from populace.core.untrusted.shown import shown
from populace.engine.callbacks import Evaluation
from populace.engine.controller import Controller, Decision


class Schedule(Controller):
    """Changes float settings of a single member at given evaluations.

    `winner.toml` in the folder of a run with population-based training is a recipe with the schedule of its
    winner. Members that exchange within a seed share its random keys, so that the schedule, trained by one
    member, comes to the state of the winner: bit for bit with the strategy `map`, to rounding with `vmap`.
    """

    changes: tuple[str, ...] = setting(
        (), help='changes, each "STEP PATH VALUE", after the evaluation of STEP'
    )

    def planned(self, population: Population, steps: int, evaluate_every: int) -> "Schedule":
        """Return the controller as it is; refuse changes that no evaluation meets, or of several members."""
        if len(population) != 1:
            raise UsageError(f"a schedule is one member's, and this run has {len(population)}; train one")
        for step in self.by_step():
            if step % evaluate_every or not 0 < step < steps:
                raise UsageError(
                    f"the schedule changes settings at step {step:,}, which must be a multiple of "
                    f"evaluate_every, {evaluate_every:,}, below steps, {steps:,}"
                )
        return self

    def by_step(self) -> dict[int, dict[str, float]]:
        """Return the values of settings by the step after which they hold."""
        found: dict[int, dict[str, float]] = {}
        for change in self.changes:
            try:
                step, path, value = change.split()
                found.setdefault(int(step), {})[path] = float(value)
            except ValueError:
                raise UsageError(f'a change must be "STEP PATH VALUE", got {shown(change)}') from None
        return found

    def decide(
        self, state: None, evaluation: Evaluation, population: Population
    ) -> tuple[None, Decision | None]:
        """Change what the schedule says for this step."""
        del population
        values = self.by_step().get(evaluation.step)
        return state, Decision(settings={0: values}) if values else None
