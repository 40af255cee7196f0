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
from populace.nn.primitives.buffer import trainable
from populace.optim import gradient_step as descent
from populace.optim.optimizers import Adam, Optimizer
from populace.optim.schedules import Constant, Schedule
from populace.physics import plots
from populace.physics.equations.elliptic import Poisson1D
from populace.physics.equations.equation import Equation
from populace.physics.evaluation import measure
from populace.physics.networks.network import MLP, PINNetwork
from populace.physics.objective import Model, Objective, fields
from populace.physics.optimisers.levenberg_marquardt import LevenbergMarquardt
from populace.physics.optimisers.solver import REASONS, NoSolver, Progress, Solver
from populace.physics.problem.problem import Problem
from populace.physics.problem.term import Points
from populace.physics.sampling.cube import METHODS
from populace.physics.sampling.draw import draw
from populace.physics.sampling.noise import randomized
from populace.physics.sampling.resampling import Anew, Plan, Resampling
from populace.physics.state import Solved, State


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
    resample_steps: int = setting(0, low=0, help="iterations after which points change; 0 for never")
    resampling: Resampling = setting(Anew(), help="how points inside change after every resample_steps")
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
        """Iterations after which points change."""
        return self.resample_steps

    @property
    def defined(self) -> Problem:
        """The problem."""
        return self.equation.define() if self.problem is None else self.problem

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
            memory=self.solver.init(eqx.filter(model, trainable(model))),
            progress=Progress.start(),
            points=points,
            count=jnp.int32(0),
        )

    def draw(self, key: jax.Array) -> dict[str, Points]:
        """Return points for every term of the loss."""
        counts = (self.points, self.boundary_points, self.initial_points)
        return draw(self.defined, self.sampling, counts, key, self.dtype, self.resampling.room)

    def on_epoch_start(self, state: State, key: jax.Array) -> State:
        """Change the points; the solver begins again on them. The first ones stay until the first time."""
        number = state.count // self.resample_steps
        points = self.resampled(state, number, key)
        weights = eqx.filter(state.model, trainable(state.model))
        # The damping that a solver has come to is as good on other points.
        kept = isinstance(self.solver, LevenbergMarquardt)
        changed = (points, state.memory if kept else self.solver.init(weights), Progress.start())
        there = (state.points, state.memory, state.progress)
        changed = jax.tree.map(lambda a, b: jnp.where(number > 0, a, b), changed, there)
        return eqx.tree_at(lambda s: (s.points, s.memory, s.progress), state, changed)

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

    def objective(self, points: dict[str, Points], frozen: Any = None) -> Objective:
        """Return the loss at points, of models whose arrays that are not learned are `frozen`."""
        problem = self.defined
        weights = {
            name: self.condition_weight for name in problem.term_names if name not in problem.equations
        }
        return Objective(problem, points, weights | problem.weights, frozen)

    def step(self, state: State, key: jax.Array) -> tuple[State, Metrics]:
        """Take one step of the optimizer or of the solver."""
        del key  # points are drawn at the start of epochs
        if isinstance(self.solver, NoSolver):
            after, loss, terms = self._descend(state)
        elif not self.gradient_steps:
            after, loss, terms = self._solve(state)
        else:
            after, loss, terms = jax.lax.cond(
                state.count < self.gradient_steps,
                lambda s: self._descend(s),  # bound methods are not hashable
                lambda s: self._solve(s),
                state,
            )
        after = eqx.tree_at(lambda s: s.count, after, state.count + 1)
        metrics = {"loss": Mean(loss)} | {f"{name} loss": Mean(value) for name, value in terms.items()}
        return after, metrics | {n: Mean(v) for n, v in state.model.coefficients.items()}

    def _descend(self, state: State) -> tuple[State, jax.Array, dict[str, jax.Array]]:
        model, opt_state, loss, terms = descent.gradient_step(
            self, self.objective(state.points).loss, state.model, state.opt_state, state.count
        )
        # A rate in float32 must not make weights of another width.
        model = jax.tree.map(lambda new, old: new.astype(old.dtype), model, state.model)
        return eqx.tree_at(lambda s: (s.model, s.opt_state), state, (model, opt_state)), loss, terms

    def _solve(self, state: State) -> tuple[State, jax.Array, dict[str, jax.Array]]:
        learned, frozen = eqx.partition(state.model, trainable(state.model))
        objective = self.objective(state.points, frozen)

        def move(state: State) -> State:
            model, memory, before, after, failed = self.solver.step(objective, learned, state.memory)
            progress, model = state.progress.after(before, after, failed), eqx.combine(model, frozen)
            return eqx.tree_at(lambda s: (s.model, s.memory, s.progress), state, (model, memory, progress))

        loss, terms = objective.loss(learned)
        return jax.lax.cond(state.progress.stopped == 0, move, lambda state: state, state), loss, terms

    def model(self, state: State) -> Solved:
        """Return the network, the coefficients and why the member stopped."""
        return Solved(state.model, state.progress.stopped)

    def evaluate(self, state: Any, key: jax.Array) -> Metrics:
        """Return the root mean square of the equations' residuals on fresh points, and errors where known."""
        return measure(self.defined, state.model, self.evaluation_points, key, jnp.dtype(self.dtype))

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
