"""Tasks whose environments are other packages' and run in worker processes."""

from typing import Any

import numpy as np

from populace.core.errors import UsageError
from populace.core.imports import by_path
from populace.core.untrusted.shown import shown
from populace.rl.environments import names as naming
from populace.rl.multi_agent.foreign.joint import Joint
from populace.rl.multi_agent.foreign.world import ForeignTask, ForeignWorld
from populace.rl.vector_env import make
from populace.rl.vector_env.process.making import Spec


def world(asked: naming.Name) -> ForeignWorld:
    """Return the world of a foreign environment.

    Args:
        asked: `pettingzoo:module`, whose function `parallel_env` or else `env` makes it; `module:Class`, a
            class or function that makes one; or an id of Gymnasium's after `gymnasium:`, whose spaces are
            tuples with an entry per agent. Of its arguments `workers`, `timeout`, `max_episode_steps` and
            `shared_reward` (all agents get one and the same reward, which counts once) are used here, the
            others are the environment's.

    Raises:
        UsageError: the environment is not installed, does not work, returns NaN, has no time limit, or has
            agents or spaces that learners do not support.

    """
    name, path = asked.whole, asked.identifier
    if asked.source == "gymnasium":
        path = f"gymnasium:{path}"
    if asked.source == "pettingzoo":
        by_path.check(path, name, "environment")
    given = dict(asked.arguments)
    shared = given.pop("shared_reward", False)
    if not isinstance(shared, bool):
        raise UsageError(f"environment '{name}': shared_reward must be True or False, got {shown(shared)}")
    inside, own = make.own_arguments(given)
    spec = Spec(
        False, by_path.path_of(Joint), {"path": path, "arguments": inside}, make.time_limit(name, own)
    )

    def connect(pool: Any, info: Any) -> ForeignWorld:
        make.check_info(name, info)
        if info.max_episode_steps < 1:
            raise UsageError(
                f"environment '{name}' has a time limit of {info.max_episode_steps} steps; "
                "it must be at least 1"
            )
        layout = info.action_space.layout
        stored = (np.min_scalar_type(max(layout.actions) - 1).str, (len(layout.agents),))
        host = make.connected(pool, info, ("f4", (layout.size,)), stored)
        title = name.partition("(")[0]
        return ForeignWorld(title, host, layout, info.max_episode_steps, shared_reward=shared)

    return make.in_workers(name, spec, own, connect)


__all__ = ["ForeignTask", "world"]
