"""Small environments with JaxMARL's interface and none of its code, each with one peculiarity."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp


class Discrete:
    """Its space of actions: known by its name and `n`."""

    def __init__(self, n: int) -> None:
        self.n = n


class Box(Discrete):
    """A space that learners do not support."""


class State(NamedTuple):
    """What `step_env` passes on."""

    time: jax.Array
    last: jax.Array
    noise: jax.Array


class Relay:
    """Two agents of different spaces; `narrow` is done in step 3, all after `length` steps.

    `wide` sees time, noise and its last action, a matrix, and may not repeat that action; `narrow` sees the
    time, an integer. Rewards are the actions, and 1 for `narrow` when it is done.
    """

    agents: Any = ("wide", "narrow")

    def __init__(self, length: int = 6, max_steps: int = 9, what: str = "", **_: Any) -> None:
        self.length, self.max_steps, self.what = length, max_steps, what
        if what == "no-limit":
            del self.max_steps

    def action_space(self, agent: str) -> Any:
        if self.what == "continuous":
            return Box(2)
        return Discrete(3 if agent == "wide" else 2)

    def _seen(self, state: State) -> dict[str, Any]:
        wide = jnp.stack([jnp.stack([state.time * 1.0, state.noise]), jnp.stack([state.last * 1.0, 0.0])])
        if self.what == "dictionary":
            return {"wide": {"a": wide}, "narrow": state.time[None]}
        return {"wide": wide, "narrow": state.time[None]}

    def reset(self, key: jax.Array) -> Any:
        state = State(jnp.int32(0), jnp.int32(-1), jax.random.uniform(key))
        return self._seen(state), state

    def step_env(self, key: jax.Array, state: State, actions: dict[str, Any]) -> Any:
        time = state.time + 1
        noise = state.noise * 1.0 if self.what != "noisy" else jax.random.uniform(key)
        after = State(time, actions["wide"] * 1, noise)
        over = time >= self.length
        dead = (time >= 3) & (time < 5 if self.what == "revive" else True)
        done = {"wide": over, "narrow": over | dead, "__all__": over}
        if self.what == "lose":
            done |= {"wide": time >= 2, "narrow": time >= 2}
        paid = jnp.where(state.time < 3, actions["narrow"], 0) + (time == 3)
        reward = {"wide": actions["wide"] * 1.0, "narrow": paid, "__all__": 99.0}
        if self.what == "unpaid":
            del reward["narrow"]
        return self._seen(after), after, reward, done, {}

    def get_avail_actions(self, state: State) -> Any:
        free = jnp.arange(2 if self.what == "mask-shape" else 3) != state.last
        if self.what == "mask":
            free = free & (state.time < 2)
        return {"wide": free * 1, "narrow": jnp.where(state.time < 3, jnp.ones(2), 0)}


class Plain(Relay):
    """Has neither masks nor a state of its own that critics may see, but for a key that it draws by."""

    def get_avail_actions(self, state: State) -> Any:
        raise NotImplementedError

    def reset(self, key: jax.Array) -> Any:
        seen, state = super().reset(key)
        return seen, (state, key)

    def step_env(self, key: jax.Array, state: Any, actions: dict[str, Any]) -> Any:
        seen, after, *rest = super().step_env(key, state[0], actions)
        return seen, (after, jax.random.split(state[1])[0]), *rest


class Seen(Relay):
    """Has a global state of its own, a matrix."""

    def get_world_state(self, state: State) -> jax.Array:
        return jnp.full((2, 3), state.time)


def relay(length: int = 6) -> Relay:
    """A function that makes one."""
    return Relay(length)


def nothing() -> dict[str, int]:
    """Makes something else."""
    return {}
