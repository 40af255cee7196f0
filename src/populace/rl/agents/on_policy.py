"""What the policy-gradient learners share: acting by a stochastic policy for a rollout, and a gradient step.

A learner adds `learn`: how the networks change by one rollout.
"""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

from populace.core.learner import Mean, Metrics
from populace.core.outline import Step, chained
from populace.core.settings import setting
from populace.rl.agents.agent import Agent
from populace.rl.agents.running_statistics import Moments, Returns
from populace.rl.environments.stepping import EnvLoopState
from populace.rl.networks.actor_critic import Policy
from populace.rl.networks.mlp import ACTIVATIONS, Network
from populace.rl.spaces import features, flat, to_env_action
from populace.rl.targets.advantages import generalized_advantages

Networks = tuple[Any, ...]


class Model(eqx.Module):
    """What acting and judging need: the networks, and how observations are normalized for them."""

    policy: Policy
    critic: Network | None
    observations: Moments | None

    def wiring(self) -> list[Step]:
        """Return the parts: policy and critic side by side, both of normalized observations."""
        steps = chained([("observations", self.observations)])
        heard = tuple(name for name, _, _ in steps)
        return [*steps, ("policy", self.policy, heard), ("critic", self.critic, heard)]


class State(eqx.Module):
    """What a policy-gradient learner carries; `optimisers` belong to policy and critic, in this order."""

    model: Model
    optimisers: tuple[Any, ...]
    acting: EnvLoopState
    returns: Returns | None


class Rollout(eqx.Module):
    """What happened in `steps` steps of all copies; every leaf is (steps, copies, ...).

    Attributes:
        observation: features of what was seen, normalized as the policy saw them.
        action: as drawn, before it was fitted to the environment's bounds.
        log_probability: of that action, under the policy that drew it.
        reward: as scaled for learning.
        terminated: whether nothing can follow.
        done: whether the episode ended: terminated or truncated.
        next_observation: features of what was seen after the step, before any restart.

    """

    observation: jax.Array
    action: jax.Array
    log_probability: jax.Array
    reward: jax.Array
    terminated: jax.Array
    done: jax.Array
    next_observation: jax.Array


class PolicyGradient(Agent):
    """An agent that acts by a stochastic policy and learns from whole rollouts, each used up at once.

    One iteration takes `rollout` steps in each of `num_envs` environments, by the same policy, and then
    learns.
    Statistics of observations are taken up after the rollout, so that policy, update and probabilities speak
    of the same features.
    """

    controls: ClassVar[tuple[str, ...]] = ("discrete", "continuous")

    num_envs: int = setting(8, low=1, help="copies of the environment that one member acts in")
    rollout: int = setting(128, low=1, help="steps of each environment per iteration")
    learning_rate: float = setting(3e-4, above=0, help="step size of the optimiser")
    lr_decay_frames: float = setting(
        0.0, low=0, help="frames over which the step size falls to 0; 0: it does not"
    )
    discount: float = setting(0.99, low=0, high=1, help="discount per frame")
    entropy_coefficient: float = setting(
        0.0, low=0, help="weight of the policy's entropy, in nats, in the objective"
    )
    max_gradient_norm: float = setting(
        0.5, low=0, help="gradients are shortened to this norm; 0: they are not"
    )
    hidden_sizes: tuple[int, ...] = setting((64, 64), low=1, help="widths of the hidden layers")
    activation: str = setting("tanh", choices=tuple(ACTIVATIONS), help="what follows each hidden layer")
    init_std: float = setting(
        1.0, above=0, help="standard deviation that continuous actions start with; 1 is half the box"
    )
    normalize_observations: bool = setting(False, help="give networks observations of mean 0, deviation 1")
    normalize_rewards: bool = setting(False, help="divide rewards by the deviation of discounted returns")

    @property
    def units_per_step(self) -> int:
        """Frames per iteration."""
        return self.num_envs * self.rollout

    @property
    def rule(self) -> optax.GradientTransformation:
        """The optimiser's rule, without its step size."""
        return optax.scale_by_adam(eps=1e-5)

    @property
    def has_critic(self) -> bool:
        """Whether there is a value network."""
        return True

    @abstractmethod
    def learn(
        self, model: Model, optimisers: tuple[Any, ...], rollout: Rollout, key: jax.Array, rate: jax.Array
    ) -> tuple[Model, tuple[Any, ...], Metrics]:
        """Return the model and the optimisers after one rollout; `rate` is the step size by now."""

    def init(self, key: jax.Array) -> State:
        """Return fresh networks, and environments at their start."""
        policy_key, critic_key, world_key = jax.random.split(key, 3)
        task = self.task
        policy = Policy(task, self.hidden_sizes, self.activation, self.init_std, policy_key)
        critic = None
        if self.has_critic:
            critic = Network(features(task), self.hidden_sizes, 1, 1.0, self.activation, critic_key)
        seen = Moments((features(task),)) if self.normalize_observations else None
        return State(
            model=Model(policy, critic, seen),
            optimisers=tuple(self.rule.init(eqx.filter(x, eqx.is_array)) for x in (policy, critic)),
            acting=EnvLoopState.start(task, world_key, self.num_envs),
            returns=Returns(self.num_envs) if self.normalize_rewards else None,
        )

    def step(self, state: State, key: jax.Array) -> tuple[State, Metrics]:
        """Act for a rollout, and learn from it."""
        act_key, learn_key = jax.random.split(key)
        rate = self.rate(state.acting.frames)
        state, rollout, acted = self.interact(state, act_key)
        model, optimisers, learned = self.learn(state.model, state.optimisers, rollout, learn_key, rate)
        return State(model, optimisers, state.acting, state.returns), {**acted, **learned}

    def act(self, model: Model, observation: jax.Array) -> jax.Array:
        """Return the mode of the policy: the likeliest action, or the mean, within its bounds."""
        return to_env_action(self.task, model.policy(self._see(model, observation)).mode())

    def model(self, state: State) -> Model:
        """Return networks and normalization."""
        return state.model

    def rate(self, frames: jax.Array) -> jax.Array:
        """Return the step size after so many frames: `learning_rate * max(0, 1 - frames / anneal)`."""
        left = jnp.maximum(
            0.0, 1 - frames / jnp.where(self.lr_decay_frames > 0, self.lr_decay_frames, jnp.inf)
        )
        return self.learning_rate * left

    def interact(self, state: State, key: jax.Array) -> tuple[State, Rollout, dict[str, Mean]]:
        """Act for a rollout, and take its statistics up."""
        task, model = self.task, state.model
        noise_key, world_key = jax.random.split(key)
        noise = model.policy.noise(noise_key, (self.rollout, self.num_envs))
        keys = jax.random.split(world_key, self.rollout)

        def step(acting: EnvLoopState, now: Any) -> Any:
            noise, key = now
            distribution = model.policy(self._see(model, acting.observation))
            action = distribution.sample(noise)
            acting, happened, done, metrics = acting.act(task, key, to_env_action(task, action))
            drawn = action, distribution.log_probability(action)
            return acting, (happened, done, drawn, metrics)

        acting, (happened, done, drawn, metrics) = jax.lax.scan(step, state.acting, (noise, keys))
        reward, returns, seen = happened.reward, state.returns, model.observations
        if returns is not None:
            returns = returns.update(reward, done, self.discount)
            reward = returns.moments.scale(reward)
        if seen is not None:
            seen = seen.update(flat(task, happened.observation))
        rollout = Rollout(
            observation=self._see(model, happened.observation),
            action=drawn[0],
            log_probability=drawn[1],
            reward=reward,
            terminated=happened.terminated,
            done=done,
            next_observation=self._see(model, happened.next_observation),
        )
        model = Model(model.policy, model.critic, seen)
        metrics = jax.tree.map(lambda x: x.sum(0), metrics)
        return State(model, state.optimisers, acting, returns), rollout, metrics

    def improve(
        self,
        loss: Callable[..., tuple[jax.Array, Any]],
        parts: Networks,
        optimisers: Networks,
        rate: jax.Array,
    ) -> tuple[Networks, Networks, Any]:
        """Take one gradient step down `loss(parts)`, which returns the loss and what else is wanted.

        Returns:
            the changed parts, their optimisers, and what else the loss returned.

        """
        (_, other), gradients = eqx.filter_value_and_grad(loss, has_aux=True)(parts)
        norm = optax.tree.norm(gradients)
        limit = jnp.where(self.max_gradient_norm > 0, self.max_gradient_norm, jnp.inf)
        shorter = jnp.minimum(1.0, limit / (norm + 1e-6))
        changed, kept = [], []
        for part, gradient, optimiser in zip(parts, gradients, optimisers):
            gradient = jax.tree.map(lambda g: g * shorter, gradient)
            direction, optimiser = self.rule.update(gradient, optimiser)
            changed.append(eqx.apply_updates(part, jax.tree.map(lambda d: -rate * d, direction)))
            kept.append(optimiser)
        return tuple(changed), tuple(kept), other

    def _see(self, model: Model, observation: jax.Array) -> jax.Array:
        """Return the features of observations (..., *shape), normalized if they are to be."""
        x = flat(self.task, observation)
        return x if model.observations is None else model.observations.normalize(x)


def estimates(
    model: Model, rollout: Rollout, discount: jax.Array | float, gae_lambda: jax.Array | float
) -> tuple[jax.Array, jax.Array]:
    """Return the values of what was seen and the generalized advantages of what was done, (steps, copies)."""
    assert model.critic is not None
    value, next_value = (values(model.critic, x) for x in (rollout.observation, rollout.next_observation))
    advantage = generalized_advantages(
        rollout.reward, rollout.terminated, rollout.done, value, next_value, discount, gae_lambda
    )
    return value, advantage


def values(critic: Network, x: jax.Array) -> jax.Array:
    """Return the value of features (..., F): (...)."""
    return critic(x)[..., 0]
