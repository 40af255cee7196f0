"""PPO: proximal policy optimization with a clipped objective (Schulman et al. 2017).

"Proximal Policy Optimization Algorithms". The details follow the reference implementation where the paper is
silent (Huang et al. 2022, "The 37 Implementation Details of Proximal Policy Optimization").
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from populace.core.errors import UsageError
from populace.core.mean import Mean, Metrics
from populace.core.settings import setting
from populace.optim import gradient_step as descent
from populace.rl.agents.on_policy import Model, PolicyGradient, Rollout, check_standardized, estimates, values
from populace.rl.buffers.permutation import permutation
from populace.rl.targets.advantages import standardized


class PPO(PolicyGradient):
    r"""Proximal policy optimization for discrete and continuous actions.

        A = generalized advantage estimates;  target = A + V_old(s);  ratio = pi(a|s) / pi_old(a|s)
        loss = -mean(min(ratio A, clip(ratio, 1 - clip, 1 + clip) A))
               + value_coefficient mean((V(s) - target)^2) / 2 - entropy mean(H)

    A rollout is gone through `epochs` times, every time in a fresh order and in `minibatches` equal parts.
    """

    gae_lambda: float = setting(0.95, low=0, high=1, help="lambda of generalized advantage estimation")
    clip_range: float = setting(0.2, above=0, help="clip range of the probability ratio")
    clip_range_vf: float = setting(0.0, low=0, help="value clip range per rollout; 0 disables")
    value_coefficient: float = setting(0.5, low=0, help="weight of the value loss")
    target_kl: float = setting(
        0.0, low=0, help="stop learning from a rollout when the KL exceeds 1.5 x target, in nats; 0 disables"
    )
    epochs: int = setting(4, low=1, help="passes over a rollout")
    minibatches: int = setting(4, low=1, help="gradient steps per epoch")
    normalize_advantages: bool = setting(True, help="standardize the advantages of a minibatch")

    def check(self) -> None:
        """Raise a `UsageError` where minibatches cannot be of one size, or are of one frame."""
        super().check()
        if self.units_per_step % self.minibatches:
            raise UsageError(
                f"num_envs {self.num_envs} times rollout {self.rollout} are {self.units_per_step} frames, "
                f"which cannot be split in {self.minibatches} equal minibatches"
            )
        if self.normalize_advantages:
            check_standardized(self.units_per_step // self.minibatches)

    def learn(
        self, model: Model, opt_state: Any, rollout: Rollout, key: jax.Array, iteration: jax.Array
    ) -> tuple[Model, Any, Metrics]:
        """Take the minibatch gradient steps of `epochs` passes over the rollout."""
        assert model.critic is not None
        value, advantage = estimates(model, rollout, self.discount, self.gae_lambda)
        frames = (rollout.observation, rollout.action, rollout.log_probability, value, advantage)
        frames = jax.tree.map(lambda x: x.reshape(self.units_per_step, *x.shape[2:]), frames)

        arrays, rest = eqx.partition(
            (model.policy, model.critic), eqx.is_array
        )  # a scan carries nothing else

        def update(carry: Any, batch: Any) -> Any:
            arrays, opt_state, going = carry
            networks, moved, _, metrics = descent.gradient_step(
                self, lambda n: self.loss(n, *batch), eqx.combine(arrays, rest), opt_state, iteration
            )
            changed = eqx.filter(networks, eqx.is_array)
            going = going & ((metrics["approx_kl"].total <= 1.5 * self.target_kl) | (self.target_kl == 0))
            kept = jax.tree.map(
                lambda new, old: jnp.where(going, new, old), (changed, moved), (arrays, opt_state)
            )
            metrics = jax.tree.map(lambda x: jnp.where(going, x, 0.0), metrics)
            return (*kept, going), metrics

        def epoch(carry: Any, key: jax.Array) -> Any:
            order = permutation(key, self.units_per_step).reshape(self.minibatches, -1)
            return jax.lax.scan(update, carry, jax.tree.map(lambda x: x[order], frames))

        start = (arrays, opt_state, jnp.bool(True))
        (arrays, opt_state, _), metrics = jax.lax.scan(epoch, start, jax.random.split(key, self.epochs))
        policy, critic = eqx.combine(arrays, rest)
        return Model(policy, critic, model.observations), opt_state, jax.tree.map(jnp.sum, metrics)

    def loss(
        self,
        networks: Any,
        observation: jax.Array,
        action: jax.Array,
        log_probability: jax.Array,
        old_value: jax.Array,
        advantage: jax.Array,
    ) -> tuple[jax.Array, dict[str, Mean]]:
        """Return the loss of a minibatch and its metrics; arrays are (frames, ...)."""
        policy, critic = networks
        distribution = policy(observation)
        log_ratio = distribution.log_probability(action) - log_probability
        ratio = jnp.exp(log_ratio)
        gain = standardized(advantage) if self.normalize_advantages else advantage
        clipped = jnp.clip(ratio, 1 - self.clip_range, 1 + self.clip_range)
        surrogate = jnp.mean(jnp.minimum(ratio * gain, clipped * gain))
        entropy = jnp.mean(distribution.entropy())

        value, target = values(critic, observation), advantage + old_value
        bound = jnp.where(self.clip_range_vf > 0, self.clip_range_vf, jnp.inf)
        near = old_value + jnp.clip(value - old_value, -bound, bound)
        value_loss = 0.5 * jnp.mean(jnp.maximum((value - target) ** 2, (near - target) ** 2))

        total = -surrogate + self.value_coefficient * value_loss - self.entropy_coefficient * entropy
        # (ratio - 1) - log ratio: positive, and of less variance than -log ratio (Schulman 2020)
        kl = jnp.mean(jnp.expm1(log_ratio) - log_ratio)  # ratio - 1 would cancel
        outside = jnp.mean(jnp.abs(ratio - 1) > self.clip_range)
        return total, {
            "entropy": Mean(entropy), "value_loss": Mean(value_loss),
            "approx_kl": Mean(kl), "clip_fraction": Mean(outside),
        }  # fmt: skip
