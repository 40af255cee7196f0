"""Tabular and linear control: one loop of acting and learning, and an update rule that can be exchanged.

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
from populace.core.learner import Mean, Metrics
from populace.core.media import Visualization
from populace.core.settings import setting
from populace.rl.agents.agent import Agent
from populace.rl.environments import names as naming
from populace.rl.environments import registry
from populace.rl.environments.discretization import Bins, aggregate
from populace.rl.environments.stepping import EnvLoopState
from populace.rl.exploration.strategies import Exploration, ExponentialDecay
from populace.rl.planning import enumeration
from populace.rl.tabular import plots
from populace.rl.tabular.features import Basis, Features, Indexed, Table
from populace.rl.tabular.rules import Experience, QLearning, Rule
from populace.rl.tabular.table_environment import Tabulated, tabulate
from populace.rl.task import Task


class State(eqx.Module):
    """What a tabular agent carries.

    Attributes:
        tables: weights (F, A), or what else the rule learns.
        memory: of the rule, one for each environment.
        visits: (F, A) how often each action was taken, if the exploration counts; else None.
        action: what each environment does next.
        acting: the environments.

    """

    tables: Any
    memory: Any
    visits: jax.Array | None
    action: jax.Array
    acting: EnvLoopState


class Tabular(Agent):
    r"""Action values in a table, or linear in features, learned from every step as it comes.

    `Q(s, a) += rate * (target - Q(s, a))`, where the target is the rule's: Q-learning, SARSA, expected
    SARSA, double Q, n-step SARSA, SARSA(lambda), Watkins' Q(lambda). The rate falls with the frames,
    `rate = learning_rate / (1 + learning_rate_decay * frames)`.

    One iteration is `rollout` steps in each of `num_envs` environments. Every step is learned from before
    the next one; of several environments, one after the other.
    """

    kind: ClassVar[str] = "tabular"

    env: str = setting(
        "FrozenLake-misc", help="environment, a name of `populace list environments`", advice=naming.ADVICE
    )
    num_envs: int = setting(1, low=1, help="copies of the environment that one member acts in")
    rule: Rule = setting(QLearning(), help="update rule")
    features: Features = setting(Table(), help="what the values are a function of")
    learning_rate: float = setting(0.1, above=0, help="step size at the first frame")
    learning_rate_decay: float = setting(
        0.0, low=0, help="the step size is halved after 1 / this frames, and falls like 1 / frames"
    )
    discount: float = setting(0.99, low=0, high=1, help="discount per frame")
    initial_value: float = setting(
        0.0, help="value of every action at first; high: optimistic, tries everything"
    )
    exploration: Exploration = setting(ExponentialDecay(), help="how actions are chosen while it learns")
    bins: tuple[int, ...] = setting((), low=1, help="bins of each number of the observation; empty: as it is")
    bins_low: tuple[float, ...] = setting(
        (), help="where the first bins begin; empty: the environment's bounds"
    )
    bins_high: tuple[float, ...] = setting(
        (), help="where the last bins end; empty: the environment's bounds"
    )
    dynamics: str = setting(
        "auto", choices=("auto", "table", "environment"),
        help="step the environment itself, or by its table of outcomes, the same and faster; auto: by table "
        "where the environment's own rule tells it",
    )  # fmt: skip
    rollout: int = setting(100, low=1, help="steps of each environment per iteration")

    @property
    def units_per_step(self) -> int:
        """Frames per iteration."""
        return self.num_envs * self.rollout

    @property
    def task(self) -> Task:
        """The environment: aggregated if bins are given, and stepped by its table if it has one."""
        return _task(self.env, self.bins, self.bins_low, self.bins_high, self.dynamics)

    @property
    def basis(self) -> Basis:
        """The features of the environment."""
        return self.features.of(self.task)

    def check(self) -> None:
        """Raise a `UsageError` for settings that do not fit each other."""
        super().check()
        if not self.bins and (self.bins_low or self.bins_high):
            raise UsageError("bins_low and bins_high need bins, the number of bins of each number")
        basis = self.basis
        self.rule.check(basis)
        self.exploration.check()
        if self.exploration.counts_visits and not isinstance(basis, Indexed):
            raise UsageError(
                f"exploration '{self.exploration.kind}' counts visits of states; it needs features 'table'"
            )

    def init(self, key: jax.Array) -> State:
        """Return tables at their first values, and environments at their start."""
        world_key, choose_key = jax.random.split(key)
        task, basis = self.task, self.basis
        acting = EnvLoopState.start(task, world_key, self.num_envs)
        weights = basis.start(self.initial_value, task.actions)
        tables = self.rule.tables(weights)
        visits = jnp.zeros(weights.shape) if self.exploration.counts_visits else None
        x = jax.vmap(basis.see)(acting.observation)
        policy = self._policy(basis, tables, visits, x, acting)
        return State(
            tables=tables,
            memory=jax.vmap(lambda x: self.rule.memory(basis, weights, x))(x),
            visits=visits,
            action=_drawn(jax.random.uniform(choose_key, (self.num_envs,)), policy),
            acting=acting,
        )

    def step(self, state: State, key: jax.Array) -> tuple[State, Metrics]:
        """Act and learn, `rollout` times."""
        choose_key, coin_key, world_key = jax.random.split(key, 3)
        shape = (self.rollout, self.num_envs)
        # All random numbers of the rollout at once: inside the loop they would cost more than the rest.
        chance = jax.random.uniform(choose_key, shape), jax.random.uniform(coin_key, shape)
        task = self.task
        if isinstance(task, Tabulated):
            draws = task.draws(world_key, shape)
        else:
            draws = jax.random.split(world_key, self.rollout)
        state, metrics = jax.lax.scan(lambda s, drawn: self._once(s, *drawn), state, (*chance, draws))
        return state, jax.tree.map(lambda x: x.sum(0), metrics)

    def act(self, model: Any, observation: jax.Array) -> jax.Array:
        """Return argmax_a Q(s, a); of equal actions the first."""
        basis = self.basis
        if self.bins and observation.ndim == 1:  # as the environment gave it, not yet the index of its bin
            observation = self._cut.index(observation)
        return jnp.argmax(self.rule.values(basis, model, basis.see(observation)))

    def policy_inside(self, state: Any) -> Callable[[Any], np.ndarray]:
        """Return the greedy policy as the program has it; with `bins` too, of observations not yet cut."""
        act = super().policy_inside(state)
        return (lambda observation: act(self._cut.index(np.asarray(observation)))) if self.bins else act

    def model(self, state: State) -> Any:
        """Return the tables: all that acting needs."""
        return state.tables

    def action_values(self, model: Any) -> np.ndarray:
        """Return the table (S, A) of a trained member.

        Raises:
            UsageError: its features are no table.

        """
        basis = self.basis
        if not isinstance(basis, Indexed):
            raise UsageError("action_values need features 'table'; of others take the policy")
        return np.asarray(jax.vmap(lambda x: self.rule.values(basis, model, x))(jnp.arange(basis.size)))

    def visualize(self, state: Any, key: jax.Array) -> dict[str, Visualization]:
        """Return what every agent shows, and of a table a picture of its values."""
        shown = super().visualize(state, key)
        if isinstance(self.basis, Indexed):
            shown["values"] = plots.draw(self.task, self.bins, self.action_values(state))
        return shown

    @property
    def _cut(self) -> Bins:
        return self.task.environment.bins

    def _once(self, state: State, u: jax.Array, coin: jax.Array, draws: Any) -> tuple[State, dict[str, Mean]]:
        """Take one step in every environment, and learn from it."""
        basis = self.basis
        see = jax.vmap(basis.see)
        rate = self.learning_rate / (1 + self.learning_rate_decay * state.acting.frames)
        acting, happened, done, metrics = state.acting.act(self.task, draws, state.action)
        x, next_x = see(happened.observation), see(happened.next_observation)
        visits = state.visits if state.visits is None else state.visits.at[x, state.action].add(1.0)
        next_policy = self._policy(basis, state.tables, visits, next_x, acting)
        step = Experience(
            x=x, action=state.action, reward=happened.reward, next_x=next_x, next_policy=next_policy,
            next_action=_drawn(u, next_policy), terminated=happened.terminated, done=done, coin=coin,
        )  # fmt: skip
        tables, memory, difference = self._learn(basis, state, step, rate)
        # A restarted environment shares the random number with the action that would have come next,
        # which is not taken.
        fresh = _drawn(u, self._policy(basis, tables, visits, see(acting.observation), acting))
        action = jnp.where(done, fresh, step.next_action) if self.rule.commits else fresh
        metrics["td_error"] = Mean(jnp.abs(difference).sum(), self.num_envs)
        return State(tables, memory, visits, action, acting), metrics

    def _learn(
        self, basis: Basis, state: State, step: Experience, rate: jax.Array
    ) -> tuple[Any, Any, jax.Array]:
        def one(tables: Any, own: tuple[Any, Experience]) -> Any:
            tables, memory, difference = self.rule.learn(
                basis, tables, *own, rate, jnp.float32(self.discount)
            )
            return tables, (memory, difference)

        if self.num_envs > 1:
            tables, (memory, difference) = jax.lax.scan(one, state.tables, (state.memory, step))
            return tables, memory, difference
        alone = jax.tree.map(lambda v: v[0], (state.memory, step))
        tables, rest = one(state.tables, alone)
        memory, difference = jax.tree.map(lambda v: v[None], rest)
        return tables, memory, difference

    def _policy(
        self, basis: Basis, tables: Any, visits: jax.Array | None, x: jax.Array, acting: EnvLoopState
    ) -> jax.Array:
        """Return pi(a | s) of every environment, (envs, A)."""

        def one(x: jax.Array) -> jax.Array:
            values = self.rule.values(basis, tables, x)
            counts = None if visits is None else visits[x]
            return self.exploration.probabilities(values, counts, acting.frames, acting.episodes)

        return jax.vmap(one)(x)


@cache
def _task(
    env: str, bins: tuple[int, ...], low: tuple[float, ...], high: tuple[float, ...], dynamics: str
) -> Task:
    task = registry.make(env)
    if bins:
        task = aggregate(task, bins, low or None, high or None)
    if dynamics == "environment":
        return task
    table = enumeration.outcomes(task) if dynamics == "table" else enumeration.by_rule(task)
    return task if table is None else tabulate(task, table)


def _drawn(u: jax.Array, policy: jax.Array) -> jax.Array:
    """Return an action for each u in [0, 1) and row of the policy (envs, A), by its cumulative sums."""
    # Scaled by the last sum, not by 1: rounding must not leave a gap behind the last action.
    cumulative = jnp.cumsum(policy, axis=-1)
    return jnp.sum(cumulative <= (u * cumulative[:, -1])[:, None], axis=-1, dtype=jnp.int32)
