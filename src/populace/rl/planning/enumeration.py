"""Enumeration: everything that can happen in a tabular environment, from its own rule.

An environment whose observation is one integer is written out as a table of
[`Outcomes`][populace.rl.planning.transition_table.Outcomes], from which planning gets an
[`MDP`][populace.rl.MDP] and agents a copy of the environment that is stepped by looking up
([`Tabulated`][populace.rl.tabular.table_environment.Tabulated]). The table comes

- from `P`, where the environment has it, as Gymnasium's toy texts do: `P[s][a]` is a list of
  (probability, next state, reward, terminated), and `initial_state_distrib` the first state's
  distribution. An environment of your own may have them too;
- from the rule of Gymnax's FrozenLake, which keeps none;
- otherwise by trying every action in every state that can be reached, if the environment is
  deterministic. Chance cannot be told exactly from samples, so an environment that has any is refused.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np

from populace.core.errors import UsageError
from populace.rl.environments import names as naming
from populace.rl.environments import registry
from populace.rl.environments.discretization import Aggregated
from populace.rl.planning import exhaustive
from populace.rl.planning.mdp import MDP
from populace.rl.planning.transition_table import Outcomes, Rule, of_rule
from populace.rl.task import Task


def mdp(environment: str | Task, discount: float) -> MDP:
    """Return the MDP of an environment, exactly.

    Args:
        environment: its name, as learners take it, or a task.
        discount: of the MDP.

    Raises:
        UsageError: observations that are no states, chance without a known rule, a rule that is none,
            or observations that hide a part of the state.

    """
    task = registry.make(environment) if isinstance(environment, str) else environment
    return outcomes(task).mdp(discount)


@cache
def outcomes(task: Task) -> Outcomes:
    """Return the table of everything that can happen in a task.

    Raises:
        UsageError: as for `mdp`.

    """
    if not _countable(task):
        raise UsageError(
            f"environment '{task.name}' cannot be enumerated: its observations must be one integer and its "
            f"actions discrete (bins of a continuous observation are no exact MDP)"
        )
    found = by_rule(task) or _written_out(task, _of_a_class(task))
    if found is None and task.origin != "native":
        raise UsageError(
            f"environment '{task.name}' cannot be enumerated: it has no table `P`, and no state can be set"
        )
    return found or exhaustive.tried(task)


def by_rule(task: Task) -> Outcomes | None:
    """Return the table if the environment's own rule tells it, without trying anything; else None.

    A class of Gymnasium's kind given as `module:Class` is not looked at: it may have inherited `P` and
    changed what a step does. `outcomes`, which is asked for, takes its `P`.

    Raises:
        UsageError: there is a rule, but with probabilities that do not sum to one, or otherwise wrong.

    """
    if not _countable(task):
        return None
    environment = unwrapped(task)
    if type(environment).__module__ == "gymnax.environments.misc.frozen_lake":
        return of_rule(task.name, *_frozen_lake(environment), task.states, task.actions)
    return _written_out(task, environment)


def unwrapped(task: Task) -> Any:
    """Return the environment itself; for one of Gymnasium's, None if wrappers change what is seen."""
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


def _of_a_class(task: Task) -> Any:
    """Return the environment of a `module:Class` of Gymnasium's kind, None if it is another or a wrapper."""
    asked = naming.parse(task.name)
    if task.origin == "native" or asked.source or not asked.path:
        return None
    import gymnasium

    from populace.rl.vector_env import make

    spec = make.spec_of(task.name, asked.identifier, asked.arguments)
    made = make.import_class(asked.identifier)(**spec.arguments)
    return None if isinstance(made, gymnasium.Wrapper) else made


def _written_out(task: Task, environment: Any) -> Outcomes | None:
    """Return the table of an environment that has `P`, else None."""
    rule, start = (getattr(environment, name, None) for name in ("P", "initial_state_distrib"))
    if not isinstance(rule, Mapping) or start is None:
        return None
    return of_rule(task.name, rule, start, task.states, task.actions)


def _frozen_lake(environment: Any) -> tuple[Rule, np.ndarray]:
    """Return the rule of Gymnax's FrozenLake: as meant with `success_rate`, else to either side."""
    rows, columns = environment.desc.shape
    tile = np.asarray(environment.desc).ravel()  # start, frozen, hole, goal: 0, 1, 2, 3
    goal, hole, frozen = (float(r) for r in environment.reward_schedule)
    pays = np.select([tile == 3, tile == 2], [goal, hole], frozen)
    rate = environment.success_rate if environment.is_slippery else 1.0
    ways = [(0, -1), (1, 0), (0, 1), (-1, 0)]

    def moved(s: int, a: int) -> tuple[int, float, bool]:
        row = min(max(s // columns + ways[a][0], 0), rows - 1)
        column = min(max(s % columns + ways[a][1], 0), columns - 1)
        to = row * columns + column
        return to, float(pays[to]), bool(tile[to] >= 2)

    def follows(s: int, a: int) -> list[tuple[float, int, float, bool]]:
        if tile[s] >= 2:
            return [(1.0, s, 0.0, True)]
        chances = [(a, rate), ((a - 1) % 4, (1 - rate) / 2), ((a + 1) % 4, (1 - rate) / 2)]
        return [(p, *moved(s, b)) for b, p in chances]

    rule = {s: {a: follows(s, a) for a in range(4)} for s in range(tile.size)}
    return rule, (tile == 0).astype(float)
