"""REINFORCE: the Monte-Carlo policy gradient of Williams 1992, with and without a baseline.

"Simple statistical gradient-following algorithms for connectionist reinforcement learning"; the baseline that
depends on the state as in Sutton & Barto 2018, section 13.4.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from populace.core.learner import Mean, Metrics
from populace.core.settings import setting
from populace.rl.agents.on_policy import Model, PolicyGradient, Rollout, State, values
from populace.rl.environments.stepping import EnvLoopState
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

    rollout: int = setting(500, low=1, help="steps after which an episode is cut")
    learning_rate: float = setting(3e-3, above=0, help="step size of Adam")
    max_gradient_norm: float = setting(
        0.0, low=0, help="gradients are shortened to this norm; 0: they are not"
    )
    baseline: bool = setting(True, help="subtract a learned value of the state from the return")
    baseline_updates: int = setting(8, low=1, help="gradient steps of the baseline per iteration")
    normalize_advantages: bool = setting(False, help="standardize what weighs the log probabilities")

    @property
    def has_critic(self) -> bool:
        """Whether there is a baseline."""
        return self.baseline

    def interact(self, state: State, key: jax.Array) -> tuple[State, Rollout, dict[str, Mean]]:
        """Begin new episodes, and play them."""
        start_key, key = jax.random.split(key)
        fresh = EnvLoopState.start(self.task, start_key, self.num_envs)
        counts = state.acting.frames, state.acting.episodes
        fresh = eqx.tree_at(lambda a: (a.frames, a.episodes), fresh, counts)
        returns = state.returns
        if returns is not None:
            returns = eqx.tree_at(lambda r: r.running, returns, jnp.zeros(self.num_envs))
        state = State(state.model, state.optimisers, fresh, returns)
        return super().interact(state, key)

    def learn(
        self, model: Model, optimisers: tuple[Any, ...], rollout: Rollout, key: jax.Array, rate: jax.Array
    ) -> tuple[Model, tuple[Any, ...], Metrics]:
        """Take one gradient step of the policy, and then those of the baseline."""
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

        def loss(networks: Any) -> tuple[jax.Array, Metrics]:
            distribution = networks[0](rollout.observation)
            weighed = counts * advantage * distribution.log_probability(rollout.action)
            steps = counts.sum()
            entropy = jnp.sum(counts * distribution.entropy())
            total = -jnp.sum(weighed) / self.num_envs - self.entropy_coefficient * entropy / steps
            return total, {"entropy": Mean(entropy, steps)}

        (policy,), policy_optimiser, metrics = self.improve(loss, (model.policy,), optimisers[:1], rate)
        critic, baseline_optimiser = model.critic, optimisers[1:]
        if critic is not None:
            critic, baseline_optimiser, error = self._fit(critic, baseline_optimiser, rollout, returns, rate)
            metrics = {**metrics, "value_loss": error}
        return Model(policy, critic, model.observations), (*policy_optimiser, *baseline_optimiser), metrics

    def _fit(
        self, critic: Any, optimiser: tuple[Any, ...], rollout: Rollout, returns: jax.Array, rate: jax.Array
    ) -> tuple[Any, tuple[Any, ...], Mean]:
        """Fit the baseline to the returns by least squares."""
        counts = first_episodes(rollout.done)

        def loss(networks: Any) -> tuple[jax.Array, jax.Array]:
            error = (values(networks[0], rollout.observation) - returns) ** 2
            mean = 0.5 * jnp.sum(counts * error) / counts.sum()
            return mean, mean

        def step(carry: Any, _: None) -> Any:
            networks, optimiser = carry
            networks, optimiser, error = self.improve(loss, networks, optimiser, rate)
            return (networks, optimiser), error

        start = ((critic,), optimiser)
        ((critic,), optimiser), errors = jax.lax.scan(step, start, None, self.baseline_updates)
        return critic, optimiser, Mean(errors.sum(), self.baseline_updates)


def first_episodes(done: jax.Array) -> jax.Array:
    """Return 1.0 up to the end of a copy's first episode, 0.0 after it; done is (steps, copies)."""
    ended_before = jnp.cumsum(done, axis=0) - done
    return (ended_before == 0).astype(jnp.float32)
