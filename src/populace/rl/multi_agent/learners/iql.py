"""IQL: each agent learns the value of its own actions, as if the others belonged to the environment.

Tan 1993, "Multi-Agent Reinforcement Learning: Independent vs. Cooperative Agents"; with networks, Tampuu et
al. 2017, "Multiagent Cooperation and Competition with Deep Reinforcement Learning".
"""

from typing import Any

import jax
import jax.numpy as jnp

from populace.core.settings import setting
from populace.rl.multi_agent.learners.factored_q import Experience, FactoredQ


class IQL(FactoredQ):
    """Independent Q-learning: `y_i = r_i + discount (1 - terminated) max_a Q_target_i(o_i', a)`.

    With `parameter_sharing` it is one Q for all agents, told apart by `agent_ids`; without, agents share
    nothing. Where agents take turns, only those that acted learn.
    """

    team_rewards: bool = setting(False, help="each agent learns from the team's reward instead of its own")

    def mix(self, mixer: Any, values: jax.Array, state: jax.Array) -> jax.Array:
        """Return the values as they are: each agent has its own."""
        del mixer, state
        return values

    def paid(self, reward: jax.Array) -> jax.Array:
        """Return the agents' own rewards, or the team's for each."""
        if not self.team_rewards:
            return reward
        return jnp.broadcast_to(self.task.team_reward(reward)[:, None], reward.shape)

    def weight(self, batch: Experience) -> jax.Array:
        """Return who acted."""
        return (batch.view.acting & batch.view.alive).astype(jnp.float32)
