"""What learners with deep action values of several agents share: acting, replay, and a gradient step."""

from abc import abstractmethod
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

from populace.core.errors import UsageError
from populace.core.mean import Mean, Metrics
from populace.core.settings import setting
from populace.nn.modules.activations import ACTIVATIONS
from populace.optim import gradient_step as descent
from populace.optim.optimizers import Adam, Optimizer
from populace.optim.schedules import Constant, Schedule
from populace.rl.buffers.replay import Replay
from populace.rl.environments.stepping import interactions
from populace.rl.exploration.strategies import EpsilonGreedy, Exploration, LinearDecay
from populace.rl.multi_agent.learners.experience import Experience, Networks, State
from populace.rl.multi_agent.learners.linear_q import check_exploration
from populace.rl.multi_agent.learners.team import Team
from populace.rl.multi_agent.networks.agents import AgentNetworks, check_sharing
from populace.rl.multi_agent.networks.recurrent import RecurrentNetworks, forget, step, unroll
from populace.rl.multi_agent.stepping import TeamLoopState, epsilon_greedy, greedy
from populace.rl.multi_agent.task import View
from populace.rl.targets.polyak import polyak


class FactoredQ(Team):
    r"""Values of the agents' own actions, Q_i(o_i, a_i), that are learned by the values of something larger.

    A subclass says in `mix` which value those of the agents make together, and in `paid` which reward it
    foretells; then, as for DQN (Mnih et al. 2015; double Q-learning by van Hasselt et al. 2016),

        a_i' = argmax over available actions of Q_i(o_i', a)
        y    = paid(r) + discount (1 - terminated) mix_target(Q_target_1(o_1', a_1'), ..., s')
        loss = mean of l(mix(Q_1(o_1, a_1), ..., s) - y)

    An agent that has died has the value 0, and so has one that does not act. Truncation bootstraps.

    With `recurrent` each agent has a GRU, whose state is 0 at the start of every episode, and a batch is made
    of sequences of `sequence_length` steps of one environment, which may pass over the end of an episode.
    Both networks begin a sequence with the hidden state that acting had there (Hausknecht & Stone 2015;
    stored states by Kapturowski et al. 2019).
    """

    num_envs: int = setting(4, low=1, help="parallel environments per member")
    learning_rate: float = descent.learning_rate(1e-3)
    optimizer: Optimizer = descent.optimizer(Adam())
    schedule: Schedule = descent.schedule(Constant())
    weight_decay: float | None = descent.weight_decay(None)
    max_gradient_norm: float | None = descent.max_gradient_norm(10.0)
    discount: float = setting(0.99, low=0, high=1, help="discount per step")
    exploration: Exploration = setting(LinearDecay(duration=50_000.0), help="exploration strategy")
    replay_storage: int = setting(20_000, low=1, help="capacity of the replay buffer, joint steps")
    warmup: int = setting(1_000, low=0, help="frames of random actions before the first update")
    batch_size: int = setting(64, low=1, help="joint steps per update")
    gradient_steps: int = setting(1, low=1, help="gradient steps per iteration")
    rollout: int = setting(1, low=1, help="steps of each environment per iteration")
    tau: float = setting(
        0.01, above=0, high=1, help="Polyak averaging coefficient of the targets; 1 copies the weights"
    )
    target_every: int = setting(1, low=1, help="iterations between two target updates")
    loss: str = setting("huber", choices=("huber", "mse"), help="loss of the TD error")
    double: bool = setting(True, help="double Q-learning: the online networks choose the next actions")
    hidden_sizes: tuple[int, ...] = setting(
        (64, 64), low=1, help="widths of the hidden layers; empty: linear"
    )
    activation: str = setting("relu", choices=tuple(ACTIVATIONS), help="hidden activation")
    recurrent: bool = setting(False, help="a GRU of the last width in the networks")
    sequence_length: int = setting(8, low=1, help="steps of a sequence that recurrent networks learn from")
    parameter_sharing: bool = setting(True, help="one network for all agents; false: one each")
    agent_ids: bool = setting(True, help="tell the agents that share a network apart by their number")

    @property
    def units_per_step(self) -> int:
        """Frames per iteration."""
        return self.num_envs * self.rollout

    @abstractmethod
    def mix(self, mixer: Any, values: jax.Array, state: jax.Array) -> jax.Array:
        """Return the values (B,) or (B, N) that the agents' (B, N) make together, in global states (B, S)."""

    def paid(self, reward: jax.Array) -> jax.Array:
        """Return the rewards (B,) that such a value foretells, of those of the agents (B, N)."""
        return self.task.team_reward(reward)

    def weight(self, batch: Experience) -> jax.Array:
        """Return which of those values are learned, (B,) or (B, N), as 1 and 0."""
        return jnp.ones(batch.action.shape[0])

    def build_mixer(self, key: jax.Array) -> Any:
        """Return what is trained besides the agents' networks; by default nothing."""
        del key

    def check(self) -> None:
        """Raise a `UsageError` for settings that do not fit each other, or the environment."""
        super().check()
        check_sharing(self.task, self.parameter_sharing)
        self.exploration.check()
        check_exploration(self.exploration)
        for name, count in (("batch_size", self.batch_size), ("warmup", self.warmup)):
            if count > self.replay_storage:
                raise UsageError(
                    f"{name} {count} is more than replay_storage {self.replay_storage}; raise it"
                )
        if not self.recurrent:
            return
        if not self.hidden_sizes:
            raise UsageError("recurrent networks need hidden_sizes, whose last one is the width of the GRU")
        if self.batch_size % self.sequence_length:
            raise UsageError(
                f"batch_size {self.batch_size} joint steps are no whole number of sequences of "
                f"sequence_length {self.sequence_length}"
            )
        if self.sequence_length * self.num_envs > self.replay_storage:
            raise UsageError(
                f"replay_storage {self.replay_storage} does not hold a sequence of {self.sequence_length} "
                f"steps of {self.num_envs} environments; raise it"
            )

    def memory(self, copies: int) -> jax.Array | None:
        """Return hidden states of 0, (copies, N, H), if networks are recurrent."""
        return jnp.zeros((copies, self.task.team, self.hidden_sizes[-1])) if self.recurrent else None

    def init(self, key: jax.Array) -> State:
        """Return new networks, an empty replay buffer, and freshly reset environments."""
        task = self.task
        network_key, mixer_key, world_key = jax.random.split(key, 3)
        kind = RecurrentNetworks if self.recurrent else AgentNetworks
        agents = kind(
            task.team, task.features, self.hidden_sizes, task.most_actions, sharing=self.parameter_sharing,
            ids=self.agent_ids, activation=self.activation, key=network_key,
        )  # fmt: skip
        online = Networks(agents, self.build_mixer(mixer_key))
        acting = TeamLoopState.start(task, world_key, self.num_envs)
        view = jax.tree.map(lambda x: x[0], acting.view)
        joint = jnp.zeros(task.team)
        hidden = self.memory(self.num_envs)
        example = Experience(view, joint.astype(jnp.int32), joint, view, jnp.bool(False))
        if hidden is not None:
            example = Experience(
                view, example.action, joint, view, jnp.bool(False), done=jnp.bool(False), hidden=hidden[0]
            )
        return State(
            online=online, target=jax.tree.map(lambda x: x, online),
            opt_state=descent.initial_opt_state(self, online),
            replay=Replay(example, self.replay_storage, self.num_envs), acting=acting,
            hidden=hidden,
        )  # fmt: skip

    def step(self, state: State, key: jax.Array) -> tuple[State, Metrics]:
        """Act, store the joint steps, and take the gradient steps."""
        act_key, learn_key = jax.random.split(key)
        state, acted = interactions(self._interact, state, jax.random.split(act_key, self.rollout))
        losses = Mean(0.0, 0.0)
        for i in range(self.gradient_steps):
            state, loss = self._update(state, jax.random.fold_in(learn_key, i))
            losses = losses + loss
        rate = jnp.where(self._iteration(state) % self.target_every == 0, self.tau, 0.0)
        target = polyak(state.target, state.online, rate)
        return eqx.tree_at(lambda s: s.target, state, target), acted | {"loss": losses}

    def act(self, model: Networks, view: View, memory: Any) -> tuple[jax.Array, Any]:
        """Return each agent's available action of the highest value."""
        values, memory = step(model.agents, view.observation, memory)
        return greedy(values, view.available), memory

    def model(self, state: State) -> Networks:
        """Return the online networks."""
        return state.online

    def with_model(self, state: State, model: Networks) -> State:
        """Return a fresh state whose networks and targets begin with these weights."""
        return eqx.tree_at(lambda s: (s.online, s.target), state, (model, model))

    def joint_values(self, model: Networks, view: View, action: jax.Array) -> jax.Array:
        """Return the values that `mix` makes of joint actions (B, N), in first views of B episodes."""
        values, _ = step(model.agents, view.observation, self.memory(len(action)))
        return self._mixed(model, view, action, values)

    def losses(self, online: Networks, target: Networks, batch: Experience) -> tuple[jax.Array, jax.Array]:
        """Return the losses (B,) or (B, N) of joint steps, and their weights.

        Steps of recurrent networks are sequences, the first step of each before the second of any.
        """
        after = batch.after
        values, chooser = self._values(online, batch)
        _, theirs = self._values(target, batch)
        chosen = greedy(chooser if self.double else theirs, after.available)
        following = self._mixed(target, after, chosen, theirs)
        over = batch.terminated if following.ndim == 1 else batch.terminated[:, None]
        wanted = self.paid(batch.reward) + self.discount * jnp.where(over, 0.0, following)
        value = self._mixed(online, batch.view, batch.action, values)
        measure = optax.huber_loss if self.loss == "huber" else optax.squared_error
        return measure(value, jax.lax.stop_gradient(wanted)), self.weight(batch)

    def _values(self, networks: Networks, batch: Experience) -> tuple[jax.Array, jax.Array]:
        """Return the values of all actions (B, N, A) in what was seen before and after each step."""
        seen, after, agents = batch.view.observation, batch.after.observation, networks.agents
        if not isinstance(agents, RecurrentNetworks):
            return agents(seen), agents(after)
        assert batch.hidden is not None
        assert batch.done is not None
        seen, after, done = (
            x.reshape(self.sequence_length, -1, *x.shape[1:]) for x in (seen, after, batch.done)
        )
        values, hidden = unroll(agents, seen, batch.hidden[: seen.shape[1]], done)
        following, _ = step(agents, after, hidden)
        flat = (-1, *values.shape[2:])
        return values.reshape(flat), following.reshape(flat)

    def _mixed(self, networks: Networks, view: View, action: jax.Array, values: jax.Array) -> jax.Array:
        own = jnp.sum(values * jax.nn.one_hot(action, values.shape[-1]), -1)
        return self.mix(networks.mixer, jnp.where(view.alive, own, 0.0), view.state)

    def _iteration(self, state: State) -> jax.Array:
        return state.acting.frames // self.units_per_step

    def _interact(self, state: State, key: jax.Array) -> tuple[State, dict[str, Mean]]:
        """Act once in every environment and store the joint steps."""
        assert isinstance(self.exploration, EpsilonGreedy)
        choose_key, world_key = jax.random.split(key)
        acting = state.acting
        frames = acting.frames
        epsilon = self.exploration.epsilon(frames, acting.episodes)
        epsilon = jnp.where(frames < self.warmup, 1.0, epsilon)
        values, hidden = step(state.online.agents, acting.view.observation, state.hidden)
        action = epsilon_greedy(choose_key, values, acting.view.available, epsilon)
        after, moved, done, metrics = acting.act(self.task, world_key, action)
        stored = Experience(acting.view, action, moved.reward, moved.last, moved.terminated)
        if hidden is not None:
            stored = Experience(
                acting.view, action, moved.reward, moved.last, moved.terminated, done, state.hidden
            )
            hidden = forget(hidden, done)
        replay = state.replay.add(stored)
        state = State(state.online, state.target, state.opt_state, replay, after, hidden)
        return state, metrics | {"epsilon": Mean(epsilon)}

    def _update(self, state: State, key: jax.Array) -> tuple[State, Mean]:
        """Take one gradient step, or none before the warm-up is over."""
        ready = state.acting.frames >= max(self.warmup, self.batch_size)
        if self.recurrent:
            steps = self.sequence_length
            batch = state.replay.sample_sequences(key, self.batch_size // steps, steps, self.num_envs)
            ready &= state.acting.frames >= steps * self.num_envs
        else:
            batch = state.replay.sample(key, self.batch_size, self.replay_storage)

        def loss_of(online: Networks) -> tuple[jax.Array, None]:
            losses, weight = self.losses(online, state.target, batch)
            return jnp.sum(losses * weight) / jnp.maximum(weight.sum(), 1.0), None

        online, opt_state, loss, _ = descent.gradient_step(
            self, loss_of, state.online, state.opt_state, self._iteration(state) - 1
        )
        online, opt_state = descent.where(ready, (online, opt_state), (state.online, state.opt_state))
        state = State(online, state.target, opt_state, state.replay, state.acting, state.hidden)
        return state, Mean(jnp.where(ready, loss, 0.0), ready)
