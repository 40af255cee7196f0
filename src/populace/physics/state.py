"""What a member of a physics-informed population is while it trains, and what is kept of it."""

from typing import Any

import equinox as eqx
import jax

from populace.physics.objective import Model
from populace.physics.optimisers.solver import Progress
from populace.physics.problem.term import Points


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
        balance: what the weighting of terms remembers.
        in_time: what the weighting of times remembers.
        count: steps taken.

    """

    model: Model
    opt_state: Any
    memory: Any
    progress: Progress
    points: dict[str, Points]
    balance: Any
    in_time: Any
    count: jax.Array
