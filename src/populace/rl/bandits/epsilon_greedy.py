"""Epsilon-greedy: the arm of the highest estimate, and sometimes any arm."""

from typing import ClassVar

from populace.core.settings import setting
from populace.rl.bandits.action_values import ActionValues
from populace.rl.exploration.strategies import ConstantEpsilon, EpsilonGreedy


class EpsilonGreedyRule(ActionValues):
    """With probability epsilon any arm, otherwise the one of the highest estimate, ties evenly.

    With a constant epsilon the regret grows linearly, by `epsilon` times the mean gap per pull in the end.
    Source: Sutton & Barto 2018, section 2.2.
    """

    kind: ClassVar[str] = "epsilon-greedy"

    exploration: EpsilonGreedy = setting(ConstantEpsilon(0.1), help="schedule of epsilon over pulls")

    @property
    def policy(self) -> EpsilonGreedy:
        """The schedule."""
        return self.exploration
