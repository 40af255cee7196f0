"""populace's worlds as `gymnasium.Env`. `import populace.rl` registers them, under `populace/`.

    import gymnasium
    import populace.rl

    env = gymnasium.make("populace/GridRobot-v0", width=5, render_mode="rgb_array")

Or let Gymnasium import it: `gymnasium.make("populace.rl:populace/GridRobot-v0")`.
"""

from functools import cache, partial
from typing import Any

import gymnasium
import jax
import numpy as np

from populace.core.errors import UsageError
from populace.core.untrusted.shown import shown
from populace.rl.environments import registry
from populace.rl.environments.worlds import registration
from populace.rl.task import Task


class NativeEnv(gymnasium.Env[Any, Any]):
    """A compiled environment with the interface of Gymnasium.

    Episodes are the same as in a compiled program: `reset(seed=s)` is the environment's own reset with the
    first half of `jax.random.split(jax.random.key(s))`; each later reset and step splits off the next
    key. Every step is a call of a compiled function, so this is slow: use it to render, to compare, and with
    tools that expect Gymnasium.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 4}  # noqa: RUF012 (Gymnasium's)

    def __init__(self, name: str, render_mode: str | None = None, **arguments: Any) -> None:
        """Create the environment.

        Args:
            name: name of a compiled environment, such as `LineWorld-v0`.
            render_mode: None or `"rgb_array"`.
            arguments: keyword arguments of the environment.

        Raises:
            UsageError: an unknown environment, invalid arguments, or another render mode.

        """
        if render_mode not in (None, "rgb_array"):
            raise UsageError(f"{name}: render_mode must be None or 'rgb_array', got {shown(render_mode)}")
        given = ", ".join(f"{key}={shown(value)}" for key, value in arguments.items())
        self.task = registry.make(f"{name}({given})" if given else name)
        self.render_mode = render_mode
        self.spec = registration.spec(name, arguments)  # `gymnasium.make` puts its own in the place of it
        self.metadata = self.metadata | {"render_fps": getattr(self.task.environment, "fps", 30)}
        environment, parameters = self.task.environment, self.task.parameters
        self.action_space = _space(environment.action_space(parameters))
        self.observation_space = _space(environment.observation_space(parameters))
        self._reset, self._step = _programs(self.task)
        self._key: Any = None
        self._state: Any = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Start an episode; without a seed the random sequence continues."""
        super().reset(seed=seed)
        if seed is not None or self._key is None:
            self._key = jax.random.key(int(self.np_random.integers(2**31)) if seed is None else seed)
        key, self._key = jax.random.split(self._key)
        observation, self._state = self._reset(key)
        return self._to_numpy(observation), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Take one step."""
        if self._state is None:
            raise UsageError(f"{self.task.name}: call reset() before the first step()")
        key, self._key = jax.random.split(self._key)
        observation, self._state, reward, terminated, truncated = self._step(key, self._state, action)
        return self._to_numpy(observation), float(reward), bool(terminated), bool(truncated), {}

    def render(self) -> np.ndarray | None:
        """Return an image of the current state, (height, width, 3) uint8; None without a render mode."""
        from populace.rl.environments.worlds.draw import draw

        if self.render_mode is None:
            return None
        if self._state is None:
            raise UsageError(f"{self.task.name}: call reset() before the first render()")
        return draw(self.task.environment, jax.device_get(self._state), self.task.parameters)

    def _to_numpy(self, observation: Any) -> Any:
        obs = np.asarray(observation, self.observation_space.dtype)
        return obs[()] if isinstance(self.observation_space, gymnasium.spaces.Discrete) else obs


@cache
def _programs(task: Task) -> tuple[Any, Any]:
    """Return the compiled reset and step of a task, shared by all environments made from it."""
    environment, parameters = task.environment, task.parameters

    def step(key: Any, state: Any, action: Any) -> tuple[Any, Any, Any, Any, Any]:
        """Return the results of a step before the automatic reset, which Gymnasium leaves to the caller."""
        # The environment's own step splits its key into one for the step and one for the reset.
        step_key, _ = jax.random.split(key)
        observation, state, reward, terminated, _ = environment.step_env(step_key, state, action, parameters)
        return observation, state, reward, terminated, environment.is_truncated(state, parameters)

    return jax.jit(partial(environment.reset, params=parameters)), jax.jit(step)


def _space(space: Any) -> gymnasium.Space[Any]:
    from gymnax.environments.spaces import gymnax_space_to_gym_space

    return gymnax_space_to_gym_space(space)
