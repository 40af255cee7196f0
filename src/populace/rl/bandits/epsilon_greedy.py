"""Epsilon-greedy: usually the arm with the highest estimate, sometimes a random one."""

from typing import ClassVar

from populace.core.settings import setting
from populace.rl.bandits.action_values import ActionValues
from populace.rl.exploration.strategies import ConstantEpsilon, EpsilonGreedy


class EpsilonGreedyRule(ActionValues):
    """A uniformly random arm with probability epsilon, otherwise an arm with the highest estimate.

    With a constant epsilon the regret grows linearly: in the long run by epsilon times the mean gap
    `mu* - mu_a` per pull. Source: Sutton & Barto 2018, section 2.2.
    """

    kind: ClassVar[str] = "epsilon-greedy"

    exploration: EpsilonGreedy = setting(ConstantEpsilon(0.1), help="schedule of epsilon over pulls")

    @property
    def policy(self) -> EpsilonGreedy:
        """The epsilon-greedy policy."""
        return self.exploration
