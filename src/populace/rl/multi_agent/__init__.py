"""Several agents: environments, cooperative learners with one file per algorithm, and who does what.

Names are imported on first use.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from populace.rl.multi_agent.environments.pettingzoo import aec_env, parallel_env
    from populace.rl.multi_agent.environments.world import MultiAgentWorld
    from populace.rl.multi_agent.learners.ippo import IPPO
    from populace.rl.multi_agent.learners.iql import IQL
    from populace.rl.multi_agent.learners.linear_q import LinearQ
    from populace.rl.multi_agent.learners.mappo import MAPPO
    from populace.rl.multi_agent.learners.qmix import QMIX
    from populace.rl.multi_agent.learners.tabular_q import TabularQ
    from populace.rl.multi_agent.learners.vdn import VDN
    from populace.rl.multi_agent.task import MultiAgentTask

_HOME = {
    "IPPO": "learners.ippo",
    "IQL": "learners.iql",
    "LinearQ": "learners.linear_q",
    "MultiAgentTask": "task",
    "MultiAgentWorld": "environments.world",
    "MAPPO": "learners.mappo",
    "QMIX": "learners.qmix",
    "TabularQ": "learners.tabular_q",
    "VDN": "learners.vdn",
    "aec_env": "environments.pettingzoo",
    "parallel_env": "environments.pettingzoo",
}

__all__ = [
    "IPPO", "IQL", "MAPPO", "QMIX", "VDN", "LinearQ", "MultiAgentTask", "MultiAgentWorld", "TabularQ",
    "aec_env", "parallel_env",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'populace.rl.multi_agent' has no attribute '{name}'")
    return getattr(importlib.import_module(f"populace.rl.multi_agent.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return list(__all__)
