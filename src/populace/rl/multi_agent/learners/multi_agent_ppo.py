"""What IPPO and MAPPO share: rollouts of all agents' policies, advantages, and the clipped update.

Schulman et al. 2017, "Proximal Policy Optimization Algorithms"; for several agents, Yu et al. 2022, "The
Surprising Effectiveness of PPO in Cooperative Multi-Agent Games".
"""

from abc import abstractmethod
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from populace.core.errors import UsageError
from populace.core.mean import Mean, Metrics
from populace.core.settings import setting
from populace.nn.modules.activations import ACTIVATIONS
from populace.optim import gradient_step as descent
from populace.optim.optimizers import Adam, Optimizer
from populace.optim.schedules import Constant, Schedule
from populace.rl.agents.running_statistics import Moments
from populace.rl.buffers.permutation import permutation
from populace.rl.multi_agent.learners.rollout import Hidden, Model, Rollout, State
from populace.rl.multi_agent.learners.team import Team
from populace.rl.multi_agent.networks.agents import AgentNetworks, check_sharing
from populace.rl.multi_agent.networks.recurrent import AnyNetworks, RecurrentNetworks, forget, step, unroll
from populace.rl.multi_agent.stepping import TeamLoopState
from populace.rl.multi_agent.task import View
from populace.rl.networks.distributions import Categorical
from populace.rl.targets.advantages import generalized_advantages, standardized


def policy(logits: jax.Array, available: jax.Array) -> Categorical:
    """Return the distribution over available actions; one that has none, as the dead, over all of them."""
    free = available | ~available.any(-1, keepdims=True)
    return Categorical(jnp.where(free, logits, -jnp.inf))


class MultiAgentPPO(Team):
    r"""Proximal policy optimization of N agents; a subclass says what critics see.

        A_i = generalized advantage estimates;  target_i = A_i + V_i;  ratio_i = pi(a_i|o_i) / pi_old(a_i|o_i)
        loss = -mean(min(ratio_i A_i, clip(ratio_i, 1 - clip, 1 + clip) A_i)) - entropy mean(H_i)
               + value_coefficient mean((V_i - target_i)^2) / 2

    The mean of the policy's terms is over agents that are alive and act; actions that are unavailable have
    probability 0, and no part in the entropy. With `normalize_values` critics learn standardized targets, and
    their values are multiplied out again before advantages are made of them. With `recurrent` each agent has
    a GRU, whose state is 0 at the start of every episode, and minibatches are whole rollouts of some
    environments; else they are single steps.
    """

    num_envs: int = setting(16, low=1, help="parallel environments per member")
    rollout: int = setting(128, low=1, help="steps of each environment per iteration")
    learning_rate: float = descent.learning_rate(5e-4)
    optimizer: Optimizer = descent.optimizer(Adam(eps=1e-5))
    schedule: Schedule = descent.schedule(Constant())
    weight_decay: float | None = descent.weight_decay(None)
    max_gradient_norm: float = descent.max_gradient_norm(0.5)
    discount: float = setting(0.99, low=0, high=1, help="discount per step")
    gae_lambda: float = setting(0.95, low=0, high=1, help="lambda of generalized advantage estimation")
    clip_range: float = setting(0.2, above=0, help="clip range of the probability ratio")
    value_coefficient: float = setting(0.5, low=0, help="weight of the value loss")
    entropy_coefficient: float = setting(
        0.01, low=0, help="weight of the policies' entropy (nats) in the loss"
    )
    epochs: int = setting(4, low=1, help="passes over a rollout")
    minibatches: int = setting(4, low=1, help="gradient steps per epoch")
    hidden_sizes: tuple[int, ...] = setting((64, 64), low=1, help="widths of the hidden layers")
    activation: str = setting("tanh", choices=tuple(ACTIVATIONS), help="hidden activation")
    recurrent: bool = setting(False, help="a GRU of the last width in policies and critics")
    parameter_sharing: bool = setting(True, help="one policy and critic for all agents; false: one each")
    agent_ids: bool = setting(True, help="tell the agents that share networks apart by their number")
    normalize_values: bool = setting(
        True, help="standardize the targets of the critics by running statistics"
    )
    team_rewards: bool = setting(False, help="each agent learns from the team's reward instead of its own")

    @property
    def units_per_step(self) -> int:
        """Frames per iteration."""
        return self.num_envs * self.rollout

    @property
    @abstractmethod
    def critic_inputs(self) -> int:
        """Numbers that a critic sees."""

    @abstractmethod
    def criticized(self, view: View) -> jax.Array:
        """Return what the critics see, (..., N, critic_inputs)."""

    def check(self) -> None:
        """Raise a `UsageError` for settings that do not fit each other, or the environment."""
        super().check()
        check_sharing(self.task, self.parameter_sharing)
        parts = self.num_envs if self.recurrent else self.units_per_step
        if parts % self.minibatches:
            what = f"num_envs {self.num_envs}"
            if not self.recurrent:
                what += f" times rollout {self.rollout}, {parts} frames,"
            raise UsageError(f"{what} cannot be split in {self.minibatches} equal minibatches")
        if self.recurrent and not self.hidden_sizes:
            raise UsageError("recurrent networks need hidden_sizes, whose last one is the width of the GRU")

    def networks(self, inputs: int, outputs: int, gain: float, key: jax.Array) -> AnyNetworks:
        """Return new networks of all agents."""
        kind = RecurrentNetworks if self.recurrent else AgentNetworks
        return kind(
            self.task.team, inputs, self.hidden_sizes, outputs, sharing=self.parameter_sharing,
            ids=self.agent_ids, activation=self.activation, gain=gain, key=key,
        )  # fmt: skip

    def memory(self, copies: int) -> Hidden:
        """Return hidden states of 0."""
        nothing = jnp.zeros((copies, self.task.team, self.hidden_sizes[-1] if self.recurrent else 1))
        return Hidden(nothing, nothing)

    def init(self, key: jax.Array) -> State:
        """Return new networks and freshly reset environments."""
        task = self.task
        actor_key, critic_key, world_key = jax.random.split(key, 3)
        # A small last layer of the policy helps (Andrychowicz et al. 2021).
        actor = self.networks(task.features, task.most_actions, 0.01, actor_key)
        critic = self.networks(self.critic_inputs, 1, 1.0, critic_key)
        model = Model(actor, critic, Moments() if self.normalize_values else None)
        acting = TeamLoopState.start(task, world_key, self.num_envs)
        opt_state = descent.initial_opt_state(self, (actor, critic))
        return State(model, opt_state, self.memory(self.num_envs), acting)

    def step(self, state: State, key: jax.Array) -> tuple[State, Metrics]:
        """Collect a rollout, and learn from it."""
        act_key, learn_key = jax.random.split(key)
        iteration = state.acting.frames // self.units_per_step
        state, rollout, acted = self.interact(state, act_key)
        model, opt_state, learned = self.learn(state.model, state.opt_state, rollout, learn_key, iteration)
        return State(model, opt_state, state.hidden, state.acting), {**acted, **learned}

    def act(self, model: Model, view: View, memory: Hidden) -> tuple[jax.Array, Hidden]:
        """Return each agent's likeliest available action."""
        logits, hidden = step(model.actor, view.observation, memory.actor)
        return policy(logits, view.available).mode().astype(jnp.int32), Hidden(hidden, memory.critic)

    def model(self, state: State) -> Model:
        """Return the networks."""
        return state.model

    def value(self, model: Model, outputs: jax.Array) -> jax.Array:
        """Return values in units of rewards (...) of a critic's outputs (..., 1)."""
        return outputs[..., 0] if model.targets is None else model.targets.denormalize(outputs[..., 0])

    def interact(self, state: State, key: jax.Array) -> tuple[State, Rollout, dict[str, Mean]]:
        """Collect a rollout."""
        task, model = self.task, state.model
        noise_key, world_key = jax.random.split(key)
        shape = (self.rollout, self.num_envs, task.team, task.most_actions)
        noise, keys = jax.random.gumbel(noise_key, shape), jax.random.split(world_key, self.rollout)

        def one(carry: tuple[Hidden, TeamLoopState], now: Any) -> Any:
            hidden, acting = carry
            noise, key = now
            view = acting.view
            logits, actor = step(model.actor, view.observation, hidden.actor)
            distribution = policy(logits, view.available)
            action = distribution.sample(noise).astype(jnp.int32)
            values, critic = step(model.critic, self.criticized(view), hidden.critic)
            acting, moved, done, metrics = acting.act(task, key, action)
            following, _ = step(model.critic, self.criticized(moved.last), critic)
            reward = moved.reward
            if self.team_rewards:
                reward = jnp.broadcast_to(task.team_reward(reward)[:, None], reward.shape)
            terminated, ended = moved.terminated[:, None], done[:, None]
            if not self.team_rewards:  # a team's reward goes on after the part of an agent
                terminated, ended = terminated | ~moved.last.alive, ended | ~acting.view.alive
            found = Rollout(
                view=view, action=action, log_probability=distribution.log_probability(action),
                value=self.value(model, values), next_value=self.value(model, following), reward=reward,
                terminated=jnp.broadcast_to(terminated, reward.shape),
                ended=jnp.broadcast_to(ended, reward.shape), done=done, hidden=hidden,
            )  # fmt: skip
            hidden = Hidden(forget(actor, done), forget(critic, done))
            return (hidden, acting), (found, metrics)

        (hidden, acting), (rollout, metrics) = jax.lax.scan(one, (state.hidden, state.acting), (noise, keys))
        rollout = eqx.tree_at(lambda r: r.hidden, rollout, state.hidden)
        metrics = jax.tree.map(lambda x: x.sum(0), metrics)
        return State(model, state.opt_state, hidden, acting), rollout, metrics

    def advantages(self, rollout: Rollout) -> jax.Array:
        """Return the generalized advantages of all agents, (T, E, N)."""
        return generalized_advantages(
            rollout.reward, rollout.terminated, rollout.ended, rollout.value, rollout.next_value,
            self.discount, self.gae_lambda,
        )  # fmt: skip

    def learn(
        self, model: Model, opt_state: Any, rollout: Rollout, key: jax.Array, iteration: jax.Array
    ) -> tuple[Model, Any, Metrics]:
        """Take the minibatch gradient steps of `epochs` passes over the rollout."""
        advantage = self.advantages(rollout)
        target, targets = advantage + rollout.value, model.targets
        if targets is not None:
            targets = targets.update(target)
            target = targets.normalize(target)
        data = (rollout.view, rollout.action, rollout.log_probability, advantage, target, rollout.done)
        if not self.recurrent:  # every step is by itself: one step of time in many environments
            data = jax.tree.map(lambda x: x.reshape(1, -1, *x.shape[2:]), data)
        parts = data[1].shape[1]
        empty = jnp.zeros((parts, self.task.team, 1))
        hidden = rollout.hidden if self.recurrent else Hidden(empty, empty)
        arrays, rest = eqx.partition((model.actor, model.critic), eqx.is_array)  # a scan carries nothing else

        def update(carry: Any, rows: jax.Array) -> Any:
            arrays, opt_state = carry
            batch = jax.tree.map(lambda x: x[:, rows], data)
            start = jax.tree.map(lambda x: x[rows], hidden)
            networks, opt_state, _, metrics = descent.gradient_step(
                self, lambda n: self.loss(n, start, *batch), eqx.combine(arrays, rest), opt_state, iteration
            )
            return (eqx.filter(networks, eqx.is_array), opt_state), metrics

        def epoch(carry: Any, key: jax.Array) -> Any:
            return jax.lax.scan(update, carry, permutation(key, parts).reshape(self.minibatches, -1))

        keys = jax.random.split(key, self.epochs)
        (arrays, opt_state), metrics = jax.lax.scan(epoch, (arrays, opt_state), keys)
        actor, critic = eqx.combine(arrays, rest)
        return Model(actor, critic, targets), opt_state, jax.tree.map(jnp.sum, metrics)

    def loss(
        self, networks: tuple[AnyNetworks, AnyNetworks], hidden: Hidden, view: View, action: jax.Array,
        log_probability: jax.Array, advantage: jax.Array, target: jax.Array, done: jax.Array,
    ) -> tuple[jax.Array, dict[str, Mean]]:  # fmt: skip
        """Return the loss of a minibatch and its metrics; arrays are (T, B, ...), hidden states (B, N, H)."""
        actor, critic = networks
        logits, _ = unroll(actor, view.observation, hidden.actor, done)
        outputs, _ = unroll(critic, self.criticized(view), hidden.critic, done)
        distribution = policy(logits, view.available)
        acts = (view.alive & view.acting).astype(jnp.float32)
        count = jnp.maximum(acts.sum(), 1.0)

        def mean(x: jax.Array) -> jax.Array:
            return jnp.sum(jnp.where(acts > 0, x, 0.0)) / count

        log_ratio = jnp.where(acts > 0, distribution.log_probability(action) - log_probability, 0.0)
        ratio = jnp.exp(log_ratio)
        gain = standardized(advantage, acts)
        clipped = jnp.clip(ratio, 1 - self.clip_range, 1 + self.clip_range)
        surrogate = mean(jnp.minimum(ratio * gain, clipped * gain))
        entropy = mean(distribution.entropy())
        # The team's value of an agent that died is learned still; its own is known to be 0.
        valued = jnp.ones_like(acts) if self.team_rewards else view.alive.astype(jnp.float32)
        errors = jnp.where(valued > 0, (outputs[..., 0] - target) ** 2, 0.0)
        value_loss = 0.5 * jnp.sum(errors) / jnp.maximum(valued.sum(), 1.0)
        total = -surrogate + self.value_coefficient * value_loss - self.entropy_coefficient * entropy
        kl = mean(jnp.expm1(log_ratio) - log_ratio)  # as for one agent: `agents/ppo`
        outside = mean((jnp.abs(ratio - 1) > self.clip_range).astype(jnp.float32))
        return total, {
            "entropy": Mean(entropy), "value_loss": Mean(value_loss),
            "approx_kl": Mean(kl), "clip_fraction": Mean(outside),
        }  # fmt: skip
