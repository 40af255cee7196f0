"""MAPPO: policies that see their own observation, and critics that see the global state in training.

Yu et al. 2022, "The Surprising Effectiveness of PPO in Cooperative Multi-Agent Games".
"""

import jax
import jax.numpy as jnp

from populace.core.settings import setting
from populace.rl.multi_agent.learners.multi_agent_ppo import MultiAgentPPO
from populace.rl.multi_agent.task import View


class MAPPO(MultiAgentPPO):
    """Multi-agent PPO with central critics, `V_i(s)`: of the team's reward, or of each agent's own."""

    team_rewards: bool = setting(True, help="each agent learns from the team's reward instead of its own")

    @property
    def critic_inputs(self) -> int:
        """Numbers in the global state."""
        return self.task.state_size

    def criticized(self, view: View) -> jax.Array:
        """Return the global state, the same (S,) for each of the N agents."""
        team = view.observation.shape[-2]
        return jnp.broadcast_to(
            view.state[..., None, :], (*view.state.shape[:-1], team, view.state.shape[-1])
        )
