"""Multi-armed bandits: arms, rules that choose among them, and bounds on their regret."""

from populace.rl.bandits.action_values import ActionValues
from populace.rl.bandits.arms import Arms, Bernoulli, Gaussian
from populace.rl.bandits.boltzmann import BoltzmannRule
from populace.rl.bandits.bound import lai_robbins, ucb1_bound
from populace.rl.bandits.change import Change, RandomWalk, Stationary
from populace.rl.bandits.epsilon_greedy import EpsilonGreedyRule
from populace.rl.bandits.gradient import GradientRule
from populace.rl.bandits.rule import Rule
from populace.rl.bandits.thompson import GaussianThompson, Thompson
from populace.rl.bandits.ucb1 import UCB1

__all__ = [
    "UCB1",
    "ActionValues",
    "Arms",
    "Bernoulli",
    "BoltzmannRule",
    "Change",
    "EpsilonGreedyRule",
    "Gaussian",
    "GaussianThompson",
    "GradientRule",
    "RandomWalk",
    "Rule",
    "Stationary",
    "Thompson",
    "lai_robbins",
    "ucb1_bound",
]
