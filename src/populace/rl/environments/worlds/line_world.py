"""Line world: ten cells in a row, a goal at one end and an edge at the other."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from gymnax.environments import environment

from populace.core.errors import UsageError
from populace.rl.environments.worlds import checks
from populace.rl.environments.worlds.world import IndexedWorld

CELLS = 10
MOVES = 20


@struct.dataclass
class State(environment.EnvState):
    """The walker's cell, whether it fell off the edge, and the number of its moves, `time`."""

    cell: jax.Array
    fallen: jax.Array
    time: Any


@struct.dataclass
class Params(environment.EnvParams):
    """The time limit; the task itself ends after 20 moves, so only a lower limit has an effect."""

    max_steps_in_episode: int = MOVES


class LineWorld(IndexedWorld):
    """Ten cells; action 0 moves left, 1 right; the goal is the last cell.

    Reward of a move, the first line that applies:

        +1     onto the goal; terminates
        -1     off the left edge; terminates
        -1     the 20th move; terminates
        +0.1   to the right
        -0.1   to the left

    The best return from cell c is `1 + 0.1 (8 - c)`. With a discount below 1, right is the only optimal
    action in every cell; without discount, a detour of one move left and one right costs nothing as long as
    moves remain. The number of moves is not part of the observation. A walker that fell is observed in
    cell 0.
    """

    actions = ("left", "right")

    def __init__(self, start: int | str = 0, observation: str = "one-hot") -> None:
        """Create the world.

        Args:
            start: the first cell, 0 to 8, or `"random"`: uniform over these.
            observation: `"one-hot"` (10 numbers) or `"index"` (the cell).

        Raises:
            UsageError: a start off the line or on the goal, or an unknown observation.

        """
        super().__init__(observation)
        if start != "random" and checks.whole(self.name, 'start (or "random")', start, 0) > CELLS - 2:
            raise UsageError(
                f'{self.name}: start must be a cell from 0 to {CELLS - 2} or "random", got {start}'
            )
        self.start = start

    @property
    def default_params(self) -> Params:
        """The default parameters."""
        return Params()

    @property
    def num_states(self) -> int:
        """Number of cells."""
        return CELLS

    def state_index(self, state: State) -> jax.Array:
        """Return the cell."""
        return state.cell

    def reset_env(self, key: jax.Array, params: Any) -> tuple[jax.Array, State]:
        """Place the walker."""
        cell = jax.random.randint(key, (), 0, CELLS - 1) if self.start == "random" else jnp.int32(self.start)
        state = State(cell=cell, fallen=jnp.bool(False), time=jnp.int32(0))
        return self.get_obs(state), state

    def step_env(
        self, key: jax.Array, state: State, action: Any, params: Any
    ) -> tuple[jax.Array, State, jax.Array, jax.Array, dict[str, Any]]:
        """Move the walker."""
        right = action == 1
        cell = state.cell + jnp.where(right, 1, -1)
        state = State(cell=jnp.maximum(cell, 0), fallen=cell < 0, time=state.time + 1)
        arrived, done = state.cell == CELLS - 1, self.is_terminated(state, params)
        reward = jnp.where(right, 0.1, -0.1)
        reward = jnp.where(arrived, 1.0, jnp.where(done, -1.0, reward))
        return self.get_obs(state), state, reward, done, {}

    def is_terminated(self, state: State, params: Any) -> jax.Array:
        """Return whether the walker arrived, fell, or made all its moves."""
        return (state.cell == CELLS - 1) | state.fallen | (state.time >= MOVES)
