"""Multi-agent tasks by the name of their environment."""

import inspect
from functools import cache
from importlib import import_module
from typing import Any

from populace.core.errors import PopulaceError, UsageError, typed_line, unknown
from populace.core.imports import by_path
from populace.rl.eager import eager
from populace.rl.environments import names as naming
from populace.rl.multi_agent.environments import WORLDS
from populace.rl.multi_agent.environments.checks import check_world
from populace.rl.multi_agent.environments.world import MultiAgentWorld
from populace.rl.multi_agent.foreign import jaxmarl
from populace.rl.multi_agent.task import MultiAgentTask


def names() -> list[str]:
    """Return the names of all compiled environments of several agents, sorted."""
    return sorted(WORLDS)


@cache
def make(name: str) -> MultiAgentTask:
    """Return the task of an environment.

    Args:
        name: a name of `names()`; `module:Class`, a user's class that derives from
            [`MultiAgentWorld`][populace.rl.multi_agent.environments.world.MultiAgentWorld]; an environment
            with JaxMARL's interface, compiled too: `jaxmarl:` and its name, or `module:Class`; or another
            package's, which runs in worker processes: `pettingzoo:module`, `module:Class`, or `gymnasium:`
            and an id. Arguments may follow, as in `CleaningRobots-v0(size=8, robots=4)`.

    Raises:
        UsageError: an unknown environment or argument, an argument out of its range, or an environment that
            does not do what it says.

    """
    asked = naming.parse(name)
    cls = None if asked.source else _class(asked, name)
    if asked.source == jaxmarl.SOURCE or jaxmarl.has_interface(cls):
        task = task_of(name, jaxmarl.world(asked))
        eager(check_world)(task, play=asked.path)
        return task
    if cls is None:
        from populace.rl.multi_agent.foreign import make as foreign

        return task_of(name, foreign.world(asked), foreign.ForeignTask)
    known = [*inspect.signature(cls).parameters]
    for argument in asked.arguments:
        if argument not in known:
            raise unknown("argument", argument, known, where=f" of environment '{name}'")
    try:
        world = cls(**asked.arguments)
    except PopulaceError:
        raise
    except Exception as error:  # a user's class may raise anything
        raise UsageError(f"environment '{name}' cannot be created: {typed_line(error)}") from error
    task = task_of(name, world)
    if asked.path:
        eager(check_world)(task)
    return task


def task_of(name: str, world: MultiAgentWorld, kind: type[MultiAgentTask] = MultiAgentTask) -> MultiAgentTask:
    """Return the task of a world."""
    if not world.agents:
        raise UsageError(f"environment '{name}' has no agents; it must name at least one")
    empty = [agent for agent, actions in zip(world.agents, world.actions) if not actions]
    if empty or len(world.actions) != len(world.agents) or len(world.bounds) != len(world.agents):
        raise UsageError(
            f"environment '{name}': each of its {len(world.agents)} agents needs actions and bounds of its "
            f"observation; it has {len(world.actions)} sets of actions and {len(world.bounds)} bounds"
            + (f", and '{empty[0]}' has no action" if empty else "")
        )
    import jax

    try:
        # The key is made under the trace: whoever names an environment need not have started JAX.
        state = jax.eval_shape(lambda: world.view(world.reset(jax.random.key(0))).state)
    except PopulaceError:
        raise
    except Exception as error:
        raise UsageError(f"environment '{name}' does not work: {typed_line(error)}") from error
    if state.ndim != 1:
        raise UsageError(
            f"environment '{name}': the global state must have one axis, got shape {state.shape}"
        )
    return kind(
        name=name,
        environment=world,
        agents=tuple(world.agents),
        actions=tuple(map(len, world.actions)),
        observation_sizes=tuple(len(low) for low, _ in world.bounds),
        state_size=state.shape[0],
        horizon=world.horizon,
        shared_reward=world.shared_reward,
    )


def _class(asked: naming.Name, name: str) -> Any:
    """Return the class of a compiled world, or None if the name is that of a foreign environment's maker."""
    if asked.path:
        found = by_path.find(asked.identifier, "environment")
        if isinstance(found, type) and (issubclass(found, MultiAgentWorld) or jaxmarl.has_interface(found)):
            return found
        if not callable(found) or by_path.is_house(asked.identifier):
            raise UsageError(
                f"environment '{name}' must be a class that derives from populace.rl.multi_agent."
                "MultiAgentWorld, or a class or function of your own that makes one of PettingZoo's"
            )
        return None
    if asked.identifier not in WORLDS:
        raise unknown("environment of several agents", asked.identifier, names())
    module, _, cls = WORLDS[asked.identifier].partition(":")
    return getattr(import_module(module), cls)
