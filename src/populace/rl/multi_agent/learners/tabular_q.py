"""Independent tabular Q-learning: each agent has a table of its own, and takes the others for nature."""

from populace.core.errors import UsageError
from populace.core.settings import setting
from populace.rl.multi_agent.learners.linear_q import LinearQ


class TabularQ(LinearQ):
    """Q-learning with a table of each agent, for games whose observation is a state, one-hot.

        Q_i(s, a_i) += learning_rate (r_i + discount (1 - terminated) max_a' Q_i(s', a') - Q_i(s, a_i))

    For others who play uniformly it converges to the mean over their actions: in the climbing game to
    (-6.33, -7.67, 3.67) for the first player, so that both come to choose action 2, which pays 5 of 11.

    Claus & Boutilier 1998, "The Dynamics of Reinforcement Learning in Cooperative Multiagent Systems".
    """

    env: str = setting("Climbing-v0", help="game whose observation is one-hot")
    learning_rate: float = setting(0.1, above=0, help="step size")
    parameter_sharing: bool = setting(False, help="one table for all agents; false: one each")
    agent_ids: bool = setting(False, help="tell the agents that share a table apart by their number")
    bias: bool = setting(False, help="a constant feature")

    def check(self) -> None:
        """Raise a `UsageError` where observations are not states."""
        super().check()
        if not getattr(self.task.environment, "states", 0):
            raise UsageError(
                f"environment '{self.env}' does not show its state one-hot, so there is no table; "
                "take kind linear-q, iql, vdn or qmix"
            )
        if self.bias or (self.agent_ids and self.parameter_sharing):
            raise UsageError("a table has no bias and no ids beside its states; set both to false")
