"""TargetScore: ends a run as soon as the population is good enough."""

from populace.core.population import Population
from populace.core.settings import setting
from populace.engine.callbacks import Evaluation
from populace.engine.controller import Controller, Decision
from populace.statistics import interquartile_mean


class TargetScore(Controller):
    """Stops the whole run once the score reaches a target at an evaluation.

    With `of = "setting"` the interquartile mean over the seeds of any one setting must reach it, with
    `"member"` any one member, with `"all"` every member. "Reach" means at least the target, or at most
    where the learner's `mode` is `min`. A diverged member reaches no target: with `"all"` the run then
    goes to its end, and so does a setting of which more than a quarter has diverged.
    """

    score: float = setting(help="score at which the run stops, in the units of the learner's score")
    of: str = setting(
        "setting", choices=("setting", "member", "all"),
        help="whose score: setting (interquartile mean of its seeds), member (any), all (every member)",
    )  # fmt: skip

    def decide(
        self, state: None, evaluation: Evaluation, population: Population
    ) -> tuple[None, Decision | None]:
        """Stop where the target has been reached."""
        learner = population.learner
        sign = 1.0 if learner.mode == "max" else -1.0
        values = evaluation.scores(learner)
        table = population.by_seed(values)
        if self.of == "setting":
            reached = float(max(interquartile_mean(row) for row in table))
        else:
            reached = float(values.max() if self.of == "member" else values.min())
        if reached < sign * self.score:
            return None, None
        whose = {"setting": "a setting's", "member": "a member's", "all": "every member's"}[self.of]
        why = f"{whose} {learner.score} reached {sign * reached:.6g}, the target is {self.score:.6g}"
        return None, Decision(stop=why)
