"""The learner behind physics-informed networks: a network whose derivatives satisfy an equation."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Self

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from populace.core.errors import UsageError
from populace.core.mean import Mean, Metrics
from populace.core.media import Visualization
from populace.core.numerics.precision import precision
from populace.optim import gradient_step as descent
from populace.optim.gradient_step import where
from populace.physics import plots
from populace.physics.evaluation import TRIVIAL, measure, not_finite, verdict
from populace.physics.films import films
from populace.physics.objective import Model, Objective, fields, split
from populace.physics.optimisers.solver import NOT_FINITE, REASONS, NoSolver, Progress
from populace.physics.problem.term import Points
from populace.physics.sampling.draw import draw
from populace.physics.sampling.noise import randomized
from populace.physics.sampling.resampling import Plan
from populace.physics.settings import PINNSettings
from populace.physics.state import Solved, State


class PINN(PINNSettings):
    """A physics-informed network: the residuals of equations, conditions and data in one least-squares loss.

    `gradient_steps` iterations of `optimizer` come first, then `solver` takes over. Everything is computed in
    float64 by default, which second-order rules need: in float32 they stop where rounding hides the descent.

    The score is the relative L2 error against the exact solution, where the problem has one, and else the
    root of the mean squared residual on fresh points, from which alone nobody knows whether a problem is
    solved.

    Source: Raissi, Perdikaris and Karniadakis 2019, "Physics-informed neural networks"; Lagaris et al. 1998.
    """

    def init(self, key: jax.Array) -> State:
        """Return fresh weights, coefficients at their start, and the first points."""
        problem, keys = self.defined, jax.random.split(key)
        network = self.network.build(problem.domain, len(problem.fields), key=keys[0], dtype=self.dtype)
        coefficients = {n: jnp.asarray(u.start, self.dtype) for n, u in problem.unknowns.items()}
        model = Model(network, coefficients)
        points = self.draw(keys[1])
        if self.randomized_data:
            points = randomized(problem, points, jax.random.fold_in(key, 2))
        return State(
            model=model,
            opt_state=descent.initial_opt_state(self, model),
            memory=self.solver.init(split(model)[0]),
            progress=Progress.start(),
            points=points,
            balance=self.balance.init(points, self.dtype),
            in_time=self.in_time.init(),
            count=jnp.int32(0),
        )

    def draw(self, key: jax.Array) -> dict[str, Points]:
        """Return points for every term of the loss."""
        counts = (self.points, self.boundary_points, self.initial_points)
        return draw(self.defined, self.sampling, counts, key, self.dtype, self.resampling.room)

    def on_epoch_start(self, state: State, key: jax.Array) -> State:
        """Change points and weights where it is time; the solver goes on with them."""
        state = self._if_due(self.resample_steps, lambda s: self._moved(s, key), state)
        return self._if_due(self.balance.interval, self._balanced, state)

    def _if_due(self, every: int, change: Callable[[State], State], state: State) -> State:
        if not every:
            return state
        if every == self.epoch_steps:
            return change(state)
        return jax.lax.cond(state.count % every == 0, lambda s: change(s), lambda s: s, state)

    def _moved(self, state: State, key: jax.Array) -> State:
        # The first points stay until the first time.
        number = state.count // self.resample_steps
        changed = replace(state, points=self.resampled(state, number, key))
        return where(number > 0, self._again(changed), state)

    def _balanced(self, state: State) -> State:
        learned, frozen = split(state.model)
        memory = self.balance.update(state.balance, self.objective(state, frozen), learned)
        return self._again(replace(state, balance=memory))

    def _again(self, state: State) -> State:
        """Tell the solver that the loss is another; a member that had stopped goes on."""
        memory = self.solver.again(state.memory, split(state.model)[0])
        return replace(state, memory=memory, progress=Progress.start())

    def resampled(self, state: State, number: Any, key: jax.Array) -> dict[str, Points]:
        """Return the points after they have changed for the number-th time."""
        problem, keys = self.defined, jax.random.split(key)
        fresh = state.points
        if not self.resampling.keeps_conditions:
            data = {t.name: state.points[t.name] for t in problem.terms if t.region == "data"}
            fresh = self.draw(keys[0]) | data
        plan = Plan(self.sampling, self.points, self.dtype)
        name = next(iter(problem.equations))  # all equations have the same points
        inside = self.resampling.inside(
            problem, state.model, state.points[name], plan, jnp.maximum(number, 1), keys[1]
        )
        return fresh | dict.fromkeys(problem.equations, inside)

    def objective(self, state: State, frozen: Any = None) -> Objective:
        """Return the loss of a state, of models whose arrays that are not learned are `frozen`."""
        problem = self.defined
        weights: dict[str, Any] = {
            name: self.condition_weight for name in problem.term_names if name not in problem.equations
        }
        weights |= problem.weights
        factors = self.balance.factors(state.balance)
        for name, factor in factors.items():
            if not jnp.ndim(factor):
                weights[name] = weights.get(name, 1.0) * factor
        of_points = {name: factor for name, factor in factors.items() if jnp.ndim(factor)}
        return Objective(problem, state.points, weights, frozen).with_point_weights(of_points)

    def step(self, state: State, key: jax.Array) -> tuple[State, Metrics]:
        """Take one step of the optimizer or of the solver."""
        del key  # points are drawn at the start of epochs
        if isinstance(self.solver, NoSolver):
            after, found = self._descend(state)
        elif not self.gradient_steps:
            after, found = self._solve(state)
        else:
            after, found = jax.lax.cond(
                state.count < self.gradient_steps,
                lambda s: self._descend(s),  # bound methods are not hashable
                lambda s: self._solve(s),
                state,
            )
        for name, factor in self.balance.factors(state.balance).items():
            found[f"{name} weight"] = jnp.mean(factor)
        after = replace(after, count=state.count + 1)
        return after, {name: Mean(value) for name, value in (found | state.model.coefficients).items()}

    def _descend(self, state: State) -> tuple[State, dict[str, jax.Array]]:
        balanced = self.objective(state)
        objective, in_time, found = self.in_time.weighted(balanced, state.model, state.in_time)
        model, opt_state, loss, terms = descent.gradient_step(
            self, objective.loss, state.model, state.opt_state, state.count
        )
        # A rate in float32 must not make weights of another width.
        model = jax.tree.map(lambda new, old: new.astype(old.dtype), model, state.model)
        balance = self.balance.ascend(state.balance, balanced, state.model)
        after = replace(state, model=model, opt_state=opt_state, in_time=in_time, balance=balance)
        return after, {"loss": loss} | _losses(terms) | found

    def _solve(self, state: State) -> tuple[State, dict[str, jax.Array]]:
        learned, frozen = split(state.model)
        balanced = self.objective(state, frozen)
        objective, in_time, found = self.in_time.weighted(balanced, learned, state.in_time)
        if isinstance(stage := self.in_time.stage(in_time), jax.Array):
            state = where(stage != self.in_time.stage(state.in_time), self._again(state), state)
        state = replace(state, in_time=in_time)

        def move(state: State) -> State:
            model, memory, before, after, failed = self.solver.step(objective, learned, state.memory)
            progress, model = state.progress.after(before, after, failed), eqx.combine(model, frozen)
            return replace(state, model=model, memory=memory, progress=progress)

        loss, terms = objective.loss(learned)
        after = jax.lax.cond(state.progress.stopped == 0, move, lambda state: state, state)
        return after, {"loss": loss} | _losses(terms) | found

    def model(self, state: State) -> Solved:
        """Return the network, the coefficients and why the member stopped."""
        return Solved(state.model, state.progress.stopped)

    def evaluate(self, state: Any, key: jax.Array) -> Metrics:
        """Return the root mean square of the equations' residuals on fresh points, and errors where known."""
        return measure(self.defined, state.model, self.evaluation_points, key, jnp.dtype(self.dtype))

    def for_test(self, size: int) -> Self:
        """Return the learner that measures on another grid, of about `size` points."""
        return replace(self, evaluation_points=max(size, 10))

    def predict(self, model: Any, x: Any = None, /) -> np.ndarray:
        """Return the fields at points x (N, d), (N, k); (N,) will do where there is one coordinate.

        Raises:
            UsageError: points of another shape.

        """
        names = self.defined.domain.names
        at = np.asarray(x, float)
        if at.ndim == 1 and len(names) == 1:
            at = at[:, None]
        if at.ndim != 2 or at.shape[1] != len(names):
            raise UsageError(f"points must be (N, {len(names)}): {', '.join(names)}; got {list(at.shape)}")
        with precision(self.x64):
            return np.asarray(_fields(self, model.model, jnp.asarray(at, self.dtype).T)).T

    def visualize(self, state: Any, key: jax.Array) -> dict[str, Visualization]:
        """Return figures of the solution, its error and its residual."""
        with precision(self.x64):
            why = REASONS[int(state.stopped)]
            if int(state.stopped) == NOT_FINITE:
                why += "; " + not_finite(self.defined, state.model, self.draw(key))
            found = dict(plots.solution(self.defined, state.model, why, self.dtype))
            return found | films(self.defined, state.model, self.dtype)

    def caveats(self, metrics: Mapping[str, np.ndarray]) -> list[str]:
        """Return the verdict of the selected members, as far as their metrics tell."""
        if self.score_threshold is not None:
            error = np.asarray(metrics["error"])
            found = verdict(error[~np.isnan(error)], int(np.isnan(error).sum()), self.score_threshold)
            return [f"Verdict: {found}. It takes half of all members, those that diverged included."]
        notes = [
            "No exact solution is known, and a small residual does not say that the problem is solved: "
            "populace.physics.solve(run) says whether the members agree."
        ]
        if np.nanmedian(metrics["variation"]) <= TRIVIAL:
            notes.append("Most members found fields that are nearly constant, which solves many equations.")
        return notes


def _losses(terms: dict[str, jax.Array]) -> dict[str, jax.Array]:
    return {f"{name} loss": value for name, value in terms.items()}


@eqx.filter_jit
def _fields(learner: PINN, model: Model, columns: jax.Array) -> jax.Array:
    return fields(learner.defined, model, columns)
