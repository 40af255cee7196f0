"""Reinforcement learning: environments, what agents share, and one file per algorithm.

Names are imported when they are first used: who trains one agent need not wait for all.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from populace.rl.a2c import A2C
    from populace.rl.averaging import AveragedDQN
    from populace.rl.bandit import Bandit
    from populace.rl.deep_sarsa import DeepSARSA
    from populace.rl.dqn import DQN
    from populace.rl.exploration import (
        UCB,
        Boltzmann,
        ConstantEpsilon,
        Exploration,
        ExponentialDecay,
        LinearDecay,
        Sinusoidal,
    )
    from populace.rl.mdp import MDP
    from populace.rl.ppo import PPO
    from populace.rl.reinforce import Reinforce
    from populace.rl.tabular import Tabular

_HOME = {
    "A2C": "a2c", "AveragedDQN": "averaging", "Bandit": "bandit", "Boltzmann": "exploration",
    "ConstantEpsilon": "exploration", "DQN": "dqn", "DeepSARSA": "deep_sarsa",
    "Exploration": "exploration", "ExponentialDecay": "exploration", "LinearDecay": "exploration",
    "MDP": "mdp", "PPO": "ppo", "Reinforce": "reinforce", "Sinusoidal": "exploration",
    "Tabular": "tabular", "UCB": "exploration",
}  # fmt: skip

__all__ = [
    "A2C", "DQN", "MDP", "PPO", "UCB", "AveragedDQN", "Bandit", "Boltzmann", "ConstantEpsilon",
    "DeepSARSA", "Exploration", "ExponentialDecay", "LinearDecay", "Reinforce", "Sinusoidal", "Tabular",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'populace.rl' has no attribute '{name}'")
    return getattr(importlib.import_module(f"populace.rl.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return list(__all__)
