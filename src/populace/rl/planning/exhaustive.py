"""Exhaustive search: the transition table of a deterministic environment, by every action in every state."""

from typing import Any

import jax
import numpy as np

from populace.core.errors import UsageError
from populace.rl.planning.transition_table import Outcomes
from populace.rl.task import Task

_KEYS = 32  # random keys with which a transition must be the same to count as deterministic
_STARTS = 512  # resets to find the initial states
_BATCH_SIZE = 64  # states stepped at a time
_MAX_STATES_PER_OBS = 8  # with more, observations are taken to hide part of the state


def search(task: Task) -> Outcomes:
    """Return the table of a compiled task, by a search from its initial states.

    The search runs over the environment's internal states, without their step counter. Each step is taken
    with many random keys.

    Raises:
        UsageError: the environment is stochastic, or the outcomes of states with the same observation differ.

    """
    shape = (task.states, task.actions, 1)
    next_state, reward, terminated = np.zeros(shape, np.int64), np.zeros(shape), np.ones(shape, bool)
    nonterminal = np.zeros(task.states, bool)
    first, env_states = _starts(task)
    step, structure = _stepper(task), jax.tree.structure(env_states)
    visited: set[bytes] = set()
    queue: list[tuple[int, list[np.ndarray]]] = []

    def add(number: int, leaves: list[np.ndarray]) -> None:
        identity = _identity(leaves, structure)
        if identity not in visited:
            visited.add(identity)
            queue.append((number, leaves))

    initial = _leaves(env_states)
    for i, number in enumerate(first):
        add(int(number), [leaf[i] for leaf in initial])
    while queue:
        if len(visited) > _MAX_STATES_PER_OBS * task.states:
            raise _hidden_state(task, queue[0][0])
        batch, queue[:] = queue[:_BATCH_SIZE], queue[_BATCH_SIZE:]
        filled = batch + batch[-1:] * (_BATCH_SIZE - len(batch))  # one shape, so that it compiles once
        stacked = [np.stack(leaves) for leaves in zip(*(leaves for _, leaves in filled))]
        after, env_state, rewards, done = step(jax.tree.unflatten(structure, stacked))
        after, rewards, done = np.asarray(after), np.asarray(rewards, float), np.asarray(done, bool)
        leaves = _leaves(env_state)
        for i, (number, _) in enumerate(batch):
            if any((what[i] != what[i][:, :1]).any() for what in (after, rewards, done, *leaves)):
                raise UsageError(
                    f"environment '{task.name}' has no transition table: state {number} has random outcomes "
                    "of unknown probability; give the environment a table `P`"
                )
            row = after[i, :, 0], rewards[i, :, 0], done[i, :, 0]
            old = next_state[number, :, 0], reward[number, :, 0], terminated[number, :, 0]
            if nonterminal[number] and not all(np.array_equal(a, b) for a, b in zip(row, old)):
                raise _hidden_state(task, number)
            nonterminal[number] = True
            next_state[number, :, 0], reward[number, :, 0], terminated[number, :, 0] = row
            for a in range(task.actions):
                if not done[i, a, 0]:
                    add(int(after[i, a, 0]), [leaf[i, a, 0] for leaf in leaves])
    start = np.eye(task.states)[first[0]] if (first == first[0]).all() else None
    return Outcomes(np.ones(shape), next_state, reward, terminated, nonterminal, start)


def _starts(task: Task) -> tuple[np.ndarray, Any]:
    """Return the observations and internal states of many resets."""
    keys = jax.random.split(jax.random.key(1), _STARTS)
    obs, env_states = jax.jit(jax.vmap(task.environment.reset_env, (0, None)))(keys, task.parameters)
    return np.asarray(obs), env_states


def _stepper(task: Task) -> Any:
    """Return a function that steps a batch of states by every action with every key, axes in this order."""

    @jax.jit
    def step(env_states: Any) -> Any:
        each_key = jax.vmap(task.environment.step_env, (0, None, None, None))
        each_action = jax.vmap(each_key, (0, None, 0, None))
        each_state = jax.vmap(each_action, (0, 0, None, None))
        # Other keys for every state and action: what is rarely drawn would be missed by all of them at once.
        shape = (_BATCH_SIZE, task.actions, _KEYS)
        keys, actions = jax.random.split(jax.random.key(0), shape), np.arange(task.actions)
        return each_state(keys, env_states, actions, task.parameters)[:4]

    return step


def _leaves(env_states: Any) -> list[np.ndarray]:
    return [np.asarray(leaf) for leaf in jax.tree.leaves(env_states)]


def _identity(leaves: list[np.ndarray], structure: Any) -> bytes:
    """Return the content of an internal state without its step counter."""
    env_state = jax.tree.unflatten(structure, leaves)
    if hasattr(env_state, "time"):
        env_state = env_state.replace(time=np.zeros_like(env_state.time))
    return b"".join(np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(env_state))


def _hidden_state(task: Task, number: int) -> UsageError:
    return UsageError(
        f"environment '{task.name}' has no transition table: the outcome of observation {number} depends on "
        "something that is not observed"
    )
