"""REINFORCE: the Monte-Carlo policy gradient of Williams 1992, with and without a baseline.

"Simple statistical gradient-following algorithms for connectionist reinforcement learning"; the baseline that
depends on the state as in Sutton & Barto 2018, section 13.4.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from populace.core.mean import Mean, Metrics
from populace.core.settings import setting
from populace.optim import gradient_step as descent
from populace.rl.agents.on_policy import Model, PolicyGradient, Rollout, State, check_standardized, values
from populace.rl.environments.stepping import EnvLoopState
from populace.rl.networks.actor_critic import Policy
from populace.rl.targets.advantages import discounted_returns, standardized


class Reinforce(PolicyGradient):
    r"""REINFORCE for discrete and continuous actions: one gradient step per batch of whole episodes.

    In every iteration each environment begins an episode anew, and that episode alone counts:

        G_t = sum_k discount^k r_{t+k}
        loss = -mean over episodes of sum_t (G_t - b(s_t)) log pi(a_t|s_t) - entropy mean(H)

    The baseline b is a value network, fitted to G by `baseline_updates` steps after the policy has been
    changed, or 0. An episode that `rollout` or the environment's clock cuts is bootstrapped by the baseline;
    without one there is no value to bootstrap by, and its return ends there.
    """

    rollout: int = setting(500, low=1, help="steps after which an episode is truncated")
    learning_rate: float = descent.learning_rate(3e-3)
    max_gradient_norm: float = descent.max_gradient_norm(0.0)
    baseline: bool = setting(True, help="subtract a learned state value from the return")
    baseline_updates: int = setting(8, low=1, help="gradient steps of the baseline per iteration")
    normalize_advantages: bool = setting(False, help="standardize the weights of the log-probabilities")

    def check(self) -> None:
        """Raise a `UsageError` where settings, network and environment do not fit together."""
        super().check()
        if self.normalize_advantages:
            check_standardized(self.units_per_step)

    @property
    def has_critic(self) -> bool:
        """Whether there is a baseline."""
        return self.baseline

    def initial_opt_state(self, policy: Policy, critic: Any) -> Any:
        """Return what the optimizer remembers at first: of policy and critic each by itself."""
        return tuple(descent.initial_opt_state(self, network) for network in (policy, critic))

    def interact(self, state: State, key: jax.Array) -> tuple[State, Rollout, dict[str, Mean]]:
        """Reset the environments, and collect a rollout of new episodes."""
        start_key, key = jax.random.split(key)
        fresh = EnvLoopState.start(self.task, start_key, self.num_envs)
        counts = state.acting.frames, state.acting.episodes
        fresh = eqx.tree_at(lambda a: (a.frames, a.episodes), fresh, counts)
        returns = state.returns
        if returns is not None:
            returns = eqx.tree_at(lambda r: r.running, returns, jnp.zeros(self.num_envs))
        state = State(state.model, state.opt_state, fresh, returns)
        return super().interact(state, key)

    def learn(
        self, model: Model, opt_state: Any, rollout: Rollout, key: jax.Array, iteration: jax.Array
    ) -> tuple[Model, Any, Metrics]:
        """Take one gradient step on the policy, and then `baseline_updates` on the baseline."""
        del key
        counts = first_episodes(rollout.done)
        value, next_value = jnp.zeros_like(rollout.reward), jnp.zeros_like(rollout.reward)
        if model.critic is not None:
            value = values(model.critic, rollout.observation)
            next_value = values(model.critic, rollout.next_observation)
        returns = discounted_returns(
            rollout.reward, rollout.terminated, rollout.done, next_value, self.discount
        )
        advantage = returns - value
        if self.normalize_advantages:
            advantage = standardized(advantage, counts)

        def loss(policy: Any) -> tuple[jax.Array, Metrics]:
            distribution = policy(rollout.observation)
            weighed = counts * advantage * distribution.log_probability(rollout.action)
            steps = counts.sum()
            entropy = jnp.sum(counts * distribution.entropy())
            total = -jnp.sum(weighed) / self.num_envs - self.entropy_coefficient * entropy / steps
            return total, {"entropy": Mean(entropy, steps)}

        policy_state, critic_state = opt_state
        policy, policy_state, _, metrics = descent.gradient_step(
            self, loss, model.policy, policy_state, iteration
        )
        critic = model.critic
        if critic is not None:
            critic, critic_state, error = self._fit(critic, critic_state, rollout, returns, iteration)
            metrics = {**metrics, "value_loss": error}
        return Model(policy, critic, model.observations), (policy_state, critic_state), metrics

    def _fit(
        self, critic: Any, opt_state: Any, rollout: Rollout, returns: jax.Array, iteration: jax.Array
    ) -> tuple[Any, Any, Mean]:
        """Fit the baseline to the returns by least squares."""
        counts = first_episodes(rollout.done)
        arrays, rest = eqx.partition(critic, eqx.is_array)  # a scan carries nothing else

        def loss(critic: Any) -> tuple[jax.Array, None]:
            error = (values(critic, rollout.observation) - returns) ** 2
            return 0.5 * jnp.sum(counts * error) / counts.sum(), None

        def step(carry: Any, _: None) -> Any:
            arrays, opt_state = carry
            critic, opt_state, error, _ = descent.gradient_step(
                self, loss, eqx.combine(arrays, rest), opt_state, iteration
            )
            return (eqx.filter(critic, eqx.is_array), opt_state), error

        (arrays, opt_state), errors = jax.lax.scan(step, (arrays, opt_state), None, self.baseline_updates)
        return eqx.combine(arrays, rest), opt_state, Mean(errors.sum(), self.baseline_updates)


def first_episodes(done: jax.Array) -> jax.Array:
    """Return 1.0 up to the end of a copy's first episode, 0.0 after it; done is (steps, copies)."""
    ended_before = jnp.cumsum(done, axis=0) - done
    return (ended_before == 0).astype(jnp.float32)
