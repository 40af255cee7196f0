"""VDN: the value of a joint action is the sum of the agents' own values.

Sunehag et al. 2018, "Value-Decomposition Networks For Cooperative Multi-Agent Learning Based On Team Reward".
"""

from typing import Any

import jax

from populace.rl.multi_agent.learners.factored_q import FactoredQ


class VDN(FactoredQ):
    """Value decomposition: `Q_tot(o, a) = sum_i Q_i(o_i, a_i)`, learned from the team's reward.

    What joint values are not a sum of is lost: under data in which all joint actions are alike, Q_tot is the
    least-squares fit of one, which in the climbing game is largest at (2, 2), with 8.778 for a reward of 5.
    """

    def mix(self, mixer: Any, values: jax.Array, state: jax.Array) -> jax.Array:
        """Return the sum (B,) of the agents' values (B, N)."""
        del mixer, state
        return values.sum(-1)
