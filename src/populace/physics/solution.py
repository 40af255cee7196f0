"""Solution: what a population found, its spread over members, and an honest word whether it is solved."""

from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import numpy as np
from scipy.stats import t as student

from populace.core.errors import UsageError, unknown
from populace.core.numerics.precision import precision
from populace.core.random import root_key
from populace.physics.evaluation import TRIVIAL, not_finite, verdict
from populace.physics.learner import PINN
from populace.physics.optimisers.solver import NOT_FINITE, REASONS
from populace.physics.sampling.sampler import interior_grid
from populace.runs.run import Run

_AGREE = 10.0


@dataclass(frozen=True)
class Solution:
    """The members of one setting of a run.

    Attributes:
        points: a grid inside the domain, (N, d).
        fields: names of the fields.
        members: what each member that did not diverge says there, (M, N, k); fields that the problem
            determines up to a constant have the mean zero.
        error: relative L2 error of each of them against the exact solution; None where there is none.
        residual: root mean square of the equations' residuals on fresh points, of each.
        coefficients: what each found for the unknown coefficients, by name.
        stopped: why each stopped.
        diverged: how many members diverged.
        tolerance: the error below which a member counts as solved.
        not_finite: of members that diverged or met a residual that is not finite: which term, and where.

    """

    points: np.ndarray
    fields: tuple[str, ...]
    members: np.ndarray
    error: np.ndarray | None
    residual: np.ndarray
    coefficients: dict[str, np.ndarray]
    stopped: list[str]
    diverged: int
    tolerance: float
    not_finite: tuple[str, ...] = ()

    @property
    def mean(self) -> np.ndarray:
        """Mean over members, (N, k)."""
        return self.members.mean(0)

    @property
    def spread(self) -> np.ndarray:
        """Standard deviation over members, (N, k)."""
        return self.members.std(0)

    @property
    def disagreement(self) -> float:
        """Largest relative L2 distance of a member from the median over members."""
        median = np.median(self.members, 0)
        scale = np.linalg.norm(median) or 1.0
        return float(max(np.linalg.norm(m - median) / scale for m in self.members))

    @property
    def trivial(self) -> bool:
        """Whether most members found a field that is nearly constant: zero solves many equations."""
        varies = self.members.std(1).max(-1)
        size = np.abs(self.members).max((1, 2))
        return bool(np.mean(varies <= TRIVIAL * np.maximum(size, TRIVIAL)) > 0.5)

    @property
    def verdict(self) -> str:
        """`solved`, `not solved`, `members disagree`, or, with nothing to compare with, `members agree`.

        Where there is an exact solution, it is solved if at least half of all members, those that diverged
        included, have an error of at most the tolerance. Without one, members can only disagree or agree: a
        small loss never says that something is solved.
        """
        if not len(self.members):
            return "not solved"
        if self.error is not None:
            return verdict(self.error, self.diverged, self.tolerance)
        if len(self.members) > 1 and self.disagreement > _AGREE * self.tolerance:
            return "members disagree"
        return "not solved" if self.trivial else "members agree"

    def interval(self, name: str, confidence: float = 0.95) -> tuple[float, float]:
        """Return the interval of a coefficient: mean plus and minus t standard deviations over members.

        With `randomized_data` it is a confidence interval, for then members differ as estimates from other
        data would. Without, they differ by their start alone, and it covers the truth only by accident.

        Raises:
            UsageError: no such coefficient, or fewer than two members.

        """
        if name not in self.coefficients:
            raise unknown("coefficient", name, self.coefficients)
        values = self.coefficients[name]
        if len(values) < 2:
            raise UsageError(f"an interval needs at least 2 members, got {len(values)}")
        factor = float(student.ppf(0.5 + confidence / 2, len(values) - 1))
        half = factor * values.std(ddof=1) * np.sqrt(1 + 1 / len(values))
        return float(values.mean() - half), float(values.mean() + half)

    def __str__(self) -> str:
        """Return the verdict with its numbers."""
        count = len(self.members) + self.diverged
        text = f"{self.verdict}: {count} members"
        if self.diverged:
            text += f", {self.diverged} diverged"
        if self.error is not None and len(self.error):
            good = int(np.sum(self.error <= self.tolerance))
            text += f", {good} with a relative L2 error of at most {self.tolerance:g}"
            text += f" (median {np.median(self.error):.2g})"
        if len(self.residual):
            text += f"; residual {np.median(self.residual):.2g} (median)"
        if len(self.members) > 1:
            text += f"; members differ by up to {self.disagreement:.2g} of the solution"
        if len(self.members) and self.trivial:
            text += "; the solution is nearly constant"
        return text + (f"; {self.not_finite[0]}" if self.not_finite else "")


def solve(run: Run, setting: int | None = None, points: int = 2000) -> Solution:
    """Return what the members of a setting found; by default of the best setting.

    Raises:
        UsageError: the run is none of a physics-informed network, or there is no such setting.

    """
    learner = run.population.learner
    if not isinstance(learner, PINN):
        raise UsageError(f"solve takes a run of a PINN, got one of {type(learner).__name__}")
    results = run.results()
    best = results["best"]["setting"] if results["best"] else 0
    chosen = best if setting is None else setting
    if not 0 <= chosen < (count := len(run.population.settings)):
        raise UsageError(f"there is no setting {chosen}; settings are numbered 0 to {count - 1}")
    members = [m for m in run.population.members if m.setting == chosen]
    ended = run.engine.diverged_at()
    sound = [run.member(m.index) for m in members if ended[m.index] < 0]
    one: Any = sound[0].learner if sound else learner
    problem = one.defined
    at = interior_grid(problem.domain, points)
    found = np.stack([m.predict(at) for m in sound]) if sound else np.zeros((0, len(at), len(problem.fields)))
    for name in problem.up_to_constant:
        column = found[:, :, problem.fields.index(name)]
        column -= column.mean(1, keepdims=True)
    failed = [run.member(m.index) for m in members if ended[m.index] >= 0]
    failed += [m for m in sound if int(m.model.stopped) == NOT_FINITE]
    measured = [_measured(m) for m in sound]
    return Solution(
        points=at,
        fields=problem.fields,
        members=found,
        error=np.asarray([m["error"] for m in measured]) if problem.exact else None,
        residual=np.asarray([m["residual"] for m in measured]),
        coefficients={
            name: np.asarray([float(m.model.model.coefficients[name]) for m in sound])
            for name in problem.unknowns
        },
        stopped=[REASONS[int(m.model.stopped)] for m in sound],
        diverged=len(members) - len(sound),
        tolerance=float(learner.tolerance),
        not_finite=tuple(text for m in failed if (text := _where(m))),
    )


def _where(member: Any) -> str:
    learner = member.learner
    with precision(learner.x64):
        points = learner.draw(jax.random.fold_in(root_key(0), member.member.seed))
        return not_finite(learner.defined, member.model.model, points)


def _measured(member: Any) -> dict[str, float]:
    with precision(member.learner.x64):
        key = jax.random.fold_in(root_key(0), member.member.seed)
        metrics = _evaluate(member.learner, member.model, key)
        return {name: float(value.value) for name, value in metrics.items()}


@eqx.filter_jit
def _evaluate(learner: PINN, model: Any, key: jax.Array) -> Any:
    return dict(learner.evaluate(model, key))
