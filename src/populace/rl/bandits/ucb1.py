"""UCB1: the arm with the highest upper confidence bound."""

import math
from typing import ClassVar

from populace.core.settings import setting
from populace.rl.bandits.action_values import ActionValues
from populace.rl.exploration.strategies import UCB


class UCB1(ActionValues):
    """`argmax_a Q_a + confidence * sqrt(log(t) / n_a)`, after each arm was pulled once.

    For rewards in [0, 1] and `confidence = sqrt(2)` the expected regret is at most
    `8 sum_a log(t) / gap_a + (1 + pi^2 / 3) sum_a gap_a`, with `gap_a = mu* - mu_a`. For rewards of another
    scale, scale `confidence` too. Source: Auer, Cesa-Bianchi and Fischer 2002, "Finite-time Analysis of the
    Multiarmed Bandit Problem", figure 1 and theorem 1.
    """

    kind: ClassVar[str] = "ucb1"

    confidence: float = setting(math.sqrt(2), low=0, help="exploration bonus, in units of reward")

    @property
    def policy(self) -> UCB:
        """The UCB policy."""
        return UCB(self.confidence)
