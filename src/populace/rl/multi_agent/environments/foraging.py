"""Level-based foraging: agents of different levels load food that may take several of them.

Christianos et al. 2020, "Shared Experience Actor-Critic for Multi-Agent Reinforcement Learning"; Papoudakis
et al. 2021, "Benchmarking Multi-Agent Deep Reinforcement Learning Algorithms in Cooperative Tasks". Steps
equal those of the package lbforaging.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from populace.core.errors import UsageError
from populace.core.mean import Mean
from populace.rl.environments.worlds import checks
from populace.rl.multi_agent.environments import peers
from populace.rl.multi_agent.environments.world import MultiAgentWorld, WorldState
from populace.rl.multi_agent.task import View

ACTIONS = ("nothing", "north", "south", "west", "east", "load")
_AHEAD = np.asarray([(0, 0), (-1, 0), (1, 0), (0, -1), (0, 1), (0, 0)], np.int32)  # change of (row, column)
LOAD = 5


class State(WorldState):
    """Agents and food on the board.

    Attributes:
        time: number of steps.
        cell: (row, column) of each agent, (N, 2).
        level: of each agent, (N,).
        food: (row, column) of each food, (F, 2), row by row.
        food_level: (F,); 0 for what is not there, or was eaten.
        spawned: sum of the levels of all food at the start.

    """

    cell: jax.Array
    level: jax.Array
    food: jax.Array
    food_level: jax.Array
    spawned: jax.Array


class Foraging(MultiAgentWorld):
    """Agents of level 1 to `max_level` walk on a board and load food; those who load one need its level.

    Food of level l loaded by agents of levels k_1, ... pays agent i `k_i l / (sum_j k_j S)`, where S is the
    level of all food at the start: the team's return is 1 if all is eaten. With `coop` each food takes all
    agents (up to three); otherwise its level is drawn from 1 to that. Agents that want to enter one cell, or
    one that stays taken, do not move. The game ends when all food is eaten, and is truncated after
    `horizon` steps; lbforaging calls both the end of the game.

    An agent sees row, column and level of the food and agents up to `sight` away, itself first, in its own
    window: -1, -1, 0 for what it does not see. Moves against a wall or food, and loading where there is
    none, are unavailable.
    """

    masked = True
    fps = 4

    def __init__(
        self, size: int = 8, players: int = 2, foods: int = 2, coop: bool = True, sight: int | None = None,
        max_level: int = 2, horizon: int = 50,
    ) -> None:  # fmt: skip
        """Create the world.

        Args:
            size: cells along a side of the board, at least 5.
            players: number of agents, at least 2.
            foods: number of foods.
            coop: whether each food takes all agents.
            sight: how far an agent sees, in cells; everything if None.
            max_level: highest level of an agent.
            horizon: steps after which an episode is truncated.

        Raises:
            UsageError: a value out of its range, or more agents and food than cells.

        """
        self.size = checks.whole(self.name, "size", size, 5)
        self.players = checks.whole(self.name, "players", players, 2)
        self.foods = checks.whole(self.name, "foods", foods, 1)
        self.sight = checks.whole(self.name, "sight", self.size if sight is None else sight, 1)
        self.max_level = checks.whole(self.name, "max_level", max_level, 1)
        self.horizon = checks.whole(self.name, "horizon", horizon, 1)
        self.coop = checks.flag(self.name, "coop", coop)
        if self.players + 9 * self.foods > self.size**2:
            raise UsageError(
                f"{self.name}: {self.players} agents and {self.foods} foods, which lie apart, "
                f"do not fit on {self.size} x {self.size} cells; take fewer of them or a larger size"
            )
        self.agents = tuple(f"player_{i}" for i in range(self.players))
        self.actions = (ACTIONS,) * self.players

    @property
    def bounds(self) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
        """From (-1, -1, 0) to the last cell and the highest level."""
        last = self.size - 1
        most = self.max_level * min(self.players, 3)
        low = [-1, -1, 0] * (self.foods + self.players)
        high = [last, last, most] * self.foods + [last, last, self.max_level] * self.players
        return ((np.asarray(low, np.float32), np.asarray(high, np.float32)),) * self.players

    def reset(self, key: jax.Array) -> State:
        """Draw agents, their levels, and food that touches neither other food nor the edge."""
        # Every step of a compiled program draws a start, used or not; so nothing here sorts, which is slow
        cell_key, level_key, food_key, food_level_key = jax.random.split(key, 4)
        size, n = self.size, self.players
        place = _distinct(cell_key, n, size**2)
        cell = jnp.stack([place // size, place % size], -1)
        level = jax.random.randint(level_key, (n,), 1, self.max_level + 1)
        row, column = np.mgrid[1 : size - 1, 1 : size - 1]
        free = ~jnp.any((row == cell[:, 0, None, None]) & (column == cell[:, 1, None, None]), 0)
        draws, places = jax.random.uniform(food_key, (self.foods,)), []
        for i in range(self.foods):
            r, c, there = _picked(draws[i], free)
            places.append(jnp.where(there, (r + 1) * size + c + 1, size**2))
            down, right = jnp.abs(row - r - 1), jnp.abs(column - c - 1)
            near = (
                (jnp.maximum(down, right) <= 1) | ((down == 0) & (right <= 2)) | ((right == 0) & (down <= 2))
            )
            free = free & ~near
        drawn = jnp.stack(places)
        spot = jnp.sum(jnp.where(_rank(drawn) == np.arange(self.foods)[:, None], drawn, 0), 1)
        there = spot < size**2
        most = jnp.sum(jnp.where(_rank(level) < 3, level, 0))
        if self.coop:
            food_level = jnp.broadcast_to(most, (self.foods,))
        else:
            food_level = jax.random.randint(food_level_key, (self.foods,), 1, most + 1)
        food_level = jnp.where(there, food_level, 0).astype(jnp.int32)
        food = jnp.where(there[:, None], jnp.stack([spot // size, spot % size], -1), -1).astype(jnp.int32)
        return State(jnp.int32(0), cell, level.astype(jnp.int32), food, food_level, food_level.sum())

    def step(self, key: jax.Array, state: State, action: jax.Array) -> Any:
        """Move, then load."""
        del key
        chosen = jax.nn.one_hot(action, len(ACTIONS), dtype=jnp.int32)
        valid = jnp.sum(chosen * self._valid(state), -1)
        chosen = chosen * valid[:, None]  # what is not valid is nothing
        target = state.cell + chosen @ _AHEAD
        same = jnp.all(target[:, None] == target[None], -1)
        cell = jnp.where((same.sum(1) > 1)[:, None], state.cell, target)
        loading = chosen[:, LOAD]
        beside = jnp.abs(cell[:, None] - state.food[None]).sum(-1) == 1  # agents x foods
        helps = (beside & (state.food_level > 0)).astype(jnp.int32) * loading[:, None]
        force = state.level @ helps
        eaten = (force >= state.food_level) & (state.food_level > 0)
        share = (
            helps * state.level[:, None] * state.food_level * eaten / jnp.maximum(force * state.spawned, 1)
        )
        after = State(
            time=state.time + 1, cell=cell, level=state.level, food=state.food,
            food_level=jnp.where(eaten, 0, state.food_level), spawned=state.spawned,
        )  # fmt: skip
        loaded = (helps * eaten).sum(1).astype(jnp.float32)
        return after, share.sum(1), {"loads": loaded}

    def terminated(self, state: State) -> jax.Array:
        """Return whether all food is eaten."""
        return ~jnp.any(state.food_level > 0)

    def view(self, state: State) -> View:
        """Return what the agents see; the global state is all of it."""
        n, sight = self.players, self.sight
        corner = jnp.maximum(state.cell - sight, 0)  # of each agent's window
        food = jnp.broadcast_to(state.food, (n, self.foods, 2))
        near = jnp.all(jnp.abs(food - state.cell[:, None]) <= sight, -1) & (state.food_level > 0)
        foods = _packed(food - corner[:, None], jnp.broadcast_to(state.food_level, near.shape), near)
        everyone = jnp.broadcast_to(state.cell, (n, n, 2))
        place = everyone - corner[:, None]
        seen = jnp.all((place >= 0) & (place <= 2 * sight), -1)
        order = np.asarray([[i, *(j for j in range(n) if j != i)] for i in range(n)])
        rows = np.arange(n)[:, None]
        level = jnp.broadcast_to(state.level, (n, n))
        agents = _packed(place[rows, order], level[rows, order], seen[rows, order])
        observation = jnp.concatenate([foods, agents], -1).astype(jnp.float32)
        alive = jnp.ones(n, jnp.bool)
        return View(observation, self._valid(state) > 0, alive, alive, observation.reshape(-1))

    def outcomes(self, state: State, events: dict[str, jax.Array], length: jax.Array) -> dict[str, Mean]:
        """Return the share of episodes in which all was eaten, and of the food's level that was."""
        left = state.food_level.sum(1)
        return {
            "all_eaten": Mean((left == 0).sum(), len(left)),
            "eaten": Mean((state.spawned - left).sum(), state.spawned.sum()),
        }

    def peer(self) -> "peers.Peer | None":
        """Return lbforaging's environment, where it is installed."""
        return peers.foraging(self, State)

    def _valid(self, state: State) -> jax.Array:
        """Return which actions would do something, (N, A), as 1 and 0."""
        target = state.cell[:, None] + _AHEAD
        inside = jnp.all((target >= 0) & (target < self.size), -1)
        there = state.food_level > 0
        into = jnp.any(jnp.all(target[:, :, None] == state.food, -1) & there, -1)
        beside = jnp.any((jnp.abs(state.cell[:, None] - state.food).sum(-1) == 1) & there, -1)
        moves = (inside & ~into).at[:, LOAD].set(beside).at[:, 0].set(True)
        return moves.astype(jnp.int32)


def _distinct(key: jax.Array, count: int, choices: int) -> jax.Array:
    """Return `count` different numbers below `choices`, drawn uniformly, (count,)."""
    drawn = jax.random.randint(key, (count,), 0, choices - np.arange(count))
    found, taken = [], []  # the latter in ascending order
    for i in range(count):
        number = drawn[i]
        for other in taken:
            number = number + (number >= other)
        found.append(number)
        rest = number
        for j, other in enumerate(taken):
            taken[j], rest = jnp.minimum(other, rest), jnp.maximum(other, rest)
        taken.append(rest)
    return jnp.stack(found).astype(jnp.int32)


def _picked(draw: jax.Array, free: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Return row and column of one of the free cells (R, C), all alike, and whether there is one.

    A number from 0 to 1 chooses: counted row by row, it is the cell of that share of them.
    """
    cells = free.astype(jnp.float32)
    rows, columns = (np.tri(n, dtype=np.float32) for n in free.shape)
    through = rows @ cells.sum(1)  # free cells in this row and those before
    nth = jnp.minimum(jnp.floor(draw * through[-1]), through[-1] - 1)
    row = jnp.sum(through <= nth)
    before = jnp.max(jnp.where(through <= nth, through, 0.0))
    line = jnp.sum(jnp.where(np.arange(len(rows))[:, None] == row, cells, 0.0), 0)
    return row, jnp.sum(columns @ line <= nth - before), through[-1] > 0


def _rank(values: jax.Array) -> jax.Array:
    """Return the place of each value (K,) in ascending order; of equal ones the first comes first."""
    before = np.arange(len(values)) < np.arange(len(values))[:, None]
    smaller = values < values[:, None]
    return jnp.sum(smaller | ((values == values[:, None]) & before), 1)


def _packed(place: jax.Array, level: jax.Array, seen: jax.Array) -> jax.Array:
    """Return (row, column, level) of what is seen (N, K), first to last, then -1, -1, 0: (N, 3 K)."""
    k = seen.shape[1]
    slot = jnp.cumsum(seen, 1) - 1
    into = (slot[:, :, None] == jnp.arange(k)) & seen[:, :, None]  # what goes into which slot
    rows = jnp.concatenate([place, level[..., None]], -1)
    filled = jnp.einsum("nks,nkc->nsc", into.astype(jnp.int32), rows)
    nothing = jnp.asarray([-1, -1, 0])
    return jnp.where(into.any(1)[..., None], filled, nothing).reshape(len(seen), -1)
