"""Transition tables of environments with finitely many states.

For an environment whose observation is one integer, this module finds the table of
[`Outcomes`][populace.rl.planning.transition_table.Outcomes]. Planning turns it into an
[`MDP`][populace.rl.MDP], and tabular agents can step it instead of the environment
([`Tabulated`][populace.rl.tabular.table_environment.Tabulated]). The table comes

- from the environment's `P`, as Gymnasium's toy text environments have it: `P[s][a]` is a list of
  (probability, next state, reward, terminated), and `initial_state_distrib` is the distribution of the
  initial state. An environment of your own may have both too;
- from the transition rule of Gymnax's FrozenLake, which has no `P`;
- otherwise by an exhaustive search: every action in every reachable state, if the environment is
  deterministic. Probabilities cannot be found exactly from samples, so stochastic environments are refused.

A `P` is tried before it is trusted: the environment takes seeded steps, which must be those of the table.
"""

import dataclasses
import logging
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np

from populace.core.errors import UsageError
from populace.core.imports import by_path
from populace.rl.eager import eager
from populace.rl.environments import names as naming
from populace.rl.environments import registry
from populace.rl.environments.discretization import Aggregated
from populace.rl.planning import exhaustive, trial
from populace.rl.planning.mdp import MDP
from populace.rl.planning.transition_table import Outcomes, TransitionRule, from_transitions
from populace.rl.task import Task


def mdp(environment: str | Task, discount: float) -> MDP:
    """Return the exact MDP of an environment, without its time limit.

    Args:
        environment: its name, as in the setting `env`, or a task.
        discount: discount of the MDP.

    Raises:
        UsageError: observations that are not one integer, a stochastic environment without a table `P`,
            a `P` that is invalid or differs from what the environment does, or observations that do not
            determine the state.

    """
    task = registry.make(environment) if isinstance(environment, str) else environment
    return outcomes(task).mdp(discount)


@cache
@eager
def outcomes(task: Task) -> Outcomes:
    """Return the table of all possible outcomes of a task.

    Raises:
        UsageError: as for `mdp`.

    """
    if not _countable(task):
        raise UsageError(
            f"environment '{task.name}' has no transition table: its observations must be one integer and "
            "its actions discrete (bins of a continuous observation are not an exact MDP)"
        )
    found = _defined(task) or _tried(task, _user_env(task))
    if found is None and task.origin != "native":
        raise UsageError(
            f"environment '{task.name}' has no transition table: it has no `P`, and its state cannot be set"
        )
    return found or exhaustive.search(task)


@cache
@eager
def defined_outcomes(task: Task) -> Outcomes | None:
    """Return the table if the environment defines it and keeps to it, without a search; else None.

    A `P` that differs from what the environment does is not used, and a warning says so. Nor is the `P` of a
    user's class, given as `module:Class`: `outcomes`, which a user asks for explicitly, does use it.

    Raises:
        UsageError: an invalid `P`, for example with probabilities that do not sum to 1.

    """
    try:
        return _defined(task) if _countable(task) else None
    except trial.DiffersError as error:
        logging.getLogger("populace").warning("%s", error)
        return None


def _defined(task: Task) -> Outcomes | None:
    if task.origin != "native":
        return _tried(task, _registered(task))
    environment = task.environment
    if type(environment).__module__ == "gymnax.environments.misc.frozen_lake":
        return from_transitions(task.name, *_frozen_lake(environment), task.states, task.actions)
    found = None if naming.parse(task.name).path else _from_p(task, environment)
    if found is not None:
        trial.check(task.name, found, trial.play_compiled(task))
    return found


def unwrapped(task: Task) -> Any:
    """Return the environment without wrappers; None if a wrapper of Gymnasium changes its observations."""
    if naming.parse(task.name).source != "gymnasium":
        return task.environment if task.origin == "native" else None
    make = _registered(task)  # of a task that is stepped by its table, too
    return None if make is None else make().unwrapped


def _registered(task: Task) -> Callable[[], Any] | None:
    """Return how to make an environment of Gymnasium's registry, unless it has wrappers of its own."""
    asked = naming.parse(task.name)
    if asked.source != "gymnasium":
        return None
    import gymnasium

    from populace.rl.vector_env import make

    if gymnasium.spec(asked.identifier).additional_wrappers:
        return None
    return make.spec_of(task.name, asked.identifier, asked.arguments).make


def _countable(task: Task) -> bool:
    return bool(task.states and task.actions) and not isinstance(task.environment, Aggregated)


def _user_env(task: Task) -> Callable[[], Any] | None:
    """Return how to make a user's class derived from `gymnasium.Env`; None for all others and wrappers."""
    asked = naming.parse(task.name)
    if task.origin == "native" or asked.source or not asked.path:
        return None
    import gymnasium

    from populace.rl.vector_env import make

    found = by_path.find(asked.identifier, "environment")
    if isinstance(found, type) and issubclass(found, gymnasium.Wrapper):
        return None
    return make.spec_of(task.name, asked.identifier, asked.arguments).make


def _tried(task: Task, make: Callable[[], Any] | None) -> Outcomes | None:
    """Return the table of an environment that has a `P`, the same each time it is made, and keeps to it."""
    env = None if make is None else make()
    found = None if env is None else _from_p(task, env.unwrapped)
    if make is None or found is None:
        return None
    other = _from_p(task, make().unwrapped)
    if other is None or not all(
        np.array_equal(*(getattr(table, part.name) for table in (found, other)))
        for part in dataclasses.fields(Outcomes)
    ):
        raise trial.DiffersError(
            f"environment '{task.name}' has no transition table: it has another `P` each time that it is "
            "made; draw its world from a seed, or train with dynamics=environment"
        )
    trial.check(task.name, found, trial.play(env, task, found))
    return found


def _from_p(task: Task, environment: Any) -> Outcomes | None:
    """Return the table of an environment that has a `P`, else None."""
    rule, start = (getattr(environment, name, None) for name in ("P", "initial_state_distrib"))
    if not isinstance(rule, Mapping) or start is None:
        return None
    return from_transitions(task.name, rule, start, task.states, task.actions)


def _frozen_lake(environment: Any) -> tuple[TransitionRule, np.ndarray]:
    """Return the rule of Gymnax's FrozenLake: as intended with `success_rate`, otherwise to either side."""
    rows, columns = environment.desc.shape
    tile = np.asarray(environment.desc).ravel()  # start, frozen, hole, goal: 0, 1, 2, 3
    goal, hole, frozen = (float(r) for r in environment.reward_schedule)
    reward = np.select([tile == 3, tile == 2], [goal, hole], frozen)
    rate = environment.success_rate if environment.is_slippery else 1.0
    directions = [(0, -1), (1, 0), (0, 1), (-1, 0)]

    def move(s: int, a: int) -> tuple[int, float, bool]:
        row = min(max(s // columns + directions[a][0], 0), rows - 1)
        column = min(max(s % columns + directions[a][1], 0), columns - 1)
        to = row * columns + column
        return to, float(reward[to]), bool(tile[to] >= 2)

    def outcomes_of(s: int, a: int) -> list[tuple[float, int, float, bool]]:
        if tile[s] >= 2:
            return [(1.0, s, 0.0, True)]
        probabilities = [(a, rate), ((a - 1) % 4, (1 - rate) / 2), ((a + 1) % 4, (1 - rate) / 2)]
        return [(p, *move(s, b)) for b, p in probabilities]

    rule = {s: {a: outcomes_of(s, a) for a in range(4)} for s in range(tile.size)}
    return rule, (tile == 0).astype(float)
