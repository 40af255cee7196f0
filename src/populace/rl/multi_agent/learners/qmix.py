"""QMIX: the value of a joint action rises with the agents' own values, as the global state decides.

Rashid et al. 2018, "QMIX: Monotonic Value Function Factorisation for Deep Multi-Agent Reinforcement
Learning".
"""

from typing import Any

import jax

from populace.core.settings import setting
from populace.rl.multi_agent.learners.factored_q import FactoredQ
from populace.rl.multi_agent.networks.mixers import MonotonicMixer


class QMIX(FactoredQ):
    """Monotonic mixing: `Q_tot = f_s(Q_1, ..., Q_N)` with `dQ_tot / dQ_i >= 0`.

    The mixer sees the global state in training; agents act by their own values alone.
    """

    mixing_units: int = setting(32, low=1, help="hidden units of the mixing network")

    def build_mixer(self, key: jax.Array) -> MonotonicMixer:
        """Return the mixing network."""
        return MonotonicMixer(self.task.team, self.task.state_size, self.mixing_units, key)

    def mix(self, mixer: Any, values: jax.Array, state: jax.Array) -> jax.Array:
        """Return the mixed value (B,) of the agents' values (B, N)."""
        return mixer(values, state)
