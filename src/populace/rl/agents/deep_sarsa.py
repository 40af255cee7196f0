"""Deep SARSA: the values of the policy that is followed, by a network with replay and a target network.

SARSA is by Rummery & Niranjan 1994; semi-gradient control with function approximation is section 10.1 of
Sutton & Barto 2018, "Reinforcement Learning: An Introduction".
"""

import jax

from populace.rl.agents.off_policy import QLearner
from populace.rl.environments.stepping import EnvLoopState


class DeepSARSA(QLearner):
    r"""Semi-gradient SARSA for discrete actions.

        a' ~ pi(. | s'),  pi the exploring policy of the moment
        y = r + discount * (1 - terminated) * Q_target(s', a')
        loss = mean(l(Q(s, a) - y)),  l Huber or square

    The next action is drawn when the transition is learned from, not when it was remembered: so it is
    on-policy however old the transition is, and there is one also where the clock cut the episode. As
    exploration fades, the values become those of the greedy policy. Everything else is as in
    [`DQN`][populace.rl.DQN].
    """

    def next_action(
        self, key: jax.Array, acting: EnvLoopState, online: jax.Array, target: jax.Array
    ) -> jax.Array:
        """Draw actions from the exploring policy of the online network."""
        keys = jax.random.split(jax.random.fold_in(key, 4), online.shape[0])
        choose = jax.vmap(self.exploration.choose, (0, 0, None, None, None))
        return choose(keys, online, None, *self.clock(acting))
