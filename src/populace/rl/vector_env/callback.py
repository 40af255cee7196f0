"""Environments in worker processes, used by a compiled program as if they were part of it.

The program carries a pytree for each environment: the seed of the running episode and the actions taken in
it. For every reset and step a callback asks the
[`EpisodeCache`][populace.rl.vector_env.episode_cache.EpisodeCache] for the results of all environments and
members at once. So a checkpoint holds everything, and a resumed run continues in the same episodes.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental.buffer_callback import buffer_callback

from populace.engine import host_errors
from populace.rl.vector_env.episode_cache import START, EpisodeCache, StepRequest


class EnvState(eqx.Module):
    """What the program carries of one environment.

    Attributes:
        seed: seed of the running episode.
        t: steps taken in it.
        history_hash: 64-bit hash of seed and actions so far, as two 32-bit numbers.
        obs_checksum: CRC-32 of the last observation.
        history: the actions so far, with room for the longest episode.

    """

    seed: jax.Array
    t: jax.Array
    history_hash: jax.Array
    obs_checksum: jax.Array
    history: jax.Array


class HostEnvironment:
    """An environment that other processes step, with Gymnax's methods `reset` and `step`."""

    def __init__(self, cache: EpisodeCache) -> None:
        self.cache = cache
        self._action, self._observation = cache.records["action"][0], cache.records["observation"][0]

    def reset(self, key: jax.Array, params: Any = None) -> tuple[jax.Array, EnvState]:
        """Start an episode with a seed drawn from the key."""
        del params
        shapes = {"observation": self._observation, "obs_checksum": np.uint32(0), "next_seed": np.uint32(0)}
        found = _ask(self._begin, shapes, {"seed": draw_seed(key)})
        history = jnp.zeros((self.cache.horizon, *self._action.shape), self._action.dtype)
        seed = found["next_seed"]
        return found["observation"], EnvState(
            seed, jnp.int32(0), _start_hash(seed), found["obs_checksum"], history
        )

    def step(self, key: jax.Array, state: EnvState, action: jax.Array, params: Any = None) -> tuple[Any, ...]:
        """Take a step; after the end of an episode the next one starts with a seed drawn from the key."""
        del params
        return self.advance(draw_seed(key), state, action)

    def advance(self, next_seed: jax.Array, state: EnvState, action: jax.Array) -> tuple[Any, ...]:
        """Take a step, as `step` does, given the seed of the next episode."""
        action = action.astype(self._action.dtype)
        history = state.history.at[state.t].set(action)
        next_hash = _next_hash(state.history_hash, action)
        query = {
            "seed": state.seed, "t": state.t, "history_hash": state.history_hash, "next_hash": next_hash,
            "obs_checksum": state.obs_checksum, "next_seed": next_seed, "history": history,
        }  # fmt: skip
        shapes = {
            "observation": self._observation, "final_observation": self._observation,
            "reward": np.float32(0), "terminated": np.bool(0), "truncated": np.bool(0),
            "obs_checksum": np.uint32(0), "next_seed": np.uint32(0),
        }  # fmt: skip
        found = _ask(self._step, shapes, query)
        done = found["terminated"] | found["truncated"]
        state = EnvState(
            seed=jnp.where(done, found["next_seed"], state.seed),
            t=jnp.where(done, 0, state.t + 1),
            history_hash=jnp.where(done, _start_hash(found["next_seed"]), next_hash),
            obs_checksum=found["obs_checksum"],
            history=history,
        )
        info = {"final_observation": found["final_observation"]}
        return found["observation"], state, found["reward"], found["terminated"], found["truncated"], info

    def _begin(self, given: dict[str, np.ndarray]) -> np.ndarray:
        return self.cache.begin(given["seed"].reshape(-1))

    def _step(self, given: dict[str, np.ndarray]) -> np.ndarray:
        rows = given["t"].size
        numbers = {
            k: v.reshape(rows) for k, v in given.items() if k not in ("history_hash", "next_hash", "history")
        }
        hashes = {
            k: np.ascontiguousarray(given[k]).reshape(rows, 2).view("<u8")[:, 0]
            for k in ("history_hash", "next_hash")
        }
        history = given["history"].reshape(rows, self.cache.horizon, *self._action.shape)
        found = self.cache.step(StepRequest(**numbers, **hashes, history=history))
        going = ~(found["terminated"] | found["truncated"])
        found["final_observation"][going] = found["observation"][going]
        return found


def draw_seed(key: jax.Array) -> jax.Array:
    """Return a seed that Gymnasium accepts: 31 bits."""
    return jax.random.bits(key, (), jnp.uint32) >> 1


def _start_hash(seed: jax.Array) -> jax.Array:
    """Return the history hash of an episode before its first action, (..., 2)."""
    return jnp.stack([seed, jnp.full_like(seed, START)], axis=-1)


def _next_hash(history_hash: jax.Array, action: jax.Array) -> jax.Array:
    """Return the history hash (2,) after one more action; each half mixes both halves and the action.

    The mixing is the finalizer of MurmurHash3 (Appleby 2011).
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
    """Call `host` with arrays that have all mapped axes in front; return the fields in `like`."""
    shapes = {name: jax.ShapeDtypeStruct(np.shape(x), x.dtype) for name, x in like.items()}

    def answer(given: Any) -> np.ndarray:
        with host_errors.recorded("the worker processes of an environment failed"):
            return host({name: np.asarray(x) for name, x in given.items()})

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
        # On CPU a pure callback deadlocks if its arguments are large and every thread is in a callback
        # (github.com/jax-ml/jax/issues/24255), because it copies them into arrays of JAX.
        return buffer_callback(in_place, shapes, vmap_method="broadcast_all")(given)
    return jax.pure_callback(copied, shapes, given, vmap_method="broadcast_all")
