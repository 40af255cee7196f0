"""Hosted: an environment outside the compiled program, as if it were inside it.

What a program carries of such an environment is a pytree: the seed of the running episode and the actions
taken in it. A callback asks the [`Pool`][populace.rl.vector_env.episode_cache.Pool] what
follows, for all copies and members in one call. So a checkpoint holds all there is, and a resumed run goes on
in the very same episodes.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental.buffer_callback import buffer_callback

from populace.core.errors import PopulaceError
from populace.engine import host_errors
from populace.rl.vector_env.episode_cache import START, Pool, StepRequest


class EnvState(eqx.Module):
    """What is carried of one environment.

    Attributes:
        ticket: seed of the running episode.
        t: steps taken in it.
        mark: 64 bits, as two numbers, that tell seed and actions so far from all others.
        seen: checksum of the last observation.
        history: the actions so far, with room for the longest episode.

    """

    seed: jax.Array
    t: jax.Array
    history_hash: jax.Array
    seen: jax.Array
    history: jax.Array


class HostEnvironment:
    """An environment whose steps are taken in other processes; `reset` and `step` as Gymnax's."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self._action, self._observation = pool.records["action"][0], pool.records["observation"][0]

    def reset(self, key: jax.Array, params: Any = None) -> tuple[jax.Array, EnvState]:
        """Start an episode whose seed is drawn from the key."""
        del params
        shapes = {"observation": self._observation, "seen": np.uint32(0), "next": np.uint32(0)}
        found = _ask(self._begin, shapes, {"seed": _draw(key)})
        history = jnp.zeros((self.pool.horizon, *self._action.shape), self._action.dtype)
        return found["observation"], EnvState(
            found["next"], jnp.int32(0), _start(found["next"]), found["seen"], history
        )

    def step(self, key: jax.Array, state: EnvState, action: jax.Array, params: Any = None) -> tuple[Any, ...]:
        """Take a step; an episode that ends is followed by the next, whose seed is drawn from the key."""
        del params
        action = action.astype(self._action.dtype)
        history = state.history.at[state.t].set(action)
        after, fresh = _fold(state.history_hash, action), _draw(key)
        query = {
            "seed": state.seed, "t": state.t, "history_hash": state.history_hash, "after": after,
            "seen": state.seen, "next_seed": fresh, "history": history,
        }  # fmt: skip
        shapes = {
            "observation": self._observation, "final": self._observation, "reward": np.float32(0),
            "terminated": np.bool(0), "truncated": np.bool(0), "seen": np.uint32(0), "next": np.uint32(0),
        }  # fmt: skip
        found = _ask(self._step, shapes, query)
        done = found["terminated"] | found["truncated"]
        world = EnvState(
            seed=jnp.where(done, found["next"], state.seed),
            t=jnp.where(done, 0, state.t + 1),
            history_hash=jnp.where(done, _start(found["next"]), after),
            seen=found["seen"],
            history=history,
        )
        info = {"final_observation": found["final"]}
        return found["observation"], world, found["reward"], found["terminated"], found["truncated"], info

    def _begin(self, given: dict[str, np.ndarray]) -> np.ndarray:
        return self.pool.begin(given["seed"].reshape(-1))

    def _step(self, given: dict[str, np.ndarray]) -> np.ndarray:
        rows = given["t"].size
        whole = {
            k: v.reshape(rows) for k, v in given.items() if k not in ("history_hash", "after", "history")
        }
        marks = {
            k: np.ascontiguousarray(given[k]).reshape(rows, 2).view("<u8")[:, 0]
            for k in ("history_hash", "after")
        }
        history = given["history"].reshape(rows, self.pool.horizon, *self._action.shape)
        found = self.pool.step(StepRequest(**whole, **marks, history=history))
        going = ~(found["terminated"] | found["truncated"])
        found["final"][going] = found["observation"][going]
        return found


def _draw(key: jax.Array) -> jax.Array:
    """Return a seed that Gymnasium takes: 31 bits."""
    return jax.random.bits(key, (), jnp.uint32) >> 1


def _start(seed: jax.Array) -> jax.Array:
    """Return the mark of an episode before its first action."""
    return jnp.stack([seed, jnp.full_like(seed, START)], axis=-1)


def _fold(history_hash: jax.Array, action: jax.Array) -> jax.Array:
    """Return the mark after one more action: each half is stirred with the action and the other half.

    The stirring is the last step of MurmurHash3 (Appleby 2011).
    """
    if jnp.issubdtype(action.dtype, jnp.floating):
        words = jax.lax.bitcast_convert_type(action, jnp.uint32).reshape(-1)
    else:
        words = action.astype(jnp.uint32).reshape(-1)
    multipliers = np.random.default_rng(0).integers(0, 2**31, (2, words.size), np.uint32) * 2 + 1
    mixed = (multipliers * words).sum(-1, dtype=jnp.uint32)
    x = history_hash * np.uint32(0x9E3779B1) + history_hash[::-1] + mixed + 1
    x = (x ^ (x >> 16)) * np.uint32(0x85EBCA6B)
    x = (x ^ (x >> 13)) * np.uint32(0xC2B2AE35)
    return x ^ (x >> 16)


def _ask(host: Callable[..., np.ndarray], like: dict[str, Any], given: dict[str, jax.Array]) -> Any:
    """Call `host` with arrays that have all mapped axes in front, and return the fields that are named."""
    shapes = {name: jax.ShapeDtypeStruct(np.shape(x), x.dtype) for name, x in like.items()}

    def answer(given: Any) -> np.ndarray:
        try:
            return host({name: np.asarray(x) for name, x in given.items()})
        except PopulaceError as error:
            host_errors.record(error)
            raise

    def in_place(context: Any, out: Any, given: Any) -> None:
        found = answer(given)
        for name, buffer in out.items():
            array = np.asarray(buffer)
            array[...] = found[name].reshape(array.shape)

    def copied(given: Any) -> Any:
        front = given["seed"].shape
        found = answer(given)
        return {name: found[name].reshape(*front, *s.shape) for name, s in shapes.items()}

    if jax.default_backend() == "cpu":
        # A pure callback hangs on CPU when its arguments are large and every thread is in a callback
        # (github.com/jax-ml/jax/issues/24255): it hands them over as arrays of JAX, which copies them.
        return buffer_callback(in_place, shapes, vmap_method="broadcast_all")(given)
    return jax.pure_callback(copied, shapes, given, vmap_method="broadcast_all")
