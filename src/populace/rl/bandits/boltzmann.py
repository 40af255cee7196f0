"""Boltzmann exploration: arms with higher estimates are pulled more often."""

from typing import ClassVar

from populace.core.settings import setting
from populace.rl.bandits.action_values import ActionValues
from populace.rl.exploration.strategies import Boltzmann


class BoltzmannRule(ActionValues):
    """`pi(a) = exp(Q_a / T) / sum_b exp(Q_b / T)`, with a constant or decaying temperature T.

    Source: Sutton & Barto 2018, section 13.1. Cesa-Bianchi et al. 2017, "Boltzmann Exploration Done Right",
    show why no schedule of a common temperature suits every problem.
    """

    kind: ClassVar[str] = "boltzmann"

    exploration: Boltzmann = setting(
        Boltzmann(temperature=0.1), help="schedule of the temperature over pulls"
    )

    @property
    def policy(self) -> Boltzmann:
        """The softmax policy."""
        return self.exploration
