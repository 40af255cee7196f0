"""What agents with action values and a replay share: acting, remembering, and a step down the gradient."""

from abc import abstractmethod
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

from populace.core.errors import UsageError
from populace.core.learner import Mean, Metrics
from populace.core.settings import setting
from populace.rl.agents.agent import Agent
from populace.rl.buffers.prioritized import PrioritizedReplay
from populace.rl.buffers.replay import Replay, check_uint8
from populace.rl.environments.stepping import EnvLoopState, Transition
from populace.rl.exploration.strategies import EpsilonGreedy, Exploration, ExponentialDecay
from populace.rl.networks.q_networks import QNetwork, convolves
from populace.rl.targets import (
    c51,  # noqa: F401  kinds of `distribution`
    quantile,  # noqa: F401  kinds of `distribution`
)
from populace.rl.targets.n_step import NStepTransition, NStepWindow
from populace.rl.targets.td import Distribution, Expectation, select_action_values


class State(eqx.Module):
    """What is carried: networks, optimiser, memory, and environments in mid-episode."""

    network: QNetwork
    target: QNetwork
    optimizer: Any
    replay: Any
    window: NStepWindow | None
    acting: EnvLoopState


class QLearner(Agent):
    """Action values by a network, learned from remembered transitions towards a target network.

    A learner of this family says which action it takes to follow, `next_action`.
    """

    learning_rate: float = setting(1e-3, above=0, help="step size of Adam")
    discount: float = setting(0.99, low=0, high=1, help="discount per frame")
    exploration: Exploration = setting(ExponentialDecay(), help="how it acts to find out")
    replay_capacity: float = setting(20_000.0, low=1, help="transitions remembered")
    replay_storage: int = setting(
        20_000, low=1, help="transitions there is room for; replay_capacity may differ below it"
    )
    warmup: int = setting(1_000, low=0, help="frames of random actions before the first update")
    batch_size: int = setting(64, low=1, help="transitions per update")
    tau: float = setting(
        0.01, above=0, high=1, help="share of the network that the target takes over; 1 copies it"
    )
    target_every: int = setting(1, low=1, help="iterations between two target updates")
    loss: str = setting("huber", choices=("huber", "mse"), help="loss of the temporal difference")
    hidden_sizes: tuple[int, ...] = setting((64, 64), low=1, help="widths of the hidden layers")
    rollout: int = setting(1, low=1, help="steps of each environment per iteration")
    gradient_steps: int = setting(1, low=1, help="gradient steps per iteration")
    network: str = setting(
        "auto", choices=("auto", "mlp", "conv"), help="kind of network; auto: a convolution for pictures"
    )
    channels: int = setting(16, low=1, help="channels of the convolution")
    dueling: bool = setting(False, help="value and advantage in streams of their own")
    noisy: bool = setting(False, help="explore by noise on the weights of the linear layers")
    noisy_sigma: float = setting(0.5, low=0, help="strength of that noise at first")
    distribution: Distribution = setting(Expectation(), help="how the network describes a return")
    n_step: int = setting(1, low=1, help="rewards looked ahead before bootstrapping")
    prioritized: bool = setting(False, help="draw surprising transitions more often")
    priority_alpha: float = setting(0.6, low=0, high=1, help="how unevenly they are drawn; 0 is evenly")
    priority_beta: float = setting(0.4, low=0, high=1, help="how far weights undo that, at first")
    beta_anneal_frames: float = setting(100_000.0, above=0, help="frames until they undo it fully")
    uint8_obs: bool = setting(
        False, help="remember observations in bytes; they must be whole numbers from 0 to 255"
    )

    @property
    def units_per_step(self) -> int:
        """Frames per iteration."""
        return self.num_envs * self.rollout

    @abstractmethod
    def next_action(
        self, key: jax.Array, acting: EnvLoopState, online: jax.Array, target: jax.Array
    ) -> jax.Array:
        """Return the actions (B,) taken to follow, from the values (B, A) that the two networks give."""

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
        convolves(self.network, self.task)
        if self.uint8_obs:
            check_uint8(self.task)

    def init(self, key: jax.Array) -> State:
        """Return a fresh network, an empty replay, and environments at their start."""
        network_key, world_key = jax.random.split(key)
        network = QNetwork(
            self.task, self.hidden_sizes, key=network_key, outputs=self.distribution.outputs,
            dueling=self.dueling,
            channels=self.channels if convolves(self.network, self.task) else 0,
            sigma=self.noisy_sigma if self.noisy else None,
        )  # fmt: skip
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
            optimizer=self._optimiser.init(eqx.filter(network, eqx.is_array)),
            replay=memory(example, self.replay_storage, self.num_envs),
            window=window,
            acting=acting,
        )

    def step(self, state: State, key: jax.Array) -> tuple[State, Metrics]:
        """Act, remember, and learn."""
        act_key, learn_key = jax.random.split(key)
        if self.rollout == 1:
            state, acted = self._interact(state, act_key)
        else:
            keys = jax.random.split(act_key, self.rollout)
            state, stacked = jax.lax.scan(lambda s, k: self._interact(s, k), state, keys)
            acted = jax.tree.map(lambda x: x.sum(0), stacked)
        losses = Mean(0.0, 0.0)
        for i in range(self.gradient_steps):
            state, loss = self._update(state, jax.random.fold_in(learn_key, i))
            losses = losses + loss
        return state, acted | {"loss": losses}

    def act(self, model: QNetwork, observation: jax.Array) -> jax.Array:
        """Return argmax_a Q(observation, a), without noise."""
        return jnp.argmax(self.distribution.expected(model(observation)))

    def model(self, state: State) -> QNetwork:
        """Return the network: all that acting needs."""
        return state.network

    def with_model(self, state: State, model: AnyQNetwork) -> State:
        """Return a fresh state whose network and target begin with these weights."""
        return eqx.tree_at(lambda s: (s.network, s.target), state, (model, model))

    def clock(self, acting: EnvLoopState) -> tuple[jax.Array, jax.Array]:
        """Return the frames and episodes that schedules go by."""
        return acting.frames, acting.episodes

    @property
    def _optimiser(self) -> optax.GradientTransformation:
        return optax.adam(self.learning_rate)

    def _describe(self, network: QNetwork, observation: jax.Array, key: jax.Array, stream: int) -> jax.Array:
        """Return what the network says of (k, ...) observations, with noise of its own where noisy."""
        noise = jax.random.fold_in(key, stream) if self.noisy else None
        return jax.vmap(network, (0, None))(observation, noise)

    def _interact(self, state: State, key: jax.Array) -> tuple[State, dict[str, Mean]]:
        """Act once in every environment and remember what happened."""
        choose_key, world_key = jax.random.split(key)
        params = self._describe(state.network, state.acting.observation, choose_key, 1)
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
        return State(state.network, state.target, state.optimizer, replay, window, acting), acted | metrics

    def _choose(
        self, key: jax.Array, acting: EnvLoopState, values: jax.Array
    ) -> tuple[jax.Array, dict[str, Mean]]:
        """Return an action for every environment, (E,) from (E, A), and how much was explored."""
        frames, episodes = self.clock(acting)
        random = frames < self.warmup
        explore, which = jax.random.uniform(key, (2, self.num_envs))
        drawn = jnp.int32(which * self.task.actions)
        if isinstance(self.exploration, EpsilonGreedy):
            epsilon = jnp.where(random, 1.0, self.exploration.epsilon(frames, episodes))
            action = jnp.where(explore < epsilon, drawn, jnp.argmax(values, axis=-1))
            return action, {"epsilon": Mean(epsilon)}
        keys = jax.random.split(jax.random.fold_in(key, 2), self.num_envs)
        choose = jax.vmap(self.exploration.choose, (0, 0, None, None, None))
        return jnp.where(random, drawn, choose(keys, values, None, frames, episodes)), {}

    def _update(self, state: State, key: jax.Array) -> tuple[State, Mean]:
        """Take one gradient step, or none while the replay is still warming up."""
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
        target = self._describe(state.target, batch.next_observation, key, 1)
        online = self._describe(state.network, batch.next_observation, key, 2)
        chosen = self.next_action(key, state.acting, kind.expected(online), kind.expected(target))
        target, bootstrap = select_action_values(target, chosen), power * (1 - batch.terminated)

        def loss_of(network: QNetwork) -> tuple[jax.Array, jax.Array]:
            online = select_action_values(self._describe(network, batch.observation, key, 3), batch.action)
            losses, priority = kind.losses(online, target, batch.reward, bootstrap, self.loss)
            return jnp.mean(losses if weight is None else weight * losses), priority

        (loss, priority), gradients = eqx.filter_value_and_grad(loss_of, has_aux=True)(state.network)
        changes, optimiser = self._optimiser.update(gradients, state.optimizer)
        network = eqx.apply_updates(state.network, changes)
        ready = state.acting.frames >= max(self.warmup, self.batch_size + (self.n_step - 1) * self.num_envs)
        network, optimiser = _where(ready, (network, optimiser), (state.network, state.optimizer))
        replay = state.replay
        if index is not None:
            replay = replay.update(index, priority, self.priority_alpha, ready)
        # The frames tell the iteration, whose count is not carried by itself.
        due = (state.acting.frames // self.units_per_step) % self.target_every == 0
        rate = jnp.where(due, self.tau, 0.0)
        target_network = jax.tree.map(lambda t, n: t + rate * (n - t), state.target, network)
        state = State(network, target_network, optimiser, replay, state.window, state.acting)
        return state, Mean(jnp.where(ready, loss, 0.0), ready)


def _where(condition: jax.Array, new: Any, old: Any) -> Any:
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), new, old)
