"""Enumeration: everything that can happen in a tabular environment, from its own rule.

An environment whose observation is one integer is written out as a table of outcomes, from which
planning gets an [`MDP`][populace.rl.mdp.MDP] and agents a copy of the environment that is stepped by
looking up ([`Tabulated`][populace.rl.tabulated.Tabulated]). The table comes

- from `P`, where the environment has it, as Gymnasium's toy texts do: `P[s][a]` is a list of
  (probability, next state, reward, terminated), and `initial_state_distrib` the first state's
  distribution. An environment of your own may have them too;
- from the rule of Gymnax's FrozenLake, which keeps none;
- otherwise by trying every action in every state that can be reached, if the environment is
  deterministic. Chance cannot be told exactly from samples, so an environment that has any is refused.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import jax
import numpy as np

from populace.errors import UsageError
from populace.rl import environments
from populace.rl import names as naming
from populace.rl.environments import Task
from populace.rl.mdp import MDP

_DRAWS = 32  # random keys that a transition must agree on to count as deterministic
_STARTS = 512  # resets that are tried for first states
_TOGETHER = 64  # states stepped at once


@dataclass(frozen=True)
class Outcomes:
    """What can follow each action in each state: K outcomes, each with its probability.

    Attributes:
        probability: (S, A, K), which sums to one over K where the state is alive.
        state: (S, A, K) next state.
        reward: (S, A, K).
        ends: (S, A, K) bool: the task is over with it.
        alive: (S,) bool: the task goes on in this state; false also where it was never reached.
        start: (S,) distribution of the first state; None where it is drawn in an unknown way.

    """

    probability: np.ndarray
    state: np.ndarray
    reward: np.ndarray
    ends: np.ndarray
    alive: np.ndarray
    start: np.ndarray | None

    def mdp(self, discount: float) -> MDP:
        """Return the MDP of the task without its clock. States that are not alive are terminal."""
        from scipy import sparse

        states, actions, _ = self.state.shape
        reaches = ~self.ends | ~self.alive[self.state]  # the others end without a state of their own
        rows = np.broadcast_to(np.arange(states * actions).reshape(states, actions, 1), self.state.shape)
        matrix = sparse.csr_array(
            (np.where(reaches, self.probability, 0.0).ravel(), (rows.ravel(), self.state.ravel())),
            shape=(states * actions, states),
        )
        return MDP(
            matrix,
            (self.probability * self.reward).sum(axis=2),
            discount,
            terminal=~self.alive,
            ending=np.where(reaches, 0.0, self.probability).sum(axis=2),
            start=self.start,
        )


def mdp(environment: str | Task, discount: float) -> MDP:
    """Return the MDP of an environment, exactly.

    Args:
        environment: its name, as learners take it, or a task.
        discount: of the MDP.

    Raises:
        UsageError: observations that are no states, chance without a known rule, or observations
            that hide a part of the state.

    """
    return outcomes(environments.make(environment) if isinstance(environment, str) else environment).mdp(
        discount
    )


@cache
def outcomes(task: Task) -> Outcomes:
    """Return the table of everything that can happen in a task.

    Raises:
        UsageError: as for `mdp`.

    """
    if not task.states or not task.actions:
        raise UsageError(
            f"environment '{task.name}' cannot be enumerated: its observations must be one integer and its "
            f"actions discrete (bins of a continuous observation are no exact MDP)"
        )
    return by_rule(task) or _explored(task)


def by_rule(task: Task) -> Outcomes | None:
    """Return the table if the environment's own rule tells it, without trying anything; else None."""
    if not task.states or not task.actions:
        return None
    environment = unwrapped(task)
    if isinstance(getattr(environment, "P", None), Mapping) and hasattr(environment, "initial_state_distrib"):
        return _from_rule(task, environment.P, np.asarray(environment.initial_state_distrib, float))
    if type(environment).__module__ == "gymnax.environments.misc.frozen_lake":
        return _from_rule(task, *_frozen_lake(environment))
    return None


def unwrapped(task: Task) -> Any:
    """Return the environment itself; for one of Gymnasium's, None if wrappers change what is seen."""
    if task.origin == "native":
        return task.environment
    asked = naming.parse(task.name)
    if asked.source != "gymnasium":
        return None
    import gymnasium

    from populace.rl import host

    if gymnasium.spec(asked.identifier).additional_wrappers:
        return None
    arguments = host.spec_of(task.name, asked.identifier, asked.arguments).arguments
    return gymnasium.make(asked.identifier, **arguments).unwrapped


def _from_rule(task: Task, rule: Mapping[int, Mapping[int, Any]], start: np.ndarray) -> Outcomes:
    merged: list[dict[tuple[int, float, bool], float]] = []
    for s in range(task.states):
        for a in range(task.actions):
            found: dict[tuple[int, float, bool], float] = {}
            for probability, state, reward, ends in rule[s][a]:
                if probability > 0:
                    outcome = (int(state), float(reward), bool(ends))
                    found[outcome] = found.get(outcome, 0.0) + float(probability)
            merged.append(found)
    shape = (task.states, task.actions, max(map(len, merged)))
    probability, reward = np.zeros((2, *shape))
    state, ends = np.zeros(shape, np.int64), np.ones(shape, bool)
    for row, found in enumerate(merged):
        at = divmod(row, task.actions)
        for k, ((following, gained, over), p) in enumerate(found.items()):
            probability[(*at, k)], state[(*at, k)], reward[(*at, k)], ends[(*at, k)] = (
                p,
                following,
                gained,
                over,
            )
        unused = slice(len(found), None)
        state[(*at, unused)] = at[0]
    # A state that every action keeps, ended and unpaid, is where the task is over.
    here = np.arange(task.states)[:, None, None]
    over = ((probability == 0) | (ends & (state == here) & (reward == 0))).all(axis=(1, 2))
    return Outcomes(probability, state, reward, ends, ~over, start)


def _frozen_lake(environment: Any) -> tuple[Mapping[int, Mapping[int, Any]], np.ndarray]:
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


def _explored(task: Task) -> Outcomes:
    """Try every action in every state that can be reached from the starts, each with many keys."""
    if task.origin != "native":
        raise UsageError(
            f"environment '{task.name}' cannot be enumerated: it has no table `P`, and no state can be set"
        )
    environment, parameters = task.environment, task.parameters
    shape = (task.states, task.actions, 1)
    state, reward, ends = np.zeros(shape, np.int64), np.zeros(shape), np.ones(shape, bool)
    alive = np.zeros(task.states, bool)

    @jax.jit
    def tried(worlds: Any) -> Any:
        over_keys = jax.vmap(environment.step_env, (0, None, None, None))
        over_actions = jax.vmap(over_keys, (None, None, 0, None))
        over_worlds = jax.vmap(over_actions, (None, 0, None, None))
        keys, actions = jax.random.split(jax.random.key(0), _DRAWS), np.arange(task.actions)
        return over_worlds(keys, worlds, actions, parameters)[:4]

    keys = jax.random.split(jax.random.key(1), _STARTS)
    seen, worlds = jax.vmap(environment.reset_env, (0, None))(keys, parameters)
    first = np.asarray(seen)
    structure = jax.tree.structure(worlds)
    waiting = _worlds(worlds)
    met: dict[bytes, int] = {}
    queue: list[tuple[int, list[np.ndarray]]] = []

    def add(number: int, leaves: list[np.ndarray]) -> None:
        print_ = _print(leaves, structure)
        if print_ not in met:
            met[print_] = number
            queue.append((number, leaves))

    for i, number in enumerate(first):
        add(int(number), [leaf[i] for leaf in waiting])
    while queue:
        if len(met) > 8 * task.states:
            raise _hidden(task, queue[0][0])
        batch, queue[:] = queue[:_TOGETHER], queue[_TOGETHER:]
        filled = batch + batch[-1:] * (_TOGETHER - len(batch))  # one shape: compiled once
        stacked = [np.stack(leaves) for leaves in zip(*(leaves for _, leaves in filled))]
        after, after_world, gained, over = tried(jax.tree.unflatten(structure, stacked))
        after, gained, over = np.asarray(after), np.asarray(gained, float), np.asarray(over, bool)
        leaves = _worlds(after_world)
        for i, (number, _) in enumerate(batch):
            for what in (after, gained, over, *leaves):
                if not (what[i] == what[i][:, :1]).all():
                    raise UsageError(
                        f"environment '{task.name}' cannot be enumerated: chance decides what follows state "
                        f"{number}, and its probabilities are not known; give the environment a table `P`"
                    )
            row = after[i, :, 0], gained[i, :, 0], over[i, :, 0]
            old = state[number, :, 0], reward[number, :, 0], ends[number, :, 0]
            if alive[number] and not all(np.array_equal(a, b) for a, b in zip(row, old)):
                raise _hidden(task, number)
            alive[number] = True
            state[number, :, 0], reward[number, :, 0], ends[number, :, 0] = row
            for a in range(task.actions):
                if not over[i, a, 0]:
                    add(int(after[i, a, 0]), [leaf[i, a, 0] for leaf in leaves])
    start = np.eye(task.states)[first[0]] if (first == first[0]).all() else None
    return Outcomes(np.ones(shape), state, reward, ends, alive, start)


def _hidden(task: Task, number: int) -> UsageError:
    return UsageError(
        f"environment '{task.name}' cannot be enumerated: what follows observation {number} depends on "
        "something that is not seen"
    )


def _worlds(worlds: Any) -> list[np.ndarray]:
    return [np.asarray(leaf) for leaf in jax.tree.leaves(worlds)]


def _print(leaves: list[np.ndarray], structure: Any) -> bytes:
    """Return what tells two states of the world apart; the clock does not."""
    world = jax.tree.unflatten(structure, leaves)
    if hasattr(world, "time"):
        world = world.replace(time=np.zeros_like(world.time))
    return b"".join(np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(world))
