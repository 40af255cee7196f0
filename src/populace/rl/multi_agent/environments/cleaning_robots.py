"""Cleaning robots: several robots clean the cells of a board, and must neither collide nor hit a wall."""

import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from populace.core.errors import UsageError
from populace.core.mean import Mean
from populace.rl.environments.worlds import checks
from populace.rl.multi_agent.environments.world import MultiAgentWorld, WorldState
from populace.rl.multi_agent.roles import measures
from populace.rl.multi_agent.task import View

MOVES = ("left", "down", "right", "up")
_AHEAD = np.asarray([(0, -1), (1, 0), (0, 1), (-1, 0)], np.int32)  # change of (row, column); row 0 is the top
OUTSIDE, CLEAN, DIRTY = -1.0, -1.0, -2.0
CLEANED, REVISITED, COLLISION, LOST, WON = 0.1, -0.1, -0.5, -1.0, 1.0


class State(WorldState):
    """The board.

    Attributes:
        time: number of steps.
        cell: (row, column) of each robot, (N, 2).
        dirty: cells that are dirty, (size, size).
        cleaner: which robot cleaned each cell, (size, size); -1 for none.
        over: whether a collision or a wall ended the game, ().

    """

    cell: jax.Array
    dirty: jax.Array
    cleaner: jax.Array
    over: jax.Array


class CleaningRobots(MultiAgentWorld):
    """Robots on a board of size x size cells move left, down, right or up; all cells but theirs are dirty.

    Reward of a robot's move, the first line that applies:

        -1     into a wall; the robot stays, and the game ends
        -0.5   into a cell where another robot is; the robot stays, and the game ends
        +0.1   onto a dirty cell, which is clean then
        -0.1   onto a clean cell

    When all is clean the robots that moved in this step share +1, and the game ends; when the time is up they
    share -1, and the episode is truncated. With walls or collisions that do not end the game the rewards are
    the same.

    A robot sees the cells up to `radius` away, row by row, as one of

        window   outside -1, clean -1, dirty -2, a robot its number from 1: (2 radius + 1)^2 numbers
        planes   for each of these cells whether it is outside, dirty, taken by another robot: 3 times as many

    Moves are made in `turns`: one robot a step, which sees what those before it did; `sequential`: all robots
    choose at once, and move one after the other, each judged against those that have already moved; or
    `simultaneous`: all at once, where robots that meet in a cell, or change places, collide.
    """

    def __init__(
        self,
        size: int = 5,
        robots: int = 2,
        radius: int = 2,
        moves: str = "sequential",
        walls_end: bool = True,
        collisions_end: bool = True,
        random_starts: bool = False,
        view: str = "window",
        mask_walls: bool = False,
        horizon: int = 100,
    ) -> None:
        """Create the world.

        Args:
            size: cells along a side of the board.
            robots: number of robots, at least 2.
            radius: how far a robot sees, in cells.
            moves: `"sequential"`, `"simultaneous"` or `"turns"`.
            walls_end: whether hitting a wall ends the game.
            collisions_end: whether a collision ends the game.
            random_starts: start in different random cells; otherwise in the corners first, then row by row.
            view: `"window"` or `"planes"`.
            mask_walls: whether moves into a wall are unavailable.
            horizon: moves of each robot after which an episode is truncated.

        Raises:
            UsageError: more robots than cells, a negative radius, or another value out of its range.

        """
        self.size = checks.whole(self.name, "size", size, 1)
        self.robots = checks.whole(self.name, "robots", robots, 2)
        self.radius = checks.whole(self.name, "radius", radius, 0)
        if self.robots > self.size**2:
            raise UsageError(
                f"{self.name}: {self.robots} robots do not fit on {self.size} x {self.size} = {self.size**2} "
                "cells; take fewer robots or a larger size"
            )
        self.moves = checks.choice(self.name, "moves", moves, ("sequential", "simultaneous", "turns"))
        self.view_kind = checks.choice(self.name, "view", view, ("window", "planes"))
        self.walls_end = checks.flag(self.name, "walls_end", walls_end)
        self.collisions_end = checks.flag(self.name, "collisions_end", collisions_end)
        self.random_starts = checks.flag(self.name, "random_starts", random_starts)
        self.mask_walls = checks.flag(self.name, "mask_walls", mask_walls)
        rounds = checks.whole(self.name, "horizon", horizon, 1)
        self.horizon = rounds * self.robots if self.moves == "turns" else rounds
        self.agents = tuple(f"robot_{i}" for i in range(self.robots))
        self.actions = (MOVES,) * self.robots
        self.masked = self.mask_walls

    @property
    def bounds(self) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
        """From -2 to the number of robots, or 0 to 1."""
        cells = (2 * self.radius + 1) ** 2
        low, high, width = (DIRTY, float(self.robots), cells)
        if self.view_kind == "planes":
            low, high, width = 0.0, 1.0, 3 * cells
        one = np.full(width, low, np.float32), np.full(width, high, np.float32)
        return (one,) * self.robots

    def reset(self, key: jax.Array) -> State:
        """Place the robots; their cells are clean, all others dirty."""
        size = self.size
        if self.random_starts:
            drawn = jax.random.permutation(key, size**2)[: self.robots]
            cell = jnp.stack([drawn // size, drawn % size], -1).astype(jnp.int32)
        else:
            cell = jnp.asarray(self._corners_first()[: self.robots], jnp.int32)
        dirty = ~jnp.any(self._places(cell), 0)
        nobody = jnp.full((size, size), -1, jnp.int32)
        return State(jnp.int32(0), cell, dirty, nobody, jnp.bool(False))

    def step(self, key: jax.Array, state: State, action: jax.Array) -> tuple[State, jax.Array, Any]:
        """Move the robots."""
        del key
        before = state
        if self.moves == "simultaneous":
            state, paid, events = self._at_once(state, action)
            moved = jnp.ones(self.robots)
        elif self.moves == "turns":
            turn = jax.nn.one_hot(state.time % self.robots, self.robots, dtype=jnp.int32)
            state, paid, events = self._move(state, turn, action @ turn, state.time % self.robots)
            moved = turn.astype(jnp.float32)
        else:
            paid, moved = jnp.zeros(self.robots), jnp.ones(self.robots)
            events = {name: jnp.zeros(self.robots) for name in measures.EVENTS}
            for robot in range(self.robots):
                who = jax.nn.one_hot(robot, self.robots, dtype=jnp.int32)
                after, more, found = self._move(state, who, action[robot], jnp.int32(robot))
                going = ~(state.over | ~state.dirty.any())  # nobody moves after the end of the game
                state = jax.tree.map(lambda new, old, go=going: jnp.where(go, new, old), after, state)
                paid = paid + jnp.where(going, more, 0.0)
                events = {name: events[name] + jnp.where(going, found[name], 0.0) for name in events}
        state = State(before.time + 1, state.cell, state.dirty, state.cleaner, state.over)
        won = ~state.dirty.any()
        late = (state.time >= self.horizon) & ~won & ~state.over
        paid = paid + (jnp.where(won, WON, 0.0) + jnp.where(late, LOST, 0.0)) * moved / moved.sum()
        return state, paid, events

    def terminated(self, state: State) -> jax.Array:
        """Return whether all is clean, or a wall or a collision ended the game."""
        return state.over | ~state.dirty.any()

    def view(self, state: State) -> View:
        """Return the windows of all robots; the global state is dirt, places and whose turn it is."""
        n, radius = self.robots, self.radius
        places = self._places(state.cell)
        if self.view_kind == "planes":
            planes = [jnp.zeros((self.size, self.size)), state.dirty * 1.0]
            boards = jnp.stack([jnp.stack([*planes, places.any(0) & ~own]) for own in places], 0)
            outside = jnp.asarray([1.0, 0.0, 0.0])
        else:
            board = jnp.where(state.dirty, DIRTY, CLEAN)
            number = jnp.arange(1, n + 1)[:, None, None]
            board = jnp.where(places.any(0), (places * number).sum(0), board)
            boards = jnp.broadcast_to(board, (n, 1, self.size, self.size))
            outside = jnp.asarray([OUTSIDE])
        kinds, wide = len(outside), self.size + 2 * radius
        framed = jnp.broadcast_to(outside[:, None, None], (n, kinds, wide, wide))
        framed = framed.at[:, :, radius : radius + self.size, radius : radius + self.size].set(boards)
        side = 2 * radius + 1
        seen = [
            jax.lax.dynamic_slice(framed[i], (0, *state.cell[i]), (kinds, side, side)).reshape(-1)
            for i in range(n)
        ]
        target = state.cell[:, None] + _AHEAD
        inside = jnp.all((target >= 0) & (target < self.size), -1)
        turn = jax.nn.one_hot(state.time % n, n)
        alive = jnp.ones(n, jnp.bool)
        whole = [state.dirty.reshape(-1), places.reshape(-1)]
        return View(
            observation=jnp.stack(seen),
            available=inside if self.mask_walls else jnp.ones((n, len(MOVES)), jnp.bool),
            alive=alive,
            acting=turn > 0 if self.moves == "turns" else alive,
            state=jnp.concatenate([*whole, turn] if self.moves == "turns" else whole).astype(jnp.float32),
        )  # fmt: skip

    def outcomes(self, state: State, events: dict[str, jax.Array], length: jax.Array) -> dict[str, Mean]:
        """Return who did what: `roles.measures.of_cleaning`."""
        moves = length if self.moves == "turns" else length * self.robots
        return measures.of_cleaning(state.dirty, state.cleaner, events, moves, self.robots)

    def _corners_first(self) -> list[tuple[int, int]]:
        last = self.size - 1
        corners = [(0, 0), (last, last), (0, last), (last, 0)]
        every = itertools.product(range(self.size), range(self.size))
        return list(dict.fromkeys([*corners, *every]))

    def _places(self, cell: jax.Array) -> jax.Array:
        """Return for each robot where it is, (N, size, size) booleans."""
        row, column = (jnp.arange(self.size) == cell[:, i, None] for i in (0, 1))
        return row[:, :, None] & column[:, None, :]

    def _move(
        self, state: State, who: jax.Array, action: jax.Array, robot: jax.Array
    ) -> tuple[State, jax.Array, Any]:
        """Move the one robot that `who` marks, (N,), against the others as they are now."""
        ahead = jax.nn.one_hot(action, len(MOVES), dtype=jnp.int32) @ _AHEAD
        target = who @ state.cell + ahead
        wall = jnp.any((target < 0) | (target >= self.size))
        met = jnp.any(jnp.all(state.cell == target, -1) & (who == 0))
        cell = jnp.where((who[:, None] > 0) & ~wall & ~met, target, state.cell)
        stopped = wall | met
        here = self._places(target[None])[0] & ~stopped
        cleaned = jnp.any(here & state.dirty)
        state = State(
            time=state.time, cell=cell, dirty=state.dirty & ~here,
            cleaner=jnp.where(here & state.dirty, robot, state.cleaner),
            over=state.over | (wall & self.walls_end) | (met & self.collisions_end),
        )  # fmt: skip
        paid, events = _judge(who > 0, wall, met, cleaned)
        return state, paid, events

    def _at_once(self, state: State, action: jax.Array) -> tuple[State, jax.Array, Any]:
        """Move all robots at the same time."""
        n = self.robots
        ahead = jax.nn.one_hot(action, len(MOVES), dtype=jnp.int32) @ _AHEAD
        target = state.cell + ahead
        wall = jnp.any((target < 0) | (target >= self.size), -1)
        others = ~np.eye(n, dtype=bool)
        into = jnp.all(target[:, None] == state.cell[None], -1) & others  # i moves to where j was
        met = jnp.any(into & into.T, -1)  # changed places
        for _ in range(n):  # a robot that stays may stop the one behind it
            goal = jnp.where((wall | met)[:, None], state.cell, target)
            same = jnp.all(goal[:, None] == goal[None], -1) & others
            met = met | (jnp.any(same, -1) & ~wall)
        stopped = wall | met
        cell = jnp.where(stopped[:, None], state.cell, target)
        here = self._places(cell) & ~stopped[:, None, None] & state.dirty
        cleaned = here.any((1, 2))
        cleaner = jnp.where(here.any(0), jnp.argmax(here, 0), state.cleaner)
        over = (wall.any() & self.walls_end) | (met.any() & self.collisions_end)
        paid, events = _judge(jnp.ones(n, jnp.bool), wall, met, cleaned)
        state = State(state.time, cell, state.dirty & ~here.any(0), cleaner.astype(jnp.int32), over)
        return state, paid, events


def _judge(who: jax.Array, wall: Any, met: Any, cleaned: Any) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Return the rewards and events (N,) of the robots that `who` marks."""
    met = met & ~wall
    kept = ~(wall | met)
    paid = jnp.where(wall, LOST, jnp.where(met, COLLISION, jnp.where(cleaned, CLEANED, REVISITED)))
    found = {"collisions": met, "walls": wall, "cleaned": cleaned & kept, "revisits": ~cleaned & kept}
    events = {name: jnp.where(who & x, 1.0, 0.0) for name, x in found.items()}
    return jnp.where(who, paid, 0.0), {name: events[name] for name in measures.EVENTS}
