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
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np

from populace.core.errors import UsageError
from populace.core.imports import by_path
from populace.rl.eager import eager
from populace.rl.environments import names as naming
from populace.rl.environments import registry
from populace.rl.environments.discretization import Aggregated
from populace.rl.planning import exhaustive
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
            an invalid `P`, or observations that do not determine the state.

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
    found = defined_outcomes(task) or _from_p(task, _user_env(task))
    if found is None and task.origin != "native":
        raise UsageError(
            f"environment '{task.name}' has no transition table: it has no `P`, and its state cannot be set"
        )
    return found or exhaustive.search(task)


def defined_outcomes(task: Task) -> Outcomes | None:
    """Return the table if the environment defines it, without a search; else None.

    The `P` of a user's class, given as `module:Class`, is not used here: the class may have inherited it and
    changed its steps. `outcomes`, which a user asks for explicitly, does use it.

    Raises:
        UsageError: an invalid `P`, for example with probabilities that do not sum to 1.

    """
    if not _countable(task):
        return None
    environment = unwrapped(task)
    if type(environment).__module__ == "gymnax.environments.misc.frozen_lake":
        return from_transitions(task.name, *_frozen_lake(environment), task.states, task.actions)
    return _from_p(task, environment)


def unwrapped(task: Task) -> Any:
    """Return the environment without wrappers; None if a wrapper of Gymnasium changes its observations."""
    asked = naming.parse(task.name)
    if asked.source != "gymnasium":
        return task.environment if task.origin == "native" else None
    import gymnasium

    from populace.rl.vector_env import make

    if gymnasium.spec(asked.identifier).additional_wrappers:
        return None
    arguments = make.spec_of(task.name, asked.identifier, asked.arguments).arguments
    return gymnasium.make(asked.identifier, **arguments).unwrapped


def _countable(task: Task) -> bool:
    return bool(task.states and task.actions) and not isinstance(task.environment, Aggregated)


def _user_env(task: Task) -> Any:
    """Return the environment of a user's class derived from `gymnasium.Env`, None for all others."""
    asked = naming.parse(task.name)
    if task.origin == "native" or asked.source or not asked.path:
        return None
    import gymnasium

    from populace.rl.vector_env import make

    spec = make.spec_of(task.name, asked.identifier, asked.arguments)
    made = by_path.find(asked.identifier, "environment")(**spec.arguments)
    return None if isinstance(made, gymnasium.Wrapper) else made


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
