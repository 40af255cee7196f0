"""Environments with JaxMARL's interface as worlds: compiled, so they train inside the one program as ours do.

Rutherford et al. 2024, "JaxMARL: Multi-Agent RL Environments and Algorithms in JAX". Used are `reset`,
`step_env` (a step that begins no new episode), `agents`, `action_space`, and where there are any
`get_avail_actions` or `get_legal_moves`, and `get_world_state`.

That interface has one flag, `done`, of each agent and of all (`__all__`). What is assumed:

- An end of the game in a step that the time limit allows still is a termination; in the limit's last step, or
  later, it is the clock's: a truncation, even if the game ended in that very step by itself.
- An agent that is done while the game goes on has died, and stays out until the next episode.
- If all agents are done in the step of a truncation, that is the clock's doing too: their values are
  bootstrapped.
"""

import contextlib
import inspect
import io
import math
from importlib import import_module
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from populace.core.errors import PopulaceError, UsageError, first_line, typed_line, unknown
from populace.core.imports import by_path
from populace.core.untrusted.shown import shown
from populace.rl.eager import eager
from populace.rl.environments import names as naming
from populace.rl.multi_agent.environments.world import MultiAgentWorld, WorldState
from populace.rl.multi_agent.task import View

SOURCE = "jaxmarl"
_LIMITS = (("max_steps",), ("num_inner_steps", "num_outer_steps"))
"""Attributes whose product is the time limit of JaxMARL's environments, in the order of preference."""
_MASKS = ("get_avail_actions", "get_legal_moves")


class State(WorldState):
    """What the program carries of one environment.

    Attributes:
        time: number of steps.
        inner: state of the environment.
        observation: what the agents see, padded, (N, F).
        alive: which agents take part still, (N,).
        over: whether the environment said that the game is over, ().

    """

    inner: Any
    observation: jax.Array
    alive: jax.Array
    over: jax.Array


class JaxMARLWorld(MultiAgentWorld):
    """An environment with JaxMARL's interface."""

    def __init__(self, name: str, env: Any, horizon: int | None, *, shared_reward: bool) -> None:
        """Take an environment, and the steps after which an episode is truncated (None: its own limit).

        Raises:
            UsageError: it has no time limit, or actions or observations that learners do not support.

        """
        self._title, self.env = name.partition("(")[0], env
        own = _own_limit(env)
        if own is None and horizon is None:
            raise UsageError(
                f"environment '{name}' has no time limit, but agents need one; "
                f"set it: {self._title}(max_episode_steps=1000)"
            )
        self._limit = own or 2**31 - 1
        self.horizon = horizon or self._limit
        self.shared_reward = shared_reward  # pyright: ignore[reportAttributeAccessIssue]
        self._keys = list(env.agents)
        self.agents = tuple(map(str, self._keys))
        spaces = {agent: env.action_space(agent) for agent in self._keys}
        for agent, space in spaces.items():
            if type(space).__name__ != "Discrete":
                raise UsageError(
                    f"environment '{name}': agent '{agent}' has actions {type(space).__name__}; learners of "
                    "several agents need Discrete"
                )
        self.actions = tuple(tuple(map(str, range(int(space.n)))) for space in spaces.values())
        self._raw = False  # keys
        seen, inner = jax.eval_shape(self._begin, jax.random.key(0))
        # What training carries is written to disk, where a key is its words
        self._raw = any(jnp.issubdtype(x.dtype, jax.dtypes.prng_key) for x in jax.tree.leaves(inner))
        self._types = jax.tree.map(lambda x: x.dtype, jax.eval_shape(self._begin, jax.random.key(0))[1])
        for agent in self._keys:
            if not hasattr(seen[agent], "shape"):
                raise UsageError(
                    f"environment '{name}': agent '{agent}' has observations {type(seen[agent]).__name__}; "
                    "they must be one array; flatten them in a class of your own"
                )
        self._sizes = tuple(math.prod(seen[agent].shape) for agent in self._keys)
        self._mask = next((m for m in _MASKS if _gives(env, m, inner)), None)

    @property
    def name(self) -> str:
        """Name of the environment."""
        return self._title

    @property
    def bounds(self) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
        """None are known: environments often exceed those they state."""
        return tuple((np.full(n, -np.inf, np.float32), np.full(n, np.inf, np.float32)) for n in self._sizes)

    def reset(self, key: jax.Array) -> State:
        """Start an episode."""
        seen, inner = self._begin(key)
        alive = jnp.ones(len(self.agents), jnp.bool)
        return State(jnp.int32(0), inner, self._packed(seen), alive, jnp.bool(False))

    def step(self, key: jax.Array, state: State, action: jax.Array) -> tuple[State, jax.Array, Any]:
        """Take a step."""
        chosen = {agent: action[i] for i, agent in enumerate(self._keys)}
        seen, inner, reward, done, _ = self.env.step_env(self._words(key), state.inner, chosen)
        inner = jax.tree.map(lambda x, dtype: jnp.asarray(x).astype(dtype), inner, self._types)
        time, over = state.time + 1, jnp.asarray(done["__all__"], jnp.bool)
        out = self._joined(done).astype(jnp.bool)
        clock = over & (time >= self._limit) & out.all()
        alive = state.alive & (~out | clock)
        after = State(time, inner, self._packed(seen), alive, over)
        return after, self._joined(reward).astype(jnp.float32), {}

    def terminated(self, state: State) -> jax.Array:
        """Return whether the game ended before its time limit."""
        return state.over & (state.time < self._limit)

    def truncated(self, state: State) -> jax.Array:
        """Return whether a time limit ended it."""
        late = (state.time >= self.horizon) | (state.over & (state.time >= self._limit))
        return late & ~self.terminated(state)

    def view(self, state: State) -> View:
        """Return what the agents see; the global state is the environment's own, or all they see."""
        many, n = max(map(len, self.actions)), len(self.agents)
        free = np.asarray([[a < len(actions) for a in range(many)] for actions in self.actions])
        available = jnp.asarray(free)
        if self._mask:
            masks = getattr(self.env, self._mask)(state.inner)
            rows = [jnp.ravel(masks[agent]).astype(jnp.bool) for agent in self._keys]
            self._check_masks(rows)
            rows = jnp.stack([jnp.pad(row, (0, many - len(row))) for row in rows])
            # The dead may do anything, and it is nothing
            available = jnp.where(state.alive[:, None], rows, available)
        if hasattr(self.env, "get_world_state"):
            whole = jnp.ravel(self.env.get_world_state(state.inner)).astype(jnp.float32)
        else:
            whole = jnp.concatenate([state.observation[i, : self._sizes[i]] for i in range(n)])
        return View(state.observation, available, state.alive, state.alive, whole)

    def _words(self, key: jax.Array) -> jax.Array:
        return jax.random.key_data(key) if self._raw else key

    def _begin(self, key: jax.Array) -> Any:
        return self.env.reset(self._words(key))

    def _joined(self, by_agent: Any) -> jax.Array:
        return jnp.stack([jnp.reshape(jnp.asarray(by_agent[agent]), ()) for agent in self._keys])

    def _packed(self, seen: Any) -> jax.Array:
        rows = [jnp.ravel(seen[agent]).astype(jnp.float32) for agent in self._keys]
        return jnp.stack([jnp.pad(row, (0, max(self._sizes) - len(row))) for row in rows])

    def _check_masks(self, rows: list[jax.Array]) -> None:
        for agent, row, actions in zip(self.agents, rows, self.actions):
            if len(row) != len(actions):
                raise UsageError(
                    f"environment '{self.name}': the mask of agent '{agent}' has {len(row)} entries for "
                    f"{len(actions)} actions"
                )


@eager
def world(asked: naming.Name) -> JaxMARLWorld:
    """Return the world of an environment with JaxMARL's interface.

    Args:
        asked: `jaxmarl:` and a name that JaxMARL has registered, or `module:Class`, a class or function that
            makes one, with or without `jaxmarl:` before it. Of its arguments `max_episode_steps` and
            `shared_reward` are used here, the others are the environment's.

    Raises:
        UsageError: JaxMARL is not installed; the environment or an argument is unknown; or it has no time
            limit, or spaces that learners do not support.

    """
    from populace.rl.vector_env.make import time_limit  # Gymnasium, which names of our own do not need

    name, inside = asked.whole, dict(asked.arguments)
    shared = inside.pop("shared_reward", False)
    if not isinstance(shared, bool):
        raise UsageError(f"environment '{name}': shared_reward must be True or False, got {shown(shared)}")
    horizon = time_limit(name, asked.arguments)
    inside.pop("max_episode_steps", None)
    maker = by_path.find(asked.identifier, "environment") if asked.path else _registered(asked.identifier)
    try:
        env = maker(**inside)
    except Exception as error:  # another package's code may raise anything
        raise UsageError(f"environment '{name}' cannot be created: {typed_line(error)}") from error
    if not has_interface(env):
        raise UsageError(
            f"environment '{name}' is a {type(env).__name__} without JaxMARL's interface: `agents`, `reset` "
            "and `step_env`"
        )
    known = _parameters(type(env) if not asked.path or isinstance(maker, type) else maker)
    for argument in inside:  # JaxMARL's classes swallow those that they do not know
        if argument not in known:
            raise unknown("argument", argument, known, where=f" of environment '{asked.identifier}'")
    try:
        return JaxMARLWorld(name, env, horizon, shared_reward=shared)
    except PopulaceError:
        raise
    except Exception as error:
        raise UsageError(f"environment '{name}' does not work: {typed_line(error)}") from error


def has_interface(env: Any) -> bool:
    """Return whether an environment, or the class of one, has JaxMARL's interface."""
    return callable(getattr(env, "step_env", None)) and callable(getattr(env, "reset", None))


def _registered(identifier: str) -> Any:
    package = _package()
    if identifier not in package.registered_envs:
        raise unknown("environment of JaxMARL", identifier, package.registered_envs)
    return lambda **arguments: package.make(identifier, **arguments)


def _package() -> ModuleType:
    try:
        # It prints which parts of it are missing
        with contextlib.redirect_stdout(io.StringIO()):
            return import_module("jaxmarl")
    except ModuleNotFoundError as error:
        if error.name != "jaxmarl":
            raise UsageError(f"JaxMARL does not work: {first_line(error)}") from error
        raise UsageError(
            "JaxMARL is not installed; install it with pip install 'populace[jaxmarl]'"
        ) from None


def _own_limit(env: Any) -> int | None:
    for names in _LIMITS:
        found = [steps for name in names if isinstance(steps := getattr(env, name, 0), int) and steps > 0]
        if len(found) == len(names):
            return math.prod(found)
    return None


def _gives(env: Any, method: str, inner: Any) -> bool:
    """Return whether an environment has a method of its own; the base class has one that raises."""
    if not callable(getattr(env, method, None)):
        return False
    try:
        jax.eval_shape(getattr(env, method), inner)
    except NotImplementedError:
        return False
    return True


def _parameters(maker: Any) -> set[str]:
    """Return the names of what a function, or a class and those it derives from, can be given."""
    makers = [c.__init__ for c in maker.__mro__[:-1]] if isinstance(maker, type) else [maker]
    found = [inspect.signature(one).parameters.values() for one in makers]
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {p.name for ps in found for p in ps if p.kind in named} - {"self"}
