"""IPPO: each agent is trained by PPO on what it sees itself.

De Witt et al. 2020, "Is Independent Learning All You Need in the StarCraft Multi-Agent Challenge?"
"""

import jax

from populace.rl.multi_agent.learners.multi_agent_ppo import MultiAgentPPO
from populace.rl.multi_agent.task import View


class IPPO(MultiAgentPPO):
    """Independent PPO: the critic of an agent sees what the agent sees, `V_i(o_i)`."""

    @property
    def critic_inputs(self) -> int:
        """Numbers in an observation."""
        return self.task.features

    def criticized(self, view: View) -> jax.Array:
        """Return the observations."""
        return view.observation
