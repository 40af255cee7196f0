"""Linear Q: action values linear in what an agent sees, one set of weights for all agents or one each.

Watkins 1989 (Q-learning); Sutton & Barto 2018, section 9.4 (linear features); Tan 1993, "Multi-Agent
Reinforcement Learning: Independent vs. Cooperative Agents" (independent learners, and shared policies).
"""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from populace.core.errors import UsageError
from populace.core.mean import Mean, Metrics
from populace.core.settings import setting
from populace.rl.exploration.strategies import ConstantEpsilon, EpsilonGreedy, Exploration
from populace.rl.multi_agent.learners.team import Team
from populace.rl.multi_agent.networks.agents import check_sharing, with_ids
from populace.rl.multi_agent.stepping import epsilon_greedy, greedy
from populace.rl.multi_agent.task import View


class State(eqx.Module):
    """Weights (G, features, A), for G = 1 set that all share or one for each of N agents, and counts.

    Attributes:
        weights: of the action values.
        frames: joint steps so far, ().
        episodes: episodes so far, ().
        best: the highest return of an episode so far, ().

    """

    weights: jax.Array
    frames: jax.Array
    episodes: jax.Array
    best: jax.Array


class LinearQ(Team):
    r"""Q-learning with `Q_i(o, a) = w_a . x_i(o)`; an iteration is one episode, learned from step by step.

        delta_i = r_i + discount (1 - terminated) max_a' Q_i(o_i', a') - Q_i(o_i, a_i)
        w_{a_i} += learning_rate sum_i delta_i x_i(o_i)             over the agents that acted

    x_i are the observation, a constant 1 with `bias`, and the agent's number, one-hot, with `agent_ids`. An
    observation that is one-hot already makes it a table. Where agents take turns, the value bootstrapped is
    that of what the agent sees after its own move. What an agent that died would see is worth 0.
    """

    unit: ClassVar[str] = "episodes"

    learning_rate: float = setting(1e-3, above=0, help="step size")
    discount: float = setting(0.9, low=0, high=1, help="discount per step")
    exploration: Exploration = setting(ConstantEpsilon(), help="exploration strategy")
    parameter_sharing: bool = setting(True, help="one set of weights for all agents; false: one each")
    agent_ids: bool = setting(True, help="tell the agents that share weights apart by their number")
    bias: bool = setting(True, help="a constant feature")

    def check(self) -> None:
        """Raise a `UsageError` for settings that do not fit the environment."""
        super().check()
        check_sharing(self.task, self.parameter_sharing)
        self.exploration.check()
        check_exploration(self.exploration)

    def features(self, observation: jax.Array) -> jax.Array:
        """Return the features (..., N, D) of observations (..., N, F)."""
        x = observation
        if self.bias:
            x = jnp.concatenate([x, jnp.ones((*x.shape[:-1], 1))], -1)
        return with_ids(x) if self.agent_ids and self.parameter_sharing else x

    def values(self, weights: jax.Array, observation: jax.Array) -> jax.Array:
        """Return Q_i(o_i, .) of all agents, (..., N, A)."""
        x = self.features(observation)
        if self.parameter_sharing:
            return x @ weights[0]
        return jnp.einsum("...nd,nda->...na", x, weights)

    def init(self, key: jax.Array) -> State:
        """Return weights of 0: what is not known is worth nothing, and greedy actions are drawn."""
        del key
        task = self.task
        sets = 1 if self.parameter_sharing else task.team
        width = jax.eval_shape(self.features, jnp.zeros((task.team, task.features))).shape[-1]
        return State(
            jnp.zeros((sets, width, task.most_actions)), jnp.int32(0), jnp.int32(0), jnp.float32(-jnp.inf)
        )

    def step(self, state: State, key: jax.Array) -> tuple[State, Metrics]:
        """Play one episode, and learn from each of its steps."""
        task = self.task
        start_key, key = jax.random.split(key)
        view, env_state = task.start(start_key)

        def play(loop: Any) -> Any:
            weights, view, env_state, _, length, total, errors = loop
            choose_key, step_key = jax.random.split(jax.random.fold_in(key, length))
            epsilon = self._epsilon(state.frames + length, state.episodes)
            values = self.values(weights, view.observation)
            action = epsilon_greedy(choose_key, values, view.available, epsilon)
            step = task.advance(step_key, env_state, action)
            change, error = self.update(weights, view, action, step.reward, step.last, step.terminated)
            over = step.terminated | step.truncated
            total = total + task.team_reward(step.reward)
            return weights + change, step.view, step.env_state, over, length + 1, total, errors + error

        start = (
            state.weights, view, env_state, jnp.bool(False), jnp.int32(0), jnp.float32(0), jnp.float32(0),
        )  # fmt: skip
        weights, _, _, _, length, total, errors = jax.lax.while_loop(lambda loop: ~loop[3], play, start)
        best = jnp.maximum(state.best, total)
        metrics = {
            "return": Mean(total), "length": Mean(length), "best_return": Mean(best),
            "td_error": Mean(errors, length),
            "epsilon": Mean(self._epsilon(state.frames, state.episodes)),
        }  # fmt: skip
        return State(weights, state.frames + length, state.episodes + 1, best), metrics

    def update(
        self,
        weights: jax.Array,
        view: View,
        action: jax.Array,
        reward: jax.Array,
        after: View,
        terminated: Any,
    ) -> tuple[jax.Array, jax.Array]:
        """Return the change of the weights by one step, and the mean absolute TD error of who acted."""
        x = self.features(view.observation)
        chosen = jax.nn.one_hot(action, weights.shape[-1])
        following = jnp.max(jnp.where(after.available, self.values(weights, after.observation), -jnp.inf), -1)
        following = jnp.where(after.alive & ~terminated, following, 0.0)
        error = (
            reward + self.discount * following - jnp.sum(self.values(weights, view.observation) * chosen, -1)
        )
        error = jnp.where(view.acting, error, 0.0)
        if self.parameter_sharing:
            change = jnp.einsum("n,nd,na->da", error, x, chosen)[None]
        else:
            change = jnp.einsum("n,nd,na->nda", error, x, chosen)
        return self.learning_rate * change, jnp.sum(jnp.abs(error)) / jnp.maximum(view.acting.sum(), 1)

    def act(self, model: State, view: View, memory: Any) -> tuple[jax.Array, Any]:
        """Return the greedy actions, of several the first."""
        return greedy(self.values(model.weights, view.observation), view.available), memory

    def model(self, state: State) -> State:
        """Return the weights."""
        return State(state.weights, None, None, None)  # pyright: ignore[reportArgumentType]

    def _epsilon(self, frames: jax.Array, episodes: jax.Array) -> jax.Array:
        assert isinstance(self.exploration, EpsilonGreedy)
        return self.exploration.epsilon(frames, episodes)


def check_exploration(exploration: Exploration) -> None:
    """Raise a `UsageError` unless agents explore by a schedule of epsilon."""
    if not isinstance(exploration, EpsilonGreedy):
        raise UsageError(
            f"exploration '{exploration.kind}' is for one agent; take constant, linear, exponential or "
            "sinusoidal, schedules of epsilon"
        )
