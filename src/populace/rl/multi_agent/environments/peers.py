"""The environments of other packages that ours equal: what final policies are judged in, where installed."""

from collections.abc import Callable
from typing import Any

import numpy as np

from populace.rl.multi_agent.task import MultiAgentTask

Play = Callable[[MultiAgentTask, Any, Any, int, int], np.ndarray]
"""From task, policy, memory, number of episodes and seed to the return of each episode."""


def of(task: MultiAgentTask) -> tuple[str, Play] | None:
    """Return the name of a task's peer, and what plays in it; None if it has none, or it is not installed."""
    find = getattr(task.environment, "peer", None)
    return None if find is None else find()
