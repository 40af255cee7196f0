"""Registers populace's worlds with Gymnasium, under `populace/`; `import populace.rl` does it.

Gymnasium has loaded no entry points since 1.0, so a package is imported before its environments are made.
The worlds, and with them JAX, are imported when one is made.
"""

from typing import Any

import gymnasium
from gymnasium.envs.registration import EnvSpec

from populace.rl.environments.worlds import WORLDS

_ENTRY_POINT = "populace.rl.environments.worlds.gym:NativeEnv"


def register() -> None:
    """Register what is not registered yet."""
    for name in WORLDS:
        if f"populace/{name}" not in gymnasium.registry:
            gymnasium.register(f"populace/{name}", entry_point=_ENTRY_POINT, kwargs={"name": name})


def spec(name: str, arguments: dict[str, Any]) -> EnvSpec:
    """Return what Gymnasium makes a compiled environment from, registered or not."""
    return EnvSpec(f"populace/{name}", entry_point=_ENTRY_POINT, kwargs={"name": name, **arguments})
