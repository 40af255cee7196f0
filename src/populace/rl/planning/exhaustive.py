"""Trying: the table of outcomes of a deterministic environment, found by taking every action everywhere."""

from typing import Any

import jax
import numpy as np

from populace.core.errors import UsageError
from populace.rl.planning.transition_table import Outcomes
from populace.rl.task import Task

_DRAWS = 32  # random keys that a transition must agree on to count as deterministic
_STARTS = 512  # resets that are tried for first states
_TOGETHER = 64  # states stepped at once
_HIDDEN = 8  # worlds per observation beyond which the observation is held to hide something


def tried(task: Task) -> Outcomes:
    """Return the table of a task inside the program, by a search from the states it may begin in.

    The search runs over the worlds behind the observations, told apart by all that they hold but the
    clock. Each step is taken with many random keys.

    Raises:
        UsageError: chance decides what follows, or two worlds that look alike go on differently.

    """
    shape = (task.states, task.actions, 1)
    state, reward, ends = np.zeros(shape, np.int64), np.zeros(shape), np.ones(shape, bool)
    alive = np.zeros(task.states, bool)
    first, worlds = _starts(task)
    step, structure = _stepper(task), jax.tree.structure(worlds)
    met: set[bytes] = set()
    queue: list[tuple[int, list[np.ndarray]]] = []

    def add(number: int, leaves: list[np.ndarray]) -> None:
        mark = _mark(leaves, structure)
        if mark not in met:
            met.add(mark)
            queue.append((number, leaves))

    waiting = _leaves(worlds)
    for i, number in enumerate(first):
        add(int(number), [leaf[i] for leaf in waiting])
    while queue:
        if len(met) > _HIDDEN * task.states:
            raise _hidden(task, queue[0][0])
        batch, queue[:] = queue[:_TOGETHER], queue[_TOGETHER:]
        filled = batch + batch[-1:] * (_TOGETHER - len(batch))  # one shape: compiled once
        stacked = [np.stack(leaves) for leaves in zip(*(leaves for _, leaves in filled))]
        after, world, gained, done = step(jax.tree.unflatten(structure, stacked))
        after, gained, done = np.asarray(after), np.asarray(gained, float), np.asarray(done, bool)
        leaves = _leaves(world)
        for i, (number, _) in enumerate(batch):
            if any((what[i] != what[i][:, :1]).any() for what in (after, gained, done, *leaves)):
                raise UsageError(
                    f"environment '{task.name}' cannot be enumerated: chance decides what follows state "
                    f"{number}, and its probabilities are not known; give the environment a table `P`"
                )
            row = after[i, :, 0], gained[i, :, 0], done[i, :, 0]
            old = state[number, :, 0], reward[number, :, 0], ends[number, :, 0]
            if alive[number] and not all(np.array_equal(a, b) for a, b in zip(row, old)):
                raise _hidden(task, number)
            alive[number] = True
            state[number, :, 0], reward[number, :, 0], ends[number, :, 0] = row
            for a in range(task.actions):
                if not done[i, a, 0]:
                    add(int(after[i, a, 0]), [leaf[i, a, 0] for leaf in leaves])
    start = np.eye(task.states)[first[0]] if (first == first[0]).all() else None
    return Outcomes(np.ones(shape), state, reward, ends, alive, start)


def _starts(task: Task) -> tuple[np.ndarray, Any]:
    """Return the observations and the worlds of many resets."""
    keys = jax.random.split(jax.random.key(1), _STARTS)
    seen, worlds = jax.jit(jax.vmap(task.environment.reset_env, (0, None)))(keys, task.parameters)
    return np.asarray(seen), worlds


def _stepper(task: Task) -> Any:
    """Return what steps many worlds by every action with every key, axes in this order."""

    @jax.jit
    def step(worlds: Any) -> Any:
        over_keys = jax.vmap(task.environment.step_env, (0, None, None, None))
        over_actions = jax.vmap(over_keys, (None, None, 0, None))
        over_worlds = jax.vmap(over_actions, (None, 0, None, None))
        keys, actions = jax.random.split(jax.random.key(0), _DRAWS), np.arange(task.actions)
        return over_worlds(keys, worlds, actions, task.parameters)[:4]

    return step


def _leaves(worlds: Any) -> list[np.ndarray]:
    return [np.asarray(leaf) for leaf in jax.tree.leaves(worlds)]


def _mark(leaves: list[np.ndarray], structure: Any) -> bytes:
    """Return what tells two states of the world apart; the clock does not."""
    world = jax.tree.unflatten(structure, leaves)
    if hasattr(world, "time"):
        world = world.replace(time=np.zeros_like(world.time))
    return b"".join(np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(world))


def _hidden(task: Task, number: int) -> UsageError:
    return UsageError(
        f"environment '{task.name}' cannot be enumerated: what follows observation {number} depends on "
        "something that is not seen"
    )
