"""Grid robot: a robot turns and drives on a grid, around obstacles, to a target."""

from collections import deque
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from gymnax.environments import environment

from populace.core.errors import UsageError
from populace.core.untrusted.shown import shown
from populace.rl.environments.worlds import checks
from populace.rl.environments.worlds.world import IndexedWorld

HEADINGS = ("north", "east", "south", "west")
# The change of (column, row) by a step forward, by heading; row 0 is at the top.
AHEAD = ((0, -1), (1, 0), (0, 1), (-1, 0))
Cell = tuple[int, int]


@struct.dataclass
class State(environment.EnvState):
    """The robot's column, row, heading (0 to 3: north, east, south, west), and number of moves, `time`."""

    column: jax.Array
    row: jax.Array
    heading: jax.Array
    time: Any


@struct.dataclass
class Params(environment.EnvParams):
    """The time limit."""

    max_steps_in_episode: int = 100


class GridRobot(IndexedWorld):
    """Actions: 0 turns left, 1 turns right, 2 drives one cell forward. Reaching the target terminates.

    Reward of a move, the first line that applies:

        +1     onto the target
        -0.5   forward into a wall or an obstacle; the robot does not move
        -0.1   anything else

    The index of a state is `4 (row * width + column) + heading`; there are `4 * width * height` states, of
    which those in an obstacle never occur. An episode is truncated after 100 moves, or `4 * width * height`
    if that is more.
    """

    actions = ("turn left", "turn right", "forward")

    def __init__(
        self,
        width: int = 3,
        height: int = 3,
        obstacles: Sequence[Cell] = (),
        source: Cell | str = (0, 0),
        target: Cell | None = None,
        heading: str = "east",
        observation: str = "one-hot",
    ) -> None:
        """Create the world; cells are `(column, row)`, counted from 0 at the top left.

        Args:
            width: number of columns.
            height: number of rows.
            obstacles: cells that the robot cannot enter.
            source: the first cell, or `"random"`: uniform over the cells from which the target can be
                reached, with a random heading.
            target: the cell to reach; the bottom right one if None.
            heading: first heading of the robot: `north`, `east`, `south` or `west`.
            observation: `"one-hot"` or `"index"` (the state).

        Raises:
            UsageError: a cell outside the grid or on an obstacle, a source that is the target, a target
                that cannot be reached, or an unknown heading or observation.

        """
        super().__init__(observation)
        self.width = checks.whole(self.name, "width", width, 1)
        self.height = checks.whole(self.name, "height", height, 1)
        if not isinstance(obstacles, list | tuple):
            raise UsageError(
                f"{self.name}: obstacles must be a list of cells (column, row), got {shown(obstacles)}"
            )
        self.obstacles = tuple(self._cell("an obstacle", cell) for cell in obstacles)
        self.target = self._cell("target", (self.width - 1, self.height - 1) if target is None else target)
        self.heading = HEADINGS.index(checks.choice(self.name, "heading", heading, HEADINGS))
        if self.target in self.obstacles:
            raise UsageError(f"{self.name}: the target {self.target} is an obstacle")
        reachable = self._reachable()
        if not reachable:
            raise UsageError(f"{self.name}: the target {self.target} cannot be reached from any cell")
        if source == "random":
            self.sources = reachable
        else:
            self.sources = (self._cell('source (or "random")', source),)
            self._check_source(self.sources[0], reachable)
        self.random_source = source == "random"

    def _cell(self, name: str, value: Any) -> Cell:
        return checks.cell(self.name, name, value, self.width, self.height)

    def _check_source(self, source: Cell, reachable: Sequence[Cell]) -> None:
        if source in self.obstacles:
            raise UsageError(f"{self.name}: the source {source} is an obstacle")
        if source == self.target:
            raise UsageError(f"{self.name}: source and target are the same cell, {source}")
        if source not in reachable:
            raise UsageError(
                f"{self.name}: the target {self.target} cannot be reached from the source {source}"
            )

    def _reachable(self) -> tuple[Cell, ...]:
        """Return the cells from which the target can be reached, without the target, row by row."""
        found, border = {self.target}, deque([self.target])
        while border:
            column, row = border.popleft()
            for right, down in AHEAD:
                cell = (column + right, row + down)
                inside = 0 <= cell[0] < self.width and 0 <= cell[1] < self.height
                if inside and cell not in self.obstacles and cell not in found:
                    found.add(cell)
                    border.append(cell)
        return tuple(sorted(found - {self.target}, key=lambda cell: (cell[1], cell[0])))

    @property
    def default_params(self) -> Params:
        """The default parameters."""
        return Params(max_steps_in_episode=max(100, self.num_states))

    @property
    def num_states(self) -> int:
        """Number of cells times headings."""
        return 4 * self.width * self.height

    def state_index(self, state: State) -> jax.Array:
        """Return `4 (row * width + column) + heading`."""
        return 4 * (state.row * self.width + state.column) + state.heading

    def reset_env(self, key: jax.Array, params: Any) -> tuple[jax.Array, State]:
        """Place the robot on its source."""
        (column, row), heading = self.sources[0], self.heading
        if self.random_source:
            index = jax.random.randint(key, (), 0, 4 * len(self.sources))
            # A product with a one-hot vector, because gathers are slow inside loops on CPU.
            chosen = jax.nn.one_hot(index // 4, len(self.sources), dtype=jnp.int32)
            column, row = chosen @ np.asarray(self.sources, np.int32)
            heading = index % 4
        state = State(
            column=jnp.int32(column), row=jnp.int32(row), heading=jnp.int32(heading), time=jnp.int32(0)
        )
        return self.get_obs(state), state

    def step_env(
        self, key: jax.Array, state: State, action: Any, params: Any
    ) -> tuple[jax.Array, State, jax.Array, jax.Array, dict[str, Any]]:
        """Turn or drive."""
        turn = jnp.where(action == 0, -1, jnp.where(action == 1, 1, 0))
        forward = action == 2
        right = jnp.where(state.heading == 1, 1, 0) - jnp.where(state.heading == 3, 1, 0)
        down = jnp.where(state.heading == 2, 1, 0) - jnp.where(state.heading == 0, 1, 0)
        column, row = state.column + right * forward, state.row + down * forward
        blocked = (column < 0) | (column >= self.width) | (row < 0) | (row >= self.height)
        for x, y in self.obstacles:
            blocked |= (column == x) & (row == y)
        state = State(
            column=jnp.where(blocked, state.column, column),
            row=jnp.where(blocked, state.row, row),
            heading=(state.heading + turn) % 4,
            time=state.time + 1,
        )
        arrived = self.is_terminated(state, params)
        reward = jnp.where(arrived, 1.0, jnp.where(blocked, -0.5, -0.1))
        return self.get_obs(state), state, reward, arrived, {}

    def is_terminated(self, state: State, params: Any) -> jax.Array:
        """Return whether the robot is on the target."""
        return (state.column == self.target[0]) & (state.row == self.target[1])
