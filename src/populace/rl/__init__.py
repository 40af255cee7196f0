"""Reinforcement learning: environments, what agents share, and one file per algorithm."""

from populace.rl.dqn import DQN
from populace.rl.exploration import Exploration, ExponentialDecay, LinearDecay

__all__ = ["DQN", "Exploration", "ExponentialDecay", "LinearDecay"]
