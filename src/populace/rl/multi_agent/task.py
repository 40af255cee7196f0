"""MultiAgentTask: the common interface of environments with several agents.

Every agent has its own observation, its own set of actions, of which some may be unavailable, and its own
reward. `terminated` means that the game ended, so that its last state is worth 0; `truncated` means that only
the time limit ended it, so that the value of the last state must be bootstrapped. It is in `Step.last`, which
is what the agents saw before the next episode began. Agents whose part ends while the others go on are told
apart there, too: one that died is not alive in `Step.last`, and its value is 0; one that a time limit took
out is alive in it for the last time, and is bootstrapped.

Agents with different spaces are padded: observations with zeros to the widest one, actions with unavailable
ones to the largest number of them.
"""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np


class View(eqx.Module):
    """What N agents see at one time.

    Attributes:
        observation: (N, F) float32.
        available: which of the A actions each agent may take, (N, A); at least one of each.
        alive: which agents take part still, (N,).
        acting: which agents choose an action now, (N,): all that are alive, or the one whose turn it is. The
            action of another is ignored.
        state: the global state, (S,) float32: what a critic or a mixer may see in training, and no agent.

    """

    observation: jax.Array
    available: jax.Array
    alive: jax.Array
    acting: jax.Array
    state: jax.Array


class Step(eqx.Module):
    """What follows the actions of all agents.

    Attributes:
        view: what the agents see next: of a new episode, where one ended.
        env_state: state of the environment, to be passed on.
        reward: (N,) float32.
        terminated: whether the game ended, ().
        truncated: whether only the time limit ended it, ().
        last: what the agents saw after the step, before any new episode; in it those are alive, too, whose
            part a time limit ended in this step.
        events: what happened to each agent, by name, (N,): collisions, for example.

    """

    view: View
    env_state: Any
    reward: jax.Array
    terminated: jax.Array
    truncated: jax.Array
    last: View
    events: dict[str, jax.Array]


@dataclasses.dataclass(frozen=True, eq=False)
class MultiAgentTask:
    """An environment with several agents, vectorized over parallel copies.

    Attributes:
        name: the name that it was created by, with arguments.
        environment: a [`MultiAgentWorld`][populace.rl.multi_agent.environments.world.MultiAgentWorld].
        agents: names of the N agents.
        actions: number of actions of each agent.
        observation_sizes: numbers in the observation of each agent, before padding.
        state_size: numbers in the global state, S.
        horizon: steps after which an episode is truncated.
        shared_reward: whether all agents get one and the same reward, which the team's return counts once.

    """

    name: str
    environment: Any
    agents: tuple[str, ...]
    actions: tuple[int, ...]
    observation_sizes: tuple[int, ...]
    state_size: int
    horizon: int
    shared_reward: bool

    @property
    def team(self) -> int:
        """Number of agents, N."""
        return len(self.agents)

    @property
    def most_actions(self) -> int:
        """Number of actions with padding, A."""
        return max(self.actions)

    @property
    def features(self) -> int:
        """Numbers in an observation with padding, F."""
        return max(self.observation_sizes)

    @property
    def alike(self) -> bool:
        """Whether all agents have the same spaces, so that none is padded."""
        return len(set(self.actions)) == 1 and len(set(self.observation_sizes)) == 1

    def team_reward(self, reward: Any) -> Any:
        """Return the team's reward (...) of those of its agents (..., N): their sum, or the shared one."""
        return reward[..., 0] if self.shared_reward else reward.sum(-1)

    def see(self, env_state: Any) -> View:
        """Return what the agents see of one state, padded."""
        view = self.environment.view(env_state)
        wide, many = self.features, self.most_actions

        def padded(rows: Any, width: int, dtype: Any) -> jax.Array:
            if isinstance(rows, jax.Array):
                return rows.astype(dtype)
            return jnp.stack([jnp.pad(jnp.asarray(x, dtype), (0, width - len(x))) for x in rows])

        return View(
            observation=padded(view.observation, wide, jnp.float32),
            available=padded(view.available, many, jnp.bool),
            alive=view.alive, acting=view.acting, state=view.state.astype(jnp.float32),
        )  # fmt: skip

    def start(self, key: jax.Array) -> tuple[View, Any]:
        """Begin one episode."""
        env_state = self.environment.reset(key)
        return self.see(env_state), env_state

    def advance(self, key: jax.Array, env_state: Any, action: jax.Array) -> Step:
        """Take one step of one copy by actions (N,); no new episode is begun."""
        after, reward, events = self.environment.step(key, env_state, action)
        view = self.see(after)
        terminated = self.environment.terminated(after)
        truncated = self.environment.truncated(after) & ~terminated
        alive = view.alive | self.environment.truncated_agents(after)
        last = dataclasses.replace(view, alive=alive)
        return Step(view, after, reward.astype(jnp.float32), terminated, truncated, last, events)

    def reset(self, key: jax.Array, num_envs: int) -> tuple[View, Any]:
        """Begin episodes; return views and states with a leading axis of num_envs."""
        return jax.vmap(self.start)(jax.random.split(key, num_envs))

    def step(self, key: jax.Array, env_state: Any, action: jax.Array) -> Step:
        """Take one step of every copy; one whose episode ends begins the next.

        Args:
            key: JAX random key.
            env_state: states with a leading axis of num_envs.
            action: (num_envs, N).

        """

        def one(key: jax.Array, env_state: Any, action: jax.Array) -> Step:
            step_key, reset_key = jax.random.split(key)
            step = self.advance(step_key, env_state, action)
            over = step.terminated | step.truncated
            fresh = self.environment.reset(reset_key)
            after = jax.tree.map(lambda new, old: jnp.where(over, new, old), fresh, step.env_state)
            return dataclasses.replace(step, view=self.see(after), env_state=after)

        return jax.vmap(one)(jax.random.split(key, action.shape[0]), env_state, action)


def example(task: MultiAgentTask) -> View:
    """Return the shapes of one view of a task."""
    n, many = task.team, task.most_actions
    flags = np.ones(n, bool)
    return View(
        observation=jnp.zeros((n, task.features)), available=jnp.ones((n, many), jnp.bool),
        alive=jnp.asarray(flags), acting=jnp.asarray(flags), state=jnp.zeros(task.state_size),
    )  # fmt: skip
