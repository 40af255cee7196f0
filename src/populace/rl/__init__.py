"""Reinforcement learning: environments, agents with one file per algorithm, planning and bandits.

Names are imported on first use, so that training one agent does not load all of them. populace's worlds are
registered with Gymnasium at once.
"""

import importlib
from typing import TYPE_CHECKING, Any

from populace.rl.environments.worlds.registration import register

if TYPE_CHECKING:
    from populace.rl.agents.a2c import A2C
    from populace.rl.agents.averaged_dqn import AveragedDQN
    from populace.rl.agents.deep_sarsa import DeepSARSA
    from populace.rl.agents.dqn import DQN
    from populace.rl.agents.ppo import PPO
    from populace.rl.agents.reinforce import Reinforce
    from populace.rl.bandits.bandit import Bandit
    from populace.rl.exploration.strategies import (
        UCB,
        Boltzmann,
        ConstantEpsilon,
        Exploration,
        ExponentialDecay,
        LinearDecay,
        Sinusoidal,
    )
    from populace.rl.planning.mdp import MDP
    from populace.rl.tabular.learner import Tabular

_HOME = {
    "A2C": "agents.a2c", "AveragedDQN": "agents.averaged_dqn", "Bandit": "bandits.bandit",
    "Boltzmann": "exploration.strategies", "ConstantEpsilon": "exploration.strategies",
    "DQN": "agents.dqn", "DeepSARSA": "agents.deep_sarsa", "Exploration": "exploration.strategies",
    "ExponentialDecay": "exploration.strategies", "LinearDecay": "exploration.strategies",
    "MDP": "planning.mdp", "PPO": "agents.ppo", "Reinforce": "agents.reinforce",
    "Sinusoidal": "exploration.strategies", "Tabular": "tabular.learner", "UCB": "exploration.strategies",
}  # fmt: skip

__all__ = [
    "A2C", "DQN", "MDP", "PPO", "UCB", "AveragedDQN", "Bandit", "Boltzmann", "ConstantEpsilon",
    "DeepSARSA", "Exploration", "ExponentialDecay", "LinearDecay", "Reinforce", "Sinusoidal", "Tabular",
]  # fmt: skip


register()


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'populace.rl' has no attribute '{name}'")
    return getattr(importlib.import_module(f"populace.rl.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return list(__all__)
