"""An environment in worker processes as a world of several agents, used by a compiled program."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from populace.rl.multi_agent.environments.world import MultiAgentWorld
from populace.rl.multi_agent.foreign.layout import Layout
from populace.rl.multi_agent.task import MultiAgentTask, Step, View
from populace.rl.vector_env.callback import EnvState, HostEnvironment, draw_seed


class ForeignState(eqx.Module):
    """What the program carries of one environment.

    Attributes:
        env: the point that it is at, in an episode that has begun already if this one is over.
        seen: what the agents see and got, (K,), before that.
        next_seen: the same of that point.
        terminated: whether the game ended, ().
        truncated: whether only the time limit ended it, ().

    """

    env: EnvState
    seen: jax.Array
    next_seen: jax.Array
    terminated: jax.Array
    truncated: jax.Array


class ForeignWorld(MultiAgentWorld):
    """An environment of another package, which steps in processes of its own."""

    def __init__(
        self, title: str, host: HostEnvironment, layout: Layout, horizon: int, *, shared_reward: bool
    ) -> None:
        """Take the environments of the workers, and what their arrays hold."""
        self._title, self.host, self.layout = title, host, layout
        self.agents, self.horizon = layout.agents, horizon
        self.actions = tuple(tuple(map(str, range(n))) for n in layout.actions)
        self.shared_reward = shared_reward  # pyright: ignore[reportAttributeAccessIssue]

    @property
    def name(self) -> str:
        """Name of the environment."""
        return self._title

    @property
    def bounds(self) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
        """None are known: bounds of foreign spaces are often exceeded."""
        return tuple(
            (np.full(n, -np.inf, np.float32), np.full(n, np.inf, np.float32)) for n in self.layout.sizes
        )

    def reset(self, key: jax.Array) -> ForeignState:
        """Start an episode with a seed drawn from the key."""
        seen, env = self.host.reset(key)
        return ForeignState(env, seen, seen, jnp.bool(False), jnp.bool(False))

    def step(self, key: jax.Array, state: ForeignState, action: jax.Array) -> tuple[ForeignState, Any, Any]:
        """Take a step; after the end of an episode the next one has begun, with a seed drawn from the key.

        Where an episode is over, and nobody looks, the question is always the same, and the answer is known.
        """
        over = state.terminated | state.truncated
        seed = jnp.where(over, jnp.uint32(0), draw_seed(key))
        observation, env, _, terminated, truncated, info = self.host.advance(seed, state.env, action)
        seen = info["final_observation"]
        after = ForeignState(env, seen, observation, terminated, truncated)
        return after, self.layout.split(seen)["reward"], {}

    def view(self, state: ForeignState) -> View:
        """Return what the agents see."""
        parts = self.layout.split(state.seen)
        flags = {name: parts[name] > 0 for name in ("available", "alive", "acting")}
        return View(observation=parts["observation"], state=parts["state"], **flags)

    def truncated_agents(self, state: ForeignState) -> jax.Array:
        """Return whose part the time limit ended, (N,)."""
        return self.layout.split(state.seen)["truncated"] > 0

    def begun(self, state: ForeignState) -> ForeignState:
        """Return the start of the next episode, of a state whose episode is over."""
        return ForeignState(state.env, state.next_seen, state.next_seen, jnp.bool(False), jnp.bool(False))

    def terminated(self, state: ForeignState) -> jax.Array:
        """Return whether the game ended."""
        return state.terminated

    def truncated(self, state: ForeignState) -> jax.Array:
        """Return whether the time limit ended it."""
        return state.truncated


class ForeignTask(MultiAgentTask):
    """The task of a foreign environment, whose next episode the worker has begun when one ends."""

    def step(self, key: jax.Array, env_state: Any, action: jax.Array) -> Step:
        """Take one step of every copy; one whose episode ends begins the next."""

        def one(key: jax.Array, env_state: Any, action: jax.Array) -> Step:
            step = self.advance(key, env_state, action)
            over, fresh = step.terminated | step.truncated, self.environment.begun(step.env_state)
            view, after = jax.tree.map(
                lambda new, old: jnp.where(over, new, old),
                (self.see(fresh), fresh), (step.view, step.env_state),
            )  # fmt: skip
            return Step(view, after, step.reward, step.terminated, step.truncated, step.last, step.events)

        return jax.vmap(one)(jax.random.split(key, action.shape[0]), env_state, action)
