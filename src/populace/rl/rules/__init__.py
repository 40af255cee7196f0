"""Update rules of tabular and linear control, one file each."""

from populace.rl.rules.double_q import DoubleQ
from populace.rl.rules.expected_sarsa import ExpectedSARSA
from populace.rl.rules.n_step import NStepSARSA
from populace.rl.rules.q_learning import QLearning
from populace.rl.rules.rule import Experience, Rule
from populace.rl.rules.sarsa import SARSA
from populace.rl.rules.traces import SARSALambda, WatkinsQ

__all__ = [
    "SARSA",
    "DoubleQ",
    "ExpectedSARSA",
    "Experience",
    "NStepSARSA",
    "QLearning",
    "Rule",
    "SARSALambda",
    "WatkinsQ",
]
