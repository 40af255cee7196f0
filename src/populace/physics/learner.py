"""The learner behind physics-informed networks: a network whose derivatives satisfy an equation."""

import dataclasses
from typing import Any, ClassVar, Literal, Self

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from populace.core.errors import UsageError
from populace.core.learner import Learner, Mean, Metrics
from populace.core.media import Visualization
from populace.core.numerics.precision import precision
from populace.core.settings import setting
from populace.optim import gradient_step as descent
from populace.optim.optimizers import Adam, Optimizer
from populace.optim.schedules import Constant, Schedule
from populace.physics import plots
from populace.physics.equations.elliptic import Poisson1D
from populace.physics.equations.equation import Equation
from populace.physics.networks.network import MLP, PINNetwork
from populace.physics.objective import Model, Objective, evaluate, fields
from populace.physics.optimisers.levenberg_marquardt import LevenbergMarquardt
from populace.physics.optimisers.solver import REASONS, NoSolver, Progress, Solver
from populace.physics.problem.problem import Problem
from populace.physics.problem.term import Points
from populace.physics.sampling.cube import METHODS
from populace.physics.sampling.draw import draw
from populace.physics.sampling.sampler import interior, interior_grid


class Solved(eqx.Module):
    """What is kept of a member: its model, and why it stopped.

    Attributes:
        model: the network and the unknown coefficients.
        stopped: one of `physics.optimisers.solver.REASONS`.

    """

    model: Model
    stopped: jax.Array


class State(eqx.Module):
    """A member while it trains.

    Attributes:
        model: the network and the unknown coefficients.
        opt_state: what the first-order optimizer remembers.
        memory: what the solver remembers.
        progress: whether the solver has stopped.
        points: where each term is evaluated.
        count: steps taken.

    """

    model: Model
    opt_state: Any
    memory: Any
    progress: Progress
    points: dict[str, Points]
    count: jax.Array


class PINN(Learner):
    """A physics-informed network: the residuals of equations, conditions and data in one least-squares loss.

    `gradient_steps` iterations of `optimizer` come first, then `solver` takes over. Everything is computed in
    float64 by default, which second-order rules need: in float32 they stop where rounding hides the descent.

    The score is the relative L2 error against the exact solution, where the problem has one, and else the
    root of the mean squared residual on fresh points, from which alone nobody knows whether a problem is
    solved.

    Source: Raissi, Perdikaris and Karniadakis 2019, "Physics-informed neural networks"; Lagaris et al. 1998.
    """

    mode: ClassVar[Literal["max", "min"]] = "min"
    evaluation_unit: ClassVar[str] = "points"

    problem: Problem | None = eqx.field(default=None, static=True)
    """A problem of your own, in the place of a named equation."""

    equation: Equation = setting(Poisson1D(), help="equation, unless a problem is given in Python")
    network: PINNetwork = setting(MLP(), help="network that stands for the fields")
    dtype: str = setting("float64", choices=("float64", "float32"), help="numbers that are computed with")
    sampling: str = setting("sobol", choices=METHODS, help="how points are drawn")
    points: int = setting(256, low=1, help="points inside")
    boundary_points: int = setting(64, low=1, help="points of each condition on a boundary")
    initial_points: int = setting(64, low=1, help="points of each condition at the start of time")
    resample_steps: int = setting(0, low=0, help="iterations after which points are drawn anew; 0 for never")
    randomized_data: bool = setting(False, help="each member learns from data with errors of its own added")
    condition_weight: float = setting(1.0, above=0, help="factor on the terms of conditions and data")
    gradient_steps: int = setting(0, low=0, help="iterations of the optimizer before the solver takes over")
    solver: Solver = setting(LevenbergMarquardt(), help="second-order rule; none for the optimizer alone")
    learning_rate: float = descent.learning_rate(1e-3)
    optimizer: Optimizer = descent.optimizer(Adam())
    schedule: Schedule = descent.schedule(Constant())
    weight_decay: float = descent.weight_decay()
    max_gradient_norm: float = descent.max_gradient_norm()
    tolerance: float = setting(1e-3, above=0, help="relative L2 error that counts as solved")
    evaluation_points: int = setting(
        2000, low=10, help="points that the error and the residual are measured on"
    )

    @property
    def score(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        """`error` where there is an exact solution, else `residual`."""
        return "error" if self.defined.exact else "residual"

    @property
    def score_threshold(self) -> float | None:
        """The tolerance, where there is an exact solution; a small residual alone says nothing."""
        return float(self.tolerance) if self.defined.exact else None

    @property
    def task_name(self) -> str:
        """Name of the equation."""
        return self.equation.kind if self.problem is None else ""

    @property
    def x64(self) -> bool:
        """Whether it computes in float64."""
        return self.dtype == "float64"

    @property
    def epoch_steps(self) -> int:
        """Iterations after which points are drawn anew."""
        return self.resample_steps

    @property
    def defined(self) -> Problem:
        """The problem."""
        return self.equation.define() if self.problem is None else self.problem

    def init(self, key: jax.Array) -> State:
        """Return fresh weights, coefficients at their start, and the first points."""
        problem, keys = self.defined, jax.random.split(key)
        domain = problem.domain
        network = self.network.build(
            domain.low, domain.high, len(problem.fields), key=keys[0], dtype=self.dtype
        )
        coefficients = {n: jnp.asarray(u.start, self.dtype) for n, u in problem.unknowns.items()}
        model = Model(network, coefficients)
        return State(
            model=model,
            opt_state=descent.initial_opt_state(self, model),
            memory=self.solver.init(model),
            progress=Progress.start(),
            points=self.randomized(self.draw(keys[1]), jax.random.fold_in(key, 2)),
            count=jnp.int32(0),
        )

    def draw(self, key: jax.Array) -> dict[str, Points]:
        """Return points for every term of the loss."""
        counts = (self.points, self.boundary_points, self.initial_points)
        return draw(self.defined, self.sampling, counts, key, self.dtype)

    def randomized(self, points: dict[str, Points], key: jax.Array) -> dict[str, Points]:
        """Return points whose data have further errors, of the size that they have already.

        The members' coefficients then vary by the errors of data, and not by their start alone.
        """
        if not self.randomized_data:
            return points
        changed = {}
        for number, term in enumerate(self.defined.terms):
            if term.region == "data" and term.noise is not None:
                values = points[term.name].values
                errors = jax.random.normal(jax.random.fold_in(key, number), values.shape, jnp.float32)
                changed[term.name] = points[term.name]._replace(
                    values=values + (term.noise * errors).astype(values.dtype)
                )
        return points | changed

    def on_epoch_start(self, state: State, key: jax.Array) -> State:
        """Draw points anew; the solver begins again on them."""
        data = {t.name: state.points[t.name] for t in self.defined.terms if t.region == "data"}
        fresh = (self.draw(key) | data, self.solver.init(state.model), Progress.start())
        # The damping that a solver has come to is as good on other points.
        memory = state.memory if isinstance(self.solver, LevenbergMarquardt) else fresh[1]
        return eqx.tree_at(lambda s: (s.points, s.memory, s.progress), state, (fresh[0], memory, fresh[2]))

    def objective(self, points: dict[str, Points]) -> Objective:
        """Return the loss at points."""
        problem = self.defined
        weights = {
            name: self.condition_weight for name in problem.term_names if name not in problem.equations
        }
        return Objective(problem, points, weights | problem.weights)

    def step(self, state: State, key: jax.Array) -> tuple[State, Metrics]:
        """Take one step of the optimizer or of the solver."""
        del key  # points are drawn at the start of epochs
        objective = self.objective(state.points)
        if isinstance(self.solver, NoSolver):
            after, loss, terms = self._descend(objective, state)
        elif not self.gradient_steps:
            after, loss, terms = self._solve(objective, state)
        else:
            after, loss, terms = jax.lax.cond(
                state.count < self.gradient_steps,
                lambda s: self._descend(objective, s),
                lambda s: self._solve(objective, s),
                state,
            )
        after = eqx.tree_at(lambda s: s.count, after, state.count + 1)
        metrics = {"loss": Mean(loss)} | {f"{name} loss": Mean(value) for name, value in terms.items()}
        return after, metrics | {n: Mean(v) for n, v in state.model.coefficients.items()}

    def _descend(self, objective: Objective, state: State) -> tuple[State, jax.Array, dict[str, jax.Array]]:
        model, opt_state, loss, terms = descent.gradient_step(
            self, objective.loss, state.model, state.opt_state, state.count
        )
        # A rate in float32 must not make weights of another width.
        model = jax.tree.map(lambda new, old: new.astype(old.dtype), model, state.model)
        return eqx.tree_at(lambda s: (s.model, s.opt_state), state, (model, opt_state)), loss, terms

    def _solve(self, objective: Objective, state: State) -> tuple[State, jax.Array, dict[str, jax.Array]]:
        def move(state: State) -> State:
            model, memory, before, after, failed = self.solver.step(objective, state.model, state.memory)
            progress = state.progress.after(before, after, failed)
            return eqx.tree_at(lambda s: (s.model, s.memory, s.progress), state, (model, memory, progress))

        loss, terms = objective.loss(state.model)
        return jax.lax.cond(state.progress.stopped == 0, move, lambda state: state, state), loss, terms

    def model(self, state: State) -> Solved:
        """Return the network, the coefficients and why the member stopped."""
        return Solved(state.model, state.progress.stopped)

    def evaluate(self, state: Any, key: jax.Array) -> Metrics:
        """Return the root mean square of the equations' residuals on fresh points, and errors where known."""
        problem, dtype = self.defined, jnp.dtype(self.dtype)
        fresh = interior(problem.domain, "uniform", self.evaluation_points, key, dtype)
        squares = [
            jnp.mean(evaluate(problem, state.model, e, fresh) ** 2) for e in problem.equations.values()
        ]
        metrics = {"residual": Mean(jnp.sqrt(sum(squares, jnp.float32(0)) / len(squares)))}
        if problem.exact:
            errors = self.errors(state.model)
            metrics["error"] = Mean(jnp.max(jnp.stack(list(errors.values()))))
            if len(errors) > 1:
                metrics |= {f"error {name}": Mean(value) for name, value in errors.items()}
        for name, unknown in problem.unknowns.items():
            metrics[name] = Mean(state.model.coefficients[name])
            if unknown.true is not None:
                metrics[f"{name} error"] = Mean(jnp.abs(state.model.coefficients[name] / unknown.true - 1))
        return metrics

    def errors(self, model: Model) -> dict[str, jax.Array]:
        """Return the relative L2 error of each field against the exact solution, on a grid."""
        problem = self.defined
        at = jnp.asarray(interior_grid(problem.domain, self.evaluation_points), self.dtype).T
        coordinates = dict(zip(problem.domain.names, at))
        found = dict(zip(problem.fields, fields(problem, model, at)))
        errors = {}
        for name in problem.exact:
            true, value = problem.exact_values(name, coordinates), found[name]
            if name in problem.up_to_constant:
                true, value = true - jnp.mean(true), value - jnp.mean(value)
            errors[name] = jnp.linalg.norm(value - true) / jnp.linalg.norm(true)
        return errors

    def for_test(self, size: int) -> Self:
        """Return the learner that measures on another grid, of about `size` points."""
        return dataclasses.replace(self, evaluation_points=max(size, 10))

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
        del key
        with precision(self.x64):
            return dict(plots.solution(self.defined, state.model, REASONS[int(state.stopped)], self.dtype))

    def check(self) -> None:
        """Raise a `UsageError` for settings that do not fit each other."""
        super().check()
        problem = self.defined
        if self.randomized_data and not any(t.noise is not None for t in problem.terms if t.region == "data"):
            raise UsageError("randomized_data needs data of known noise: Data(..., noise=...)")
        if problem.has_data and problem.unknowns:
            count = sum(len(t.points) for t in problem.terms if t.points is not None)
            if count < len(problem.unknowns):
                raise UsageError(
                    f"{count} measured values cannot determine {len(problem.unknowns)} unknown coefficients"
                )


@eqx.filter_jit
def _fields(learner: PINN, model: Model, columns: jax.Array) -> jax.Array:
    return fields(learner.defined, model, columns)
