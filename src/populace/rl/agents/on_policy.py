"""What policy-gradient learners share: rollouts of a stochastic policy, and the networks.

A subclass defines `learn`, the update from one rollout.
"""

from abc import abstractmethod
from typing import Any, ClassVar

import equinox as eqx
import jax

from populace.core.errors import UsageError
from populace.core.mean import Mean, Metrics
from populace.core.model.outline import Step, chained
from populace.core.settings import setting
from populace.nn.modules.activations import ACTIVATIONS
from populace.nn.modules.custom import NetworkFn
from populace.optim import gradient_step as descent
from populace.optim.optimizers import Adam, Optimizer
from populace.optim.schedules import Constant, Schedule
from populace.rl.agents.agent import Agent
from populace.rl.agents.running_statistics import Moments, Returns
from populace.rl.environments.stepping import EnvLoopState
from populace.rl.networks import actor_critic, custom
from populace.rl.networks.actor_critic import Policy
from populace.rl.networks.custom import PerExample
from populace.rl.networks.mlp import Network
from populace.rl.spaces import features, flat, to_env_action
from populace.rl.targets.advantages import generalized_advantages


class Model(eqx.Module):
    """What acting and evaluation need: the networks, and the statistics that normalize observations."""

    policy: Policy
    critic: Network | PerExample | None
    observations: Moments | None

    def wiring(self) -> list[Step]:
        """Return the parts: policy and critic side by side, both fed with normalized observations."""
        steps = chained([("observations", self.observations)])
        heard = tuple(name for name, _, _ in steps)
        return [*steps, ("policy", self.policy, heard), ("critic", self.critic, heard)]


class State(eqx.Module):
    """What a policy-gradient learner carries."""

    model: Model
    opt_state: Any
    acting: EnvLoopState
    returns: Returns | None


class Rollout(eqx.Module):
    """The transitions of `steps` steps in all environments; every leaf is (steps, environments, ...).

    Attributes:
        observation: features of the observation, normalized as the policy saw them.
        action: as sampled, before clipping to the environment's bounds.
        log_probability: of that action, under the policy that sampled it.
        reward: as scaled for learning.
        terminated: whether the task ended, so that nothing is bootstrapped.
        done: whether the episode ended: terminated or truncated.
        next_observation: features of the observation after the step, before any reset.

    """

    observation: jax.Array
    action: jax.Array
    log_probability: jax.Array
    reward: jax.Array
    terminated: jax.Array
    done: jax.Array
    next_observation: jax.Array


class PolicyGradient(Agent):
    """An agent that acts by a stochastic policy and learns on-policy from whole rollouts.

    One iteration takes `rollout` steps in each of `num_envs` environments with one policy, and then learns.
    Statistics of observations are updated after the rollout, so that the policy, the update and the
    log-probabilities use the same features.
    """

    controls: ClassVar[tuple[str, ...]] = ("discrete", "continuous")

    network_fn: NetworkFn | None = eqx.field(default=None, static=True)
    """A network of your own, for policy and critic; `network_fn(inputs, outputs, key)` returns a module."""

    num_envs: int = setting(8, low=1, help="parallel environments per member")
    rollout: int = setting(128, low=1, help="steps of each environment per iteration")
    learning_rate: float = descent.learning_rate(3e-4)
    optimizer: Optimizer = descent.optimizer(Adam(eps=1e-5))
    schedule: Schedule = descent.schedule(Constant())
    weight_decay: float | None = descent.weight_decay(None)
    max_gradient_norm: float = descent.max_gradient_norm(0.5)
    discount: float = setting(0.99, low=0, high=1, help="discount per frame")
    entropy_coefficient: float = setting(0.0, low=0, help="weight of the policy's entropy (nats) in the loss")
    hidden_sizes: tuple[int, ...] = setting((64, 64), low=1, help="widths of the hidden layers")
    activation: str = setting("tanh", choices=tuple(ACTIVATIONS), help="hidden activation")
    init_std: float = setting(
        1.0, above=0, help="initial standard deviation of continuous actions; 1 is half the box"
    )
    normalize_observations: bool = setting(
        False, help="standardize observations by their running mean and deviation"
    )
    normalize_rewards: bool = setting(
        False, help="divide rewards by the running deviation of discounted returns"
    )

    @property
    def units_per_step(self) -> int:
        """Frames per iteration."""
        return self.num_envs * self.rollout

    @property
    def has_critic(self) -> bool:
        """Whether there is a value network."""
        return True

    @abstractmethod
    def learn(
        self, model: Model, opt_state: Any, rollout: Rollout, key: jax.Array, iteration: jax.Array
    ) -> tuple[Model, Any, Metrics]:
        """Return the model and the optimizer's state after one rollout; `iteration` counts from 0."""

    def initial_opt_state(self, policy: Policy, critic: Any) -> Any:
        """Return what the optimizer remembers at first: of policy and critic together."""
        return descent.initial_opt_state(self, (policy, critic))

    def check(self) -> None:
        """Raise a `UsageError` where the user's own network does not fit the environment."""
        super().check()
        if self.network_fn is not None:
            for outputs in (actor_critic.outputs(self.task), *[1] * self.has_critic):
                custom.check(self.network_fn, self.task, outputs)

    def build(self, outputs: int, gain: float, key: jax.Array) -> Network | PerExample:
        """Return a fresh network of features; `gain` scales the last layer of the built-in one."""
        if self.network_fn is not None:
            return custom.per_example(self.network_fn, self.task, outputs, key)
        return Network(features(self.task), self.hidden_sizes, outputs, gain, self.activation, key)

    def init(self, key: jax.Array) -> State:
        """Return new networks and freshly reset environments."""
        policy_key, critic_key, world_key = jax.random.split(key, 3)
        task = self.task
        # A small last layer of the policy helps (Andrychowicz et al. 2021).
        policy = Policy(task, self.build(actor_critic.outputs(task), 0.01, policy_key), self.init_std)
        critic = self.build(1, 1.0, critic_key) if self.has_critic else None
        seen = Moments((features(task),)) if self.normalize_observations else None
        return State(
            model=Model(policy, critic, seen),
            opt_state=self.initial_opt_state(policy, critic),
            acting=EnvLoopState.start(task, world_key, self.num_envs),
            returns=Returns(self.num_envs) if self.normalize_rewards else None,
        )

    def step(self, state: State, key: jax.Array) -> tuple[State, Metrics]:
        """Collect a rollout, and learn from it."""
        act_key, learn_key = jax.random.split(key)
        iteration = state.acting.frames // self.units_per_step
        state, rollout, acted = self.interact(state, act_key)
        model, opt_state, learned = self.learn(state.model, state.opt_state, rollout, learn_key, iteration)
        return State(model, opt_state, state.acting, state.returns), {**acted, **learned}

    def act(self, model: Model, observation: jax.Array) -> jax.Array:
        """Return the mode of the policy: the most probable action, or the mean clipped to the bounds."""
        return to_env_action(self.task, model.policy(self._see(model, observation)).mode())

    def model(self, state: State) -> Model:
        """Return the networks and the observation statistics."""
        return state.model

    def interact(self, state: State, key: jax.Array) -> tuple[State, Rollout, dict[str, Mean]]:
        """Collect a rollout, and update the running statistics with it."""
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
            seen = seen.update(flat(task, happened.observation, self.input_scale))
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
        return State(model, state.opt_state, acting, returns), rollout, metrics

    def _see(self, model: Model, observation: jax.Array) -> jax.Array:
        """Return the features of observations (..., *shape), normalized by the model's statistics if any."""
        x = flat(self.task, observation, self.input_scale)
        return x if model.observations is None else model.observations.normalize(x)


def estimates(
    model: Model, rollout: Rollout, discount: jax.Array | float, gae_lambda: jax.Array | float
) -> tuple[jax.Array, jax.Array]:
    """Return the state values and the generalized advantages of a rollout, each (steps, environments)."""
    assert model.critic is not None
    value, next_value = (values(model.critic, x) for x in (rollout.observation, rollout.next_observation))
    advantage = generalized_advantages(
        rollout.reward, rollout.terminated, rollout.done, value, next_value, discount, gae_lambda
    )
    return value, advantage


def check_standardized(frames: int) -> None:
    """Raise a `UsageError` where advantages cannot be standardized: of a single one nothing is left."""
    if frames < 2:
        raise UsageError(
            "normalize_advantages needs at least 2 frames at a time, got 1, whose advantage would become 0; "
            "take more frames, or set normalize_advantages = false"
        )


def values(critic: Network | PerExample, x: jax.Array) -> jax.Array:
    """Return the value of features (..., F): (...)."""
    return critic(x)[..., 0]
