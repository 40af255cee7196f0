"""Cleaning robots against an independent simulation of one board."""

import jax
import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.rl.multi_agent import registry
from populace.rl.multi_agent.environments.cleaning_robots import CleaningRobots

AHEAD = ((0, -1), (1, 0), (0, 1), (-1, 0))


class Board:
    """The rules once more, in plain Python, one robot after the other or all at once."""

    def __init__(self, size, cells, horizon, walls_end, collisions_end):
        self.size, self.cells, self.horizon = size, [tuple(map(int, c)) for c in cells], horizon
        self.dirty = {(r, c) for r in range(size) for c in range(size)} - set(self.cells)
        self.walls_end, self.collisions_end = walls_end, collisions_end
        self.time, self.over, self.cleaner = 0, False, {}

    @property
    def ended(self):
        return self.over or not self.dirty

    def inside(self, cell):
        return all(0 <= x < self.size for x in cell)

    def land(self, robot, cell):
        self.cells[robot] = cell
        if cell in self.dirty:
            self.dirty.remove(cell)
            self.cleaner[cell] = robot
            return 0.1
        return -0.1

    def move(self, robot, action):
        target = tuple(np.add(self.cells[robot], AHEAD[action]))
        if not self.inside(target):
            self.over |= self.walls_end
            return -1.0
        if target in (c for i, c in enumerate(self.cells) if i != robot):
            self.over |= self.collisions_end
            return -0.5
        return self.land(robot, target)

    def simultaneous(self, actions):
        n, targets = len(self.cells), [tuple(np.add(c, AHEAD[a])) for c, a in zip(self.cells, actions)]
        wall = [not self.inside(t) for t in targets]
        met = {
            i for i in range(n) for j in range(n)
            if i != j and targets[i] == self.cells[j] and targets[j] == self.cells[i]
        }  # fmt: skip
        while True:
            goals = [self.cells[i] if wall[i] or i in met else targets[i] for i in range(n)]
            more = {i for i in range(n) if not wall[i] and goals.count(goals[i]) > 1} - met
            if not more:
                break
            met |= more
        paid, landed = [], []
        for i in range(n):
            if wall[i] or i in met:
                paid.append(-1.0 if wall[i] else -0.5)
            else:
                paid.append(0.1 if targets[i] in self.dirty else -0.1)
                landed.append((i, targets[i]))
        for i, cell in landed:
            self.land(i, cell)
        self.over |= (any(wall) and self.walls_end) or (bool(met) and self.collisions_end)
        return paid

    def step(self, moves, actions):
        n, movers = len(self.cells), range(len(self.cells))
        if moves == "turns":
            robot = self.time % n
            movers, paid = [robot], [0.0] * n
            paid[robot] = self.move(robot, actions[robot])
        elif moves == "sequential":
            paid = [0.0] * n
            for i in range(n):
                if not self.ended:
                    paid[i] = self.move(i, actions[i])
        else:
            paid = self.simultaneous(actions)
        self.time += 1
        late = self.time >= self.horizon and not self.ended
        for i in movers:
            paid[i] += ((not self.dirty) - late) / len(movers)
        return paid, late

    def window(self, robot, radius):
        row, column = self.cells[robot]
        seen = []
        for r in range(row - radius, row + radius + 1):
            for c in range(column - radius, column + radius + 1):
                if (r, c) in self.cells:
                    seen.append(self.cells.index((r, c)) + 1)
                else:
                    seen.append(-2 if (r, c) in self.dirty else -1)
        return seen


OPTIONS = [
    (2, "sequential", False, False),
    (4, "sequential", True, True), (4, "sequential", False, False), (4, "simultaneous", True, True),
    (4, "simultaneous", False, False), (4, "turns", False, True),
]  # fmt: skip


@pytest.mark.parametrize(("size", "moves", "walls", "collisions"), OPTIONS)
def test_boards_follow_the_rules(size, moves, walls, collisions):
    name = (
        f"CleaningRobots-v0(size={size}, robots=3, radius=1, moves='{moves}', walls_end={walls}, "
        f"collisions_end={collisions}, random_starts=True, horizon=30)"
    )
    task, copies, steps = registry.make(name), 8, 100
    actions = np.random.default_rng(0).integers(0, 4, (steps, copies, 3)).astype(np.int32)

    def play(key):
        view, state = task.reset(key, copies)

        def one(carry, now):
            _, state = carry
            action, key = now
            step = task.step(key, state, action)
            return (step.view, step.env_state), (step, state)

        _, found = jax.lax.scan(one, (view, state), (actions, jax.random.split(key, steps)))
        return found

    found, states = jax.device_get(jax.jit(play)(jax.random.key(1)))
    ends = {"won": 0, "late": 0, "over": 0}
    for copy in range(copies):
        board = None
        for t in range(steps):
            if board is None:
                board = Board(size, states.cell[t, copy], task.horizon, walls, collisions)
            paid, late = board.step(moves, actions[t, copy])
            np.testing.assert_allclose(found.reward[t, copy], paid, atol=1e-6)
            assert found.truncated[t, copy] == late
            assert found.terminated[t, copy] == board.ended
            seen = [board.window(i, 1) for i in range(3)]
            np.testing.assert_array_equal(found.last.observation[t, copy], seen)
            if late or board.ended:
                ends["late" if late else "over" if board.over else "won"] += 1
                board = None
    assert ends["won" if size == 2 else "over" if collisions else "late"], ends


def test_planes_say_what_the_window_does_not():
    world = CleaningRobots(size=3, robots=2, radius=1, view="planes", mask_walls=True)
    view = world.view(world.reset(jax.random.key(0)))
    outside, dirty, others = np.asarray(view.observation[0]).reshape(3, 3, 3)
    np.testing.assert_array_equal(outside, [[1, 1, 1], [1, 0, 0], [1, 0, 0]])
    np.testing.assert_array_equal(dirty, [[0, 0, 0], [0, 0, 1], [0, 1, 1]])
    assert not others.any()  # the other one is in the far corner
    np.testing.assert_array_equal(view.available, [[0, 1, 1, 0], [1, 0, 0, 1]])


def test_robots_start_in_different_cells():
    world = CleaningRobots(size=2, robots=4, random_starts=True)
    cells = jax.jit(jax.vmap(lambda k: world.reset(k).cell))(jax.random.split(jax.random.key(0), 20))
    assert all(len({tuple(c) for c in cell}) == 4 for cell in np.asarray(cells).tolist())
    assert len({str(cell) for cell in np.asarray(cells).tolist()}) > 5


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("size=2, robots=5", "5 robots do not fit on 2 x 2 = 4 cells"),
        ("radius=-1", "radius must be a whole number of at least 0"),
        ("robots=1", "robots must be a whole number of at least 2"),
        ("moves='jumps'", "unknown moves 'jumps'"),
        ("raduis=1", "did you mean 'radius'"),
    ],
)
def test_impossible_boards_are_refused_in_a_line(arguments, said):
    with pytest.raises(UsageError, match=said) as error:
        registry.make(f"CleaningRobots-v0({arguments})")
    assert "\n" not in str(error.value)
