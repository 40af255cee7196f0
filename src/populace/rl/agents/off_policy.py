"""What agents with action values and a replay buffer share: acting, storing, and a gradient step."""

from abc import abstractmethod
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from populace.core.errors import UsageError
from populace.core.mean import Mean, Metrics
from populace.core.settings import setting
from populace.nn.modules.custom import NetworkFn
from populace.optim import gradient_step as descent
from populace.optim.optimizers import Adam, Optimizer
from populace.optim.schedules import Constant, Schedule
from populace.rl.agents.agent import Agent
from populace.rl.buffers.prioritized import PrioritizedReplay
from populace.rl.buffers.replay import Replay, check_uint8
from populace.rl.environments.stepping import EnvLoopState, Transition, interactions
from populace.rl.exploration.strategies import EpsilonGreedy, Exploration, ExponentialDecay
from populace.rl.networks import custom
from populace.rl.networks.q_networks import QNetwork, convolves
from populace.rl.targets import (
    c51,  # noqa: F401  kinds of `distribution`
    quantile,  # noqa: F401  kinds of `distribution`
)
from populace.rl.targets.n_step import NStepTransition, NStepWindow
from populace.rl.targets.polyak import polyak
from populace.rl.targets.td import Distribution, Expectation, select_action_values

AnyQNetwork = QNetwork | custom.CustomQNetwork


class State(eqx.Module):
    """What training carries: networks, optimizer state, replay buffer, and the environments' states."""

    network: AnyQNetwork
    target: AnyQNetwork
    opt_state: Any
    replay: Any
    window: NStepWindow | None
    acting: EnvLoopState


class QLearner(Agent):
    """Learns action values with a network, from replayed transitions and a target network.

    A subclass defines `next_action`, the action whose value is bootstrapped from.
    """

    network_fn: NetworkFn | None = eqx.field(default=None, static=True)
    """A network of the user's own: `network_fn(inputs, outputs, key)` returns an Equinox module."""

    learning_rate: float = descent.learning_rate(1e-3)
    optimizer: Optimizer = descent.optimizer(Adam())
    schedule: Schedule = descent.schedule(Constant())
    weight_decay: float | None = descent.weight_decay(None)
    max_gradient_norm: float | None = descent.max_gradient_norm(None)
    discount: float = setting(0.99, low=0, high=1, help="discount per frame")
    exploration: Exploration = setting(ExponentialDecay(), help="exploration strategy")
    replay_capacity: float = setting(20_000.0, low=1, help="capacity of the replay buffer, transitions")
    replay_storage: int = setting(
        20_000,
        low=1,
        help="memory of the replay buffer, transitions; replay_capacity may be anything below it",
    )
    warmup: int = setting(1_000, low=0, help="frames of random actions before the first update")
    batch_size: int = setting(64, low=1, help="transitions per update")
    tau: float = setting(
        0.01, above=0, high=1, help="Polyak averaging coefficient of the target network; 1 copies the weights"
    )
    target_every: int = setting(1, low=1, help="iterations between two target updates")
    loss: str = setting("huber", choices=("huber", "mse"), help="loss of the TD error")
    hidden_sizes: tuple[int, ...] = setting((64, 64), low=1, help="widths of the hidden layers")
    rollout: int = setting(1, low=1, help="steps of each environment per iteration")
    gradient_steps: int = setting(1, low=1, help="gradient steps per iteration")
    network: str = setting(
        "auto",
        choices=("auto", "mlp", "conv"),
        help="network; auto: a convolution where observations are pictures",
    )
    channels: int = setting(16, low=1, help="channels of the convolution")
    dueling: bool = setting(False, help="separate streams of value and advantage")
    noisy: bool = setting(False, help="noisy linear layers, which explore")
    noisy_sigma: float = setting(0.5, low=0, help="initial strength of that noise")
    distribution: Distribution = setting(Expectation(), help="what the network gives of the return")
    n_step: int = setting(1, low=1, help="rewards summed before bootstrapping")
    prioritized: bool = setting(False, help="prioritize by TD error")
    priority_alpha: float = setting(0.6, low=0, high=1, help="priority exponent alpha; 0 is uniform")
    priority_beta: float = setting(0.4, low=0, high=1, help="initial importance-sampling exponent beta")
    beta_anneal_frames: float = setting(100_000.0, above=0, help="frames over which beta rises to 1")
    uint8_obs: bool = setting(False, help="store observations as bytes; they must be integers from 0 to 255")

    @property
    def units_per_step(self) -> int:
        """Frames per iteration."""
        return self.num_envs * self.rollout

    @abstractmethod
    def next_action(
        self, key: jax.Array, acting: EnvLoopState, online: jax.Array, target: jax.Array
    ) -> jax.Array:
        """Return the actions (B,) to bootstrap from, given both networks' values (B, A) of next states."""

    def check(self) -> None:
        """Raise a `UsageError` for settings that do not fit each other."""
        super().check()
        if self.replay_capacity > self.replay_storage:
            raise UsageError(
                f"replay_capacity {self.replay_capacity:g} is more than replay_storage "
                f"{self.replay_storage}; raise replay_storage"
            )
        if self.replay_capacity < self.batch_size:
            raise UsageError(
                f"replay_capacity {self.replay_capacity:g} is less than batch_size {self.batch_size}"
            )
        if self.warmup > self.replay_capacity:
            raise UsageError(
                f"warmup {self.warmup} is more than replay_capacity {self.replay_capacity:g}; "
                "the first of those frames would be forgotten before the first update"
            )
        self.exploration.check()
        if self.exploration.counts_visits:
            raise UsageError(
                f"exploration '{self.exploration.kind}' needs the visits of each state, which a network "
                "does not count; take another kind, such as linear or boltzmann"
            )
        if self.loss != "huber" and not isinstance(self.distribution, Expectation):
            raise UsageError(
                f"loss '{self.loss}' is only for distribution 'expected'; '{self.distribution.kind}' has its "
                "own loss; remove the setting loss"
            )
        self.distribution.check()
        if self.network_fn is None:
            convolves(self.network, self.task)
        elif self.dueling or self.noisy:
            raise UsageError(
                "dueling and noisy are layers of the built-in network; do without them, or network_fn"
            )
        else:
            outputs = self.task.actions * max(self.distribution.outputs, 1)
            custom.check(self.network_fn, self.task, outputs)
        if self.uint8_obs:
            check_uint8(self.task)

    def init(self, key: jax.Array) -> State:
        """Return a new network, an empty replay buffer, and freshly reset environments."""
        network_key, world_key = jax.random.split(key)
        network = self.build(network_key)
        acting = EnvLoopState.start(self.task, world_key, self.num_envs)
        seen = acting.observation[0].astype(jnp.uint8) if self.uint8_obs else acting.observation[0]
        example: Any = Transition(seen, jnp.int32(0), jnp.float32(0), seen, jnp.bool(False))
        window = None if self.n_step == 1 else NStepWindow(example, self.n_step, self.num_envs)
        if window is not None:
            example = NStepTransition(example, jnp.float32(0))
        memory = PrioritizedReplay if self.prioritized else Replay
        return State(
            network=network,
            target=jax.tree.map(lambda x: x, network),
            opt_state=descent.initial_opt_state(self, network),
            replay=memory(example, self.replay_storage, self.num_envs),
            window=window,
            acting=acting,
        )

    def build(self, key: jax.Array) -> AnyQNetwork:
        """Return a new network of action values."""
        outputs = self.distribution.outputs
        if self.network_fn is not None:
            return custom.q_network(self.network_fn, self.task, outputs, key, self.input_scale)
        return QNetwork(
            self.task, self.hidden_sizes, key=key, outputs=outputs, dueling=self.dueling,
            channels=self.channels if convolves(self.network, self.task) else 0,
            sigma=self.noisy_sigma if self.noisy else None, scale=self.input_scale,
        )  # fmt: skip

    def step(self, state: State, key: jax.Array) -> tuple[State, Metrics]:
        """Act, store the transitions, and take the gradient steps."""
        act_key, learn_key, noise_key = jax.random.split(key, 3)
        if self.rollout == 1:
            state, acted = self._interact(state, act_key)
        else:
            state, acted = interactions(self._interact, state, jax.random.split(act_key, self.rollout))
        losses = Mean(0.0, 0.0)
        for i in range(self.gradient_steps):
            state, loss = self._update(state, *(jax.random.fold_in(k, i) for k in (learn_key, noise_key)))
            losses = losses + loss
        # Once per iteration, however many gradient steps it takes.
        rate = jnp.where(self._iteration(state) % self.target_every == 0, self.tau, 0.0)
        target = polyak(state.target, state.network, rate)
        return eqx.tree_at(lambda s: s.target, state, target), acted | {"loss": losses}

    def act(self, model: AnyQNetwork, observation: jax.Array) -> jax.Array:
        """Return argmax_a Q(observation, a), without noise."""
        return jnp.argmax(self.distribution.expected(model(observation)))

    def model(self, state: State) -> AnyQNetwork:
        """Return the online network."""
        return state.network

    def with_model(self, state: State, model: AnyQNetwork) -> State:
        """Return a fresh state whose network and target begin with these weights."""
        return eqx.tree_at(lambda s: (s.network, s.target), state, (model, model))

    def clock(self, acting: EnvLoopState) -> tuple[jax.Array, jax.Array]:
        """Return the frames and episodes that exploration and replay schedules count."""
        return acting.frames, acting.episodes

    def _iteration(self, state: State) -> jax.Array:
        """Return the number of this iteration, from 1; the frames tell it, no count is carried by itself."""
        return state.acting.frames // self.units_per_step

    def _describe(
        self, network: AnyQNetwork, observation: jax.Array, key: jax.Array, stream: int
    ) -> jax.Array:
        """Return the network's outputs for observations (k, ...), with noise of this call if `noisy`."""
        noise = jax.random.fold_in(key, stream) if self.noisy else None
        return jax.vmap(network, (0, None))(observation, noise)

    def _interact(self, state: State, key: jax.Array) -> tuple[State, dict[str, Mean]]:
        """Act once in every environment and store the transitions."""
        choose_key, world_key, noise_key = jax.random.split(key, 3)
        params = self._describe(state.network, state.acting.observation, noise_key, 1)
        action, metrics = self._choose(choose_key, state.acting, self.distribution.expected(params))
        acting, transition, done, acted = state.acting.act(self.task, world_key, action)
        experience, whole, window = transition, True, state.window
        if window is not None:
            window, experience = window.push(transition, done, self.discount)
            whole = window.complete
        if isinstance(state.replay, PrioritizedReplay):
            replay = state.replay.add(experience, self.replay_capacity, whole)
        else:
            replay = state.replay.add(experience, whole)
        return State(state.network, state.target, state.opt_state, replay, window, acting), acted | metrics

    def _choose(
        self, key: jax.Array, acting: EnvLoopState, values: jax.Array
    ) -> tuple[jax.Array, dict[str, Mean]]:
        """Return an action per environment, (E,) from values (E, A), and metrics of the exploration."""
        frames, episodes = self.clock(acting)
        random = frames < self.warmup
        key, *keys = [key] if isinstance(self.exploration, EpsilonGreedy) else jax.random.split(key)
        explore, which = jax.random.uniform(key, (2, self.num_envs))
        drawn = jnp.int32(which * self.task.actions)
        if isinstance(self.exploration, EpsilonGreedy):
            epsilon = jnp.where(random, 1.0, self.exploration.epsilon(frames, episodes))
            action = jnp.where(explore < epsilon, drawn, jnp.argmax(values, axis=-1))
            return action, {"epsilon": Mean(epsilon)}
        keys = jax.random.split(keys[0], self.num_envs)
        choose = jax.vmap(self.exploration.choose, (0, 0, None, None, None))
        return jnp.where(random, drawn, choose(keys, values, None, frames, episodes)), {}

    def _update(self, state: State, key: jax.Array, noise_key: jax.Array) -> tuple[State, Mean]:
        """Take one gradient step, or none before the warm-up is over.

        What is replayed is drawn by `key`; layers with noise, and `next_action`, fold numbers in `noise_key`.
        """
        index, weight = None, None
        if isinstance(state.replay, PrioritizedReplay):
            done = jnp.minimum(self.clock(state.acting)[0] / self.beta_anneal_frames, 1.0)
            beta = self.priority_beta + (1 - self.priority_beta) * done
            batch, index, weight = state.replay.sample(key, self.batch_size, beta)
        else:
            batch = state.replay.sample(key, self.batch_size, self.replay_capacity)
        power = self.discount
        if isinstance(batch, NStepTransition):
            batch, power = batch.transition, batch.bootstrap_discount
        kind = self.distribution
        target = self._describe(state.target, batch.next_observation, noise_key, 1)
        online = self._describe(state.network, batch.next_observation, noise_key, 2)
        chosen = self.next_action(noise_key, state.acting, kind.expected(online), kind.expected(target))
        target, bootstrap = select_action_values(target, chosen), power * (1 - batch.terminated)

        def loss_of(network: AnyQNetwork) -> tuple[jax.Array, jax.Array]:
            described = self._describe(network, batch.observation, noise_key, 3)
            online = select_action_values(described, batch.action)
            losses, priority = kind.losses(online, target, batch.reward, bootstrap, self.loss)
            return jnp.mean(losses if weight is None else weight * losses), priority

        network, opt_state, loss, priority = descent.gradient_step(
            self, loss_of, state.network, state.opt_state, self._iteration(state) - 1
        )
        ready = state.acting.frames >= max(self.warmup, self.batch_size + (self.n_step - 1) * self.num_envs)
        network, opt_state = descent.where(ready, (network, opt_state), (state.network, state.opt_state))
        replay = state.replay
        if index is not None:
            replay = replay.update(index, priority, self.priority_alpha, ready)
        state = State(network, state.target, opt_state, replay, state.window, state.acting)
        return state, Mean(jnp.where(ready, loss, 0.0), ready)
