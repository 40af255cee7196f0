"""DQN: Q-learning with a neural network, experience replay and a target network.

Mnih et al. 2015, "Human-level control through deep reinforcement learning"; double Q-learning by
van Hasselt et al. 2016, "Deep Reinforcement Learning with Double Q-learning".
"""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

from populace.errors import UsageError
from populace.learner import Mean, Metrics
from populace.rl.agent import Agent
from populace.rl.exploration import Exploration, ExponentialDecay
from populace.rl.interaction import Acting, Transition
from populace.rl.networks import MLP
from populace.rl.replay import Replay
from populace.settings import setting


class State(eqx.Module):
    """What DQN carries: networks, optimiser, replay, and its environments in mid-episode."""

    network: MLP
    target: MLP
    optimiser: Any
    replay: Replay
    acting: Acting


class DQN(Agent):
    r"""Deep Q-learning for discrete actions.

    Each iteration acts epsilon-greedily in `envs` environments for `rollout` steps, stores the
    transitions, and takes `updates` gradient steps on batches of `batch` transitions:

        y = r + discount * (1 - terminated) * max_a Q_target(s', a)                       (plain)
        y = r + discount * (1 - terminated) * Q_target(s', argmax_a Q(s', a))             (double)
        loss = mean(l(Q(s, a) - y)),  l Huber or square

    An episode that was cut by the clock is not terminated: its last state is bootstrapped.
    """

    learning_rate: float = setting(1e-3, above=0, help="step size of Adam")
    discount: float = setting(0.99, low=0, high=1, help="discount per frame")
    exploration: Exploration = setting(ExponentialDecay(), help="schedule of epsilon")
    replay_capacity: float = setting(20_000.0, low=1, help="transitions remembered")
    replay_storage: int = setting(
        20_000, low=1, help="transitions there is room for; replay_capacity may differ below it"
    )
    warmup: int = setting(1_000, low=0, help="frames of random actions before the first update")
    batch: int = setting(64, low=1, help="transitions per update")
    target_rate: float = setting(
        0.01, above=0, high=1, help="share of the network that the target takes over; 1 copies it"
    )
    target_every: int = setting(1, low=1, help="iterations between two target updates")
    double: bool = setting(True, help="choose the next action by the online network")
    loss: str = setting("huber", choices=("huber", "mse"), help="loss of the temporal difference")
    hidden: tuple[int, ...] = setting((64, 64), low=1, help="widths of the hidden layers")
    rollout: int = setting(1, low=1, help="steps of each environment per iteration")
    updates: int = setting(1, low=1, help="gradient steps per iteration")

    @property
    def units_per_step(self) -> int:
        """Frames per iteration."""
        return self.envs * self.rollout

    def check(self) -> None:
        """Raise a `UsageError` for settings that do not fit each other."""
        super().check()
        if self.replay_capacity > self.replay_storage:
            raise UsageError(
                f"replay_capacity {self.replay_capacity:g} is more than replay_storage "
                f"{self.replay_storage}; raise replay_storage"
            )
        if self.replay_capacity < self.batch:
            raise UsageError(f"replay_capacity {self.replay_capacity:g} is less than a batch of {self.batch}")
        if self.warmup > self.replay_capacity:
            raise UsageError(
                f"warmup {self.warmup} is more than replay_capacity {self.replay_capacity:g}; "
                "the first of those frames would be forgotten before the first update"
            )

    def init(self, key: jax.Array) -> State:
        """Return a fresh network, an empty replay, and environments at their start."""
        network_key, world_key = jax.random.split(key)
        task = self.task
        inputs = math.prod(task.observation_shape)
        network = MLP(inputs, self.hidden, task.actions, key=network_key)
        acting = Acting.start(task, world_key, self.envs)
        reward, flag, action = jnp.float32(0), jnp.bool(False), jnp.int32(0)
        example = Transition(acting.observation[0], action, reward, acting.observation[0], flag)
        return State(
            network=network,
            target=jax.tree.map(lambda x: x, network),
            optimiser=self._optimiser.init(eqx.filter(network, eqx.is_array)),
            replay=Replay(example, self.replay_storage, self.envs),
            acting=acting,
        )

    def step(self, state: State, key: jax.Array) -> tuple[State, Metrics]:
        """Act, store, and learn."""
        act_key, learn_key = jax.random.split(key)
        if self.rollout == 1:
            state, acted = self._interact(state, act_key)
        else:
            keys = jax.random.split(act_key, self.rollout)
            state, stacked = jax.lax.scan(lambda s, k: self._interact(s, k), state, keys)
            acted = jax.tree.map(lambda x: x.sum(0), stacked)
        losses = Mean(0.0, 0.0)
        for i in range(self.updates):
            state, loss = self._update(state, jax.random.fold_in(learn_key, i))
            losses = losses + loss
        return state, acted | {"loss": losses}

    def act(self, model: MLP, observation: jax.Array) -> jax.Array:
        """Return argmax_a Q(observation, a)."""
        return jnp.argmax(model(observation))

    def snapshot(self, state: State) -> MLP:
        """Return the network: all that acting needs."""
        return state.network

    @property
    def _optimiser(self) -> optax.GradientTransformation:
        return optax.adam(self.learning_rate)

    def _interact(self, state: State, key: jax.Array) -> tuple[State, dict[str, Mean]]:
        """Act once in every environment and store what happened."""
        choose_key, world_key = jax.random.split(key)
        acting = state.acting
        epsilon = self.exploration.epsilon(acting.frames, acting.episodes)
        epsilon = jnp.where(acting.frames < self.warmup, 1.0, epsilon)
        greedy = jax.vmap(self.act, (None, 0))(state.network, acting.observation)
        explore, which = jax.random.uniform(choose_key, (2, self.envs))
        drawn = jnp.int32(which * self.task.actions)
        action = jnp.where(explore < epsilon, drawn, greedy)
        acting, transitions, _, metrics = acting.act(self.task, world_key, action)
        replay = state.replay.add(transitions)
        state = eqx.tree_at(lambda s: (s.acting, s.replay), state, (acting, replay))
        return state, metrics | {"epsilon": Mean(epsilon)}

    def _update(self, state: State, key: jax.Array) -> tuple[State, Mean]:
        """Take one gradient step, or none while the replay is still warming up."""
        batch: Transition = state.replay.sample(key, self.batch, self.replay_capacity)
        next_values = jax.vmap(state.target)(batch.next_observation)
        if self.double:
            chosen = jnp.argmax(jax.vmap(state.network)(batch.next_observation), axis=-1)
            next_value = _at(next_values, chosen)
        else:
            next_value = jnp.max(next_values, axis=-1)
        td_target = batch.reward + self.discount * (1 - batch.terminated) * next_value

        def loss_of(network: MLP) -> jax.Array:
            values = _at(jax.vmap(network)(batch.observation), batch.action)
            measure = optax.huber_loss if self.loss == "huber" else optax.squared_error
            return jnp.mean(measure(values, td_target))

        loss, gradients = eqx.filter_value_and_grad(loss_of)(state.network)
        changes, optimiser = self._optimiser.update(gradients, state.optimiser)
        network = eqx.apply_updates(state.network, changes)
        ready = state.acting.frames >= max(self.warmup, self.batch)
        network, optimiser = _where(ready, (network, optimiser), (state.network, state.optimiser))
        # The frames tell the iteration, whose count is not carried by itself.
        due = (state.acting.frames // self.units_per_step) % self.target_every == 0
        rate = jnp.where(due, self.target_rate, 0.0)
        target = jax.tree.map(lambda t, n: t + rate * (n - t), state.target, network)
        state = eqx.tree_at(lambda s: (s.network, s.target, s.optimiser), state, (network, target, optimiser))
        return state, Mean(jnp.where(ready, loss, 0.0), ready)


def _at(values: jax.Array, action: jax.Array) -> jax.Array:
    """Return values[i, action[i]], by a one-hot product: gathers are slow in loops on CPU."""
    return jnp.sum(values * jax.nn.one_hot(action, values.shape[-1]), axis=-1)


def _where(condition: jax.Array, new: Any, old: Any) -> Any:
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), new, old)
