"""Small worlds of tests: agents that differ, die, or break the contract."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from populace.rl.multi_agent import MultiAgentWorld
from populace.rl.multi_agent.environments.world import WorldState
from populace.rl.multi_agent.task import View


class Uneven(MultiAgentWorld):
    """Two agents of different spaces: the first is paid for action 2 of 3, the second for action 1 of 2."""

    agents = ("wide_0", "narrow_0")
    actions = (("a", "b", "c"), ("a", "b"))
    horizon = 4

    @property
    def bounds(self) -> Any:
        return tuple((np.zeros(n, np.float32), np.ones(n, np.float32)) for n in (3, 1))

    def reset(self, key: jax.Array) -> WorldState:
        return WorldState(jnp.int32(0))

    def step(self, key: jax.Array, state: WorldState, action: jax.Array) -> Any:
        return WorldState(state.time + 1), (action == jnp.asarray([2, 1])).astype(jnp.float32), {}

    def view(self, state: WorldState) -> View:
        both = jnp.ones(2, jnp.bool)
        seen = (jnp.ones(3), jnp.ones(1) * 0.5)
        return View(seen, (jnp.ones(3, jnp.bool), jnp.ones(2, jnp.bool)), both, both, jnp.ones(1))


class Mortal(MultiAgentWorld):
    """Two agents, ten steps; the second dies in step 3. Both are paid 1 for action 1, while they live."""

    agents = ("agent_0", "agent_1")
    actions = (("a", "b"),) * 2
    horizon = 20

    @property
    def bounds(self) -> Any:
        return ((np.zeros(2, np.float32), np.ones(2, np.float32)),) * 2

    def reset(self, key: jax.Array) -> WorldState:
        return WorldState(jnp.int32(0))

    def alive(self, state: WorldState) -> jax.Array:
        return jnp.stack([state.time >= 0, state.time < 3])

    def step(self, key: jax.Array, state: WorldState, action: jax.Array) -> Any:
        paid = jnp.where(self.alive(state), action == 1, 0).astype(jnp.float32)
        return WorldState(state.time + 1), paid, {}

    def terminated(self, state: WorldState) -> jax.Array:
        return state.time >= 10

    def view(self, state: WorldState) -> View:
        alive = self.alive(state)
        time = jnp.stack([state.time / 10, 1.0 * (state.time >= 3)])
        seen = jnp.stack([time, time])
        return View(seen, jnp.ones((2, 2), jnp.bool), alive, alive, time)


class Retired(Mortal):
    """The clock takes the second agent out in step 3, and the game goes on."""

    def truncated_agents(self, state: WorldState) -> jax.Array:
        return jnp.stack([state.time < 0, state.time == 3])


class Clock(Mortal):
    """Nobody dies, and nothing ends it but the clock, after three steps."""

    horizon = 3

    def alive(self, state: WorldState) -> jax.Array:
        return jnp.stack([state.time >= 0, state.time >= 0])

    def terminated(self, state: WorldState) -> jax.Array:
        return jnp.bool(False)


class Stuck(Mortal):
    """After two steps the first agent has no action left."""

    def view(self, state: WorldState) -> View:
        view = super().view(state)
        free = jnp.stack([jnp.full(2, state.time < 2), jnp.full(2, True)])
        return View(view.observation, free, view.alive, view.acting, view.state)


class Misshapen(Mortal):
    """Masks of another shape than actions."""

    def view(self, state: WorldState) -> View:
        view = super().view(state)
        return View(view.observation, jnp.ones((2, 3), jnp.bool), view.alive, view.acting, view.state)


class Revived(Mortal):
    """The second agent comes back to life."""

    def alive(self, state: WorldState) -> jax.Array:
        return jnp.stack([state.time >= 0, (state.time < 3) | (state.time > 5)])


class Lost(Mortal):
    """Both agents vanish, and nobody says that the game is over."""

    def alive(self, state: WorldState) -> jax.Array:
        return jnp.stack([state.time < 3, state.time < 3])


class NoActions(Mortal):
    """An agent without actions."""

    actions = (("a", "b"), ())


class Recall(Mortal):
    """Two agents see a cue, 0 or 1, in the first of four steps, and are paid for naming it in the last."""

    horizon = 9

    @property
    def bounds(self) -> Any:
        return ((np.zeros(3, np.float32), np.ones(3, np.float32)),) * 2

    def reset(self, key: jax.Array) -> "RecallState":
        return RecallState(jnp.int32(0), jax.random.randint(key, (2,), 0, 2))

    def step(self, key: jax.Array, state: "RecallState", action: jax.Array) -> Any:
        paid = ((action == state.cue) & (state.time == 3)).astype(jnp.float32)
        return RecallState(state.time + 1, state.cue), paid, {}

    def terminated(self, state: WorldState) -> jax.Array:
        return state.time >= 4

    def view(self, state: "RecallState") -> View:
        shown = jax.nn.one_hot(state.cue, 2) * (state.time == 0)
        seen = jnp.concatenate([shown, jnp.full((2, 1), state.time == 3)], -1)
        return self.everyone(seen, 2, jnp.concatenate([state.cue / 1, state.time[None] / 4]))


class RecallState(WorldState):
    """Which cues were shown, (2,)."""

    cue: jax.Array
