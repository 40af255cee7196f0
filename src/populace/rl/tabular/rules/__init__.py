"""Update rules of tabular and linear control, one file each."""

from populace.rl.tabular.rules.double_q import DoubleQ
from populace.rl.tabular.rules.expected_sarsa import ExpectedSARSA
from populace.rl.tabular.rules.n_step import NStepSARSA
from populace.rl.tabular.rules.q_learning import QLearning
from populace.rl.tabular.rules.rule import Experience, Rule
from populace.rl.tabular.rules.sarsa import SARSA
from populace.rl.tabular.rules.traces import SARSALambda, WatkinsQ

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
