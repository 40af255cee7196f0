"""Tabular and linear control: one training loop with interchangeable update rules.

Sutton & Barto 2018, "Reinforcement Learning: An Introduction", chapters 6, 7, 9, 10 and 12.
"""

from collections.abc import Callable
from functools import cache
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from populace.core.errors import UsageError
from populace.core.mean import Mean, Metrics
from populace.core.media import Visualization
from populace.core.settings import setting
from populace.rl.agents.agent import Agent
from populace.rl.eager import eager
from populace.rl.environments import names as naming
from populace.rl.environments import registry
from populace.rl.environments.bins import Bins
from populace.rl.environments.discretization import aggregate
from populace.rl.environments.stepping import EnvLoopState
from populace.rl.exploration.strategies import Exploration, ExponentialDecay
from populace.rl.planning import enumeration
from populace.rl.tabular import plots
from populace.rl.tabular.features import Basis, Features, Indexed, Table
from populace.rl.tabular.rules import Experience, QLearning, Rule
from populace.rl.tabular.table_environment import Tabulated, tabulate
from populace.rl.task import Task


class State(eqx.Module):
    """The training state of a tabular agent.

    Attributes:
        tables: weights (F, A), or a pair of such arrays, as the rule needs.
        memory: eligibility traces or pending steps of the rule, with a leading axis of num_envs.
        visits: number of times each action was taken, (F, A), if the exploration strategy needs it.
        action: the next action in each environment, (num_envs,).
        acting: the environments.

    """

    tables: Any
    memory: Any
    visits: jax.Array | None
    action: jax.Array
    acting: EnvLoopState


class Tabular(Agent):
    r"""Online temporal-difference control, with action values in a table or linear in features.

    `Q(s, a) += rate * (target - Q(s, a))`, with the target of the update rule: Q-learning, SARSA, expected
    SARSA, double Q-learning, n-step SARSA, SARSA(lambda) or Watkins's Q(lambda). The step size decays with
    the number of frames, `rate = learning_rate / (1 + learning_rate_decay * frames)`.

    One iteration is `rollout` steps in each of `num_envs` environments. The values are updated after every
    step, for one environment after another.
    """

    kind: ClassVar[str] = "tabular"

    env: str = setting(
        "FrozenLake-misc", help="environment, see `populace list environments`", advice=naming.ADVICE
    )
    num_envs: int = setting(1, low=1, help="parallel copies of the environment per member")
    rule: Rule = setting(QLearning(), help="update rule")
    features: Features = setting(Table(), help="features of a state that the action values are linear in")
    learning_rate: float = setting(0.1, above=0, help="initial step size")
    learning_rate_decay: float = setting(
        0.0, low=0, help="decay d of the step size, learning_rate / (1 + d * frames)"
    )
    discount: float = setting(0.99, low=0, high=1, help="discount per frame")
    initial_value: float = setting(0.0, help="initial value of every action; optimistic if high")
    exploration: Exploration = setting(ExponentialDecay(), help="exploration strategy")
    bins: tuple[int, ...] = setting(
        (), low=1, help="bins per dimension of the observation; empty: no state aggregation"
    )
    bins_low: tuple[float, ...] = setting(
        (), help="lower bounds of the first bins; empty: the environment's bounds"
    )
    bins_high: tuple[float, ...] = setting(
        (), help="upper bounds of the last bins; empty: the environment's bounds"
    )
    dynamics: str = setting(
        "auto", choices=("auto", "table", "environment"),
        help="step the environment's code, or its table of transition probabilities, which is faster and "
        "equivalent; auto: the table if the environment defines one",
    )  # fmt: skip
    rollout: int = setting(100, low=1, help="steps of each environment per iteration")

    @property
    def units_per_step(self) -> int:
        """Frames per iteration."""
        return self.num_envs * self.rollout

    @property
    def task(self) -> Task:
        """The environment, with state aggregation if `bins` are set, and stepped by its table if possible."""
        return _task(self.env, self.bins, self.bins_low, self.bins_high, self.dynamics)

    @property
    def basis(self) -> Basis:
        """The features of the environment."""
        return self.features.of(self.task, self.input_scale)

    def check(self) -> None:
        """Raise a `UsageError` for settings that do not fit together."""
        super().check()
        if not self.bins and (self.bins_low or self.bins_high):
            raise UsageError("bins_low and bins_high need bins, the number of bins per dimension")
        basis = self.basis
        self.rule.check(basis)
        self.exploration.check()
        if self.exploration.counts_visits and not isinstance(basis, Indexed):
            raise UsageError(
                f"exploration '{self.exploration.kind}' counts visits of states; use it with features 'table'"
            )

    def init(self, key: jax.Array) -> State:
        """Return tables with their initial values, and environments after a reset."""
        world_key, choose_key = jax.random.split(key)
        task, basis = self.task, self.basis
        acting = EnvLoopState.start(task, world_key, self.num_envs)
        weights = basis.start(self.initial_value, task.actions)
        tables = self.rule.tables(weights)
        visits = jnp.zeros(weights.shape) if self.exploration.counts_visits else None
        x = jax.vmap(basis.encode)(acting.observation)
        policy = self._policy(basis, tables, visits, x, acting)
        return State(
            tables=tables,
            memory=jax.vmap(lambda x: self.rule.memory(basis, weights, x))(x),
            visits=visits,
            action=_sample(jax.random.uniform(choose_key, (self.num_envs,)), policy),
            acting=acting,
        )

    def step(self, state: State, key: jax.Array) -> tuple[State, Metrics]:
        """Act and learn for `rollout` steps."""
        choose_key, coin_key, world_key = jax.random.split(key, 3)
        shape = (self.rollout, self.num_envs)
        # Draw all random numbers of the rollout at once: inside the loop they would cost more than the rest.
        chance = jax.random.uniform(choose_key, shape), jax.random.uniform(coin_key, shape)
        task = self.task
        if isinstance(task, Tabulated):
            draws = task.draws(world_key, shape)
        else:
            draws = jax.random.split(world_key, self.rollout)
        state, metrics = jax.lax.scan(lambda s, drawn: self._env_step(s, *drawn), state, (*chance, draws))
        return state, jax.tree.map(lambda x: x.sum(0), metrics)

    def act(self, model: Any, observation: jax.Array) -> jax.Array:
        """Return argmax_a Q(s, a), the first of several greedy actions."""
        basis = self.basis
        if self.bins and observation.ndim == 1:  # a raw observation instead of the index of its bin
            observation = self._bins.index(observation)
        return jnp.argmax(self.rule.values(basis, model, basis.encode(observation)))

    def policy_inside(self, state: Any) -> Callable[[Any], np.ndarray]:
        """Return the greedy policy of raw observations; with `bins`, they are aggregated first."""
        act = super().policy_inside(state)
        return (lambda observation: act(self._bins.index(np.asarray(observation)))) if self.bins else act

    def model(self, state: State) -> Any:
        """Return the tables, which are all that acting needs."""
        return state.tables

    def action_values(self, model: Any) -> np.ndarray:
        """Return the table (S, A) of a trained member.

        Raises:
            UsageError: the features are not a table.

        """
        basis = self.basis
        if not isinstance(basis, Indexed):
            raise UsageError("action_values need features 'table'; use the policy instead")
        return np.asarray(jax.vmap(lambda x: self.rule.values(basis, model, x))(jnp.arange(basis.size)))

    def visualize(self, state: Any, key: jax.Array) -> dict[str, Visualization]:
        """Return the visualizations of every agent, and for a table an image of its values."""
        shown = super().visualize(state, key)
        if isinstance(self.basis, Indexed):
            shown["values"] = plots.draw(self.task, self.bins, self.action_values(state))
        return shown

    @property
    def _bins(self) -> Bins:
        return self.task.environment.bins

    def _env_step(
        self, state: State, u: jax.Array, coin: jax.Array, draws: Any
    ) -> tuple[State, dict[str, Mean]]:
        """Take one step in every environment, and update the values."""
        basis = self.basis
        encode = jax.vmap(basis.encode)
        rate = self.learning_rate / (1 + self.learning_rate_decay * state.acting.frames)
        acting, transition, done, metrics = state.acting.act(self.task, draws, state.action)
        x, next_x = encode(transition.observation), encode(transition.next_observation)
        visits = state.visits if state.visits is None else state.visits.at[x, state.action].add(1.0)
        next_policy = self._policy(basis, state.tables, visits, next_x, acting)
        step = Experience(
            x=x, action=state.action, reward=transition.reward, next_x=next_x, next_policy=next_policy,
            next_action=_sample(u, next_policy), terminated=transition.terminated, done=done, coin=coin,
        )  # fmt: skip
        tables, memory, td_error = self._learn(basis, state, step, rate)
        # After a reset, the random number of the next action is used a second time; the action sampled with
        # it first is never taken.
        fresh = _sample(u, self._policy(basis, tables, visits, encode(acting.observation), acting))
        action = jnp.where(done, fresh, step.next_action) if self.rule.uses_next_action else fresh
        metrics["td_error"] = Mean(jnp.abs(td_error).sum(), self.num_envs)
        return State(tables, memory, visits, action, acting), metrics

    def _learn(
        self, basis: Basis, state: State, step: Experience, rate: jax.Array
    ) -> tuple[Any, Any, jax.Array]:
        def one(tables: Any, own: tuple[Any, Experience]) -> Any:
            tables, memory, td_error = self.rule.learn(basis, tables, *own, rate, jnp.float32(self.discount))
            return tables, (memory, td_error)

        if self.num_envs > 1:
            tables, (memory, td_error) = jax.lax.scan(one, state.tables, (state.memory, step))
            return tables, memory, td_error
        alone = jax.tree.map(lambda v: v[0], (state.memory, step))
        tables, rest = one(state.tables, alone)
        memory, td_error = jax.tree.map(lambda v: v[None], rest)
        return tables, memory, td_error

    def _policy(
        self, basis: Basis, tables: Any, visits: jax.Array | None, x: jax.Array, acting: EnvLoopState
    ) -> jax.Array:
        """Return pi(a | s) for every environment, (num_envs, A)."""

        def one(x: jax.Array) -> jax.Array:
            values = self.rule.values(basis, tables, x)
            counts = None if visits is None else visits[x]
            return self.exploration.probabilities(values, counts, acting.frames, acting.episodes)

        return jax.vmap(one)(x)


@cache
@eager
def _task(
    env: str, bins: tuple[int, ...], low: tuple[float, ...], high: tuple[float, ...], dynamics: str
) -> Task:
    task = registry.make(env)
    if bins:
        task = aggregate(task, bins, low or None, high or None)
    if dynamics == "environment":
        return task
    table = enumeration.outcomes(task) if dynamics == "table" else enumeration.defined_outcomes(task)
    return task if table is None else tabulate(task, table)


def _sample(u: jax.Array, policy: jax.Array) -> jax.Array:
    """Return an action for each u in [0, 1) and row of the policy (num_envs, A), by its cumulative sums."""
    # Scaled by the last sum instead of 1, so that rounding leaves no gap after the last action.
    cumulative = jnp.cumsum(policy, axis=-1)
    return jnp.sum(cumulative <= (u * cumulative[:, -1])[:, None], axis=-1, dtype=jnp.int32)
