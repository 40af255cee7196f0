"""Settings of a physics-informed network, and what they say of it without any training."""

import math
from typing import ClassVar, Literal

import equinox as eqx

from populace.core.errors import UsageError
from populace.core.learner import Learner
from populace.core.settings import setting
from populace.optim import gradient_step as descent
from populace.optim.optimizers import Adam, Optimizer
from populace.optim.schedules import Constant, Schedule
from populace.physics.equations.elliptic import Poisson1D
from populace.physics.equations.equation import Equation
from populace.physics.networks.network import MLP, PINNetwork
from populace.physics.optimisers.levenberg_marquardt import LevenbergMarquardt
from populace.physics.optimisers.solver import Solver
from populace.physics.problem.neumann import check_compatible
from populace.physics.problem.problem import Problem
from populace.physics.sampling.cube import METHODS
from populace.physics.sampling.resampling import Anew, Resampling
from populace.physics.weighting.balance import Balance, Fixed
from populace.physics.weighting.in_time import AllTimes, InTime
from populace.physics.weighting.self_adaptive import SelfAdaptive


class PINNSettings(Learner):
    """What a physics-informed network is made of and how it is trained."""

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
    balance: Balance = setting(Fixed(), help="how terms of the loss are weighted as it trains")
    in_time: InTime = setting(AllTimes(), help="how residuals at different times are weighted")
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
        """Iterations after which points or weights change."""
        return math.gcd(self.resample_steps, self.balance.interval)

    @property
    def defined(self) -> Problem:
        """The problem."""
        return self.equation.define() if self.problem is None else self.problem

    def check(self) -> None:
        """Raise a `UsageError` for settings that do not fit each other."""
        super().check()
        problem = self.defined
        check_compatible(problem)
        if isinstance(self.balance, SelfAdaptive) and self.resample_steps:
            raise UsageError("self-adaptive weights belong to points: resample_steps must be 0")
        if self.in_time.needs_time and not problem.domain.time:
            raise UsageError("weights along time need a problem with time")
        if self.in_time.changes_the_loss and self.solver.remembers_gradients:
            raise UsageError(
                f"causal weights change the loss in every step, and {self.solver.kind} remembers gradients "
                "of earlier ones; take levenberg-marquardt, or none"
            )
        if self.randomized_data and not any(t.noise is not None for t in problem.terms if t.region == "data"):
            raise UsageError("randomized_data needs data of known noise: Data(..., noise=...)")
        if problem.has_data and problem.unknowns:
            count = sum(len(t.points) for t in problem.terms if t.points is not None)
            if count < len(problem.unknowns):
                raise UsageError(
                    f"{count} measured values cannot determine {len(problem.unknowns)} unknown coefficients"
                )
