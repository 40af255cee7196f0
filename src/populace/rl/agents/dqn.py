"""DQN: Q-learning with a neural network, experience replay and a target network.

Mnih et al. 2015, "Human-level control through deep reinforcement learning"; double Q-learning by
van Hasselt et al. 2016, "Deep Reinforcement Learning with Double Q-learning"; all extensions together are
Rainbow, Hessel et al. 2018, "Rainbow: Combining Improvements in Deep Reinforcement Learning".
"""

import jax
import jax.numpy as jnp

from populace.core.settings import setting
from populace.rl.agents.off_policy import QLearner
from populace.rl.environments.stepping import EnvLoopState


class DQN(QLearner):
    r"""Deep Q-learning for discrete actions.

    Each iteration acts epsilon-greedily in `num_envs` environments for `rollout` steps, stores the
    transitions, and takes `gradient_steps` gradient steps on batches of `batch_size` transitions:

        y = r + discount * (1 - terminated) * max_a Q_target(s', a)                       (plain)
        y = r + discount * (1 - terminated) * Q_target(s', argmax_a Q(s', a))             (double)
        loss = mean(l(Q(s, a) - y)),  l Huber or square

    An episode that was cut by the clock is not terminated: its last state is bootstrapped.

    Extensions, each a setting: `dueling`, `noisy`, `prioritized`, `n_step`, and `distribution`, by which a
    network describes returns by more than their expectation. With all of them, and `double`, it is Rainbow.
    """

    double: bool = setting(True, help="double Q-learning: the online network chooses the next action")

    def next_action(
        self, key: jax.Array, acting: EnvLoopState, online: jax.Array, target: jax.Array
    ) -> jax.Array:
        """Return the greedy actions."""
        return jnp.argmax(online if self.double else target, axis=-1)
