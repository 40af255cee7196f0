"""A2C: advantage actor-critic, the synchronous form of Mnih et al. 2016.

"Asynchronous Methods for Deep Reinforcement Learning". Copies of the environment side by side take the place
of asynchronous workers, and one update is made of what all of them saw.
"""

from typing import Any

import jax
import jax.numpy as jnp

from populace.core.mean import Mean, Metrics
from populace.core.settings import setting
from populace.optim import gradient_step as descent
from populace.optim.optimizers import Optimizer, RMSProp
from populace.rl.agents.on_policy import Model, PolicyGradient, Rollout, check_standardized, estimates, values
from populace.rl.targets.advantages import standardized


class A2C(PolicyGradient):
    r"""Advantage actor-critic for discrete and continuous actions: one gradient step per short rollout.

        A_t = sum_k (discount gae_lambda)^k delta_{t+k},  delta_t = r_t + discount V(s_{t+1}) - V(s_t)
        loss = mean(-A log pi(a|s)) + value_coefficient mean((V(s) - (A + V_old(s)))^2) / 2 - entropy mean(H)

    With `gae_lambda` 1 the advantages are those of the paper: the rewards to the end of the rollout, and the
    value of what follows.
    """

    rollout: int = setting(8, low=1, help="steps of each environment per iteration")
    learning_rate: float = descent.learning_rate(7e-4)
    optimizer: Optimizer = descent.optimizer(RMSProp(decay=0.99, eps=1e-5))
    gae_lambda: float = setting(1.0, low=0, high=1, help="lambda of generalized advantage estimation")
    value_coefficient: float = setting(0.5, low=0, help="weight of the value loss")
    normalize_advantages: bool = setting(False, help="standardize the advantages of a rollout")

    def check(self) -> None:
        """Raise a `UsageError` where settings, network and environment do not fit together."""
        super().check()
        if self.normalize_advantages:
            check_standardized(self.units_per_step)

    def learn(
        self, model: Model, opt_state: Any, rollout: Rollout, key: jax.Array, iteration: jax.Array
    ) -> tuple[Model, Any, Metrics]:
        """Take one gradient step."""
        del key
        value, advantage = estimates(model, rollout, self.discount, self.gae_lambda)
        target = advantage + value
        if self.normalize_advantages:
            advantage = standardized(advantage)

        def loss(networks: Any) -> tuple[jax.Array, Metrics]:
            policy, critic = networks
            distribution = policy(rollout.observation)
            surprise = -jnp.mean(advantage * distribution.log_probability(rollout.action))
            entropy = jnp.mean(distribution.entropy())
            value_loss = 0.5 * jnp.mean((values(critic, rollout.observation) - target) ** 2)
            total = surprise + self.value_coefficient * value_loss - self.entropy_coefficient * entropy
            return total, {"entropy": Mean(entropy), "value_loss": Mean(value_loss)}

        networks, opt_state, _, metrics = descent.gradient_step(
            self, loss, (model.policy, model.critic), opt_state, iteration
        )
        policy, critic = networks
        return Model(policy, critic, model.observations), opt_state, metrics
