"""Random-reward world: rewards are random whatever the agent does. There is nothing to learn."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from gymnax.environments import environment

from populace.core.errors import UsageError
from populace.rl.environments.worlds import checks
from populace.rl.environments.worlds.world import IndexedWorld


@struct.dataclass
class State(environment.EnvState):
    """The number of steps, and the last reward, which is rendered but not observed."""

    reward: jax.Array
    time: Any


@struct.dataclass
class Params(environment.EnvParams):
    """The time limit; the task itself ends after `steps`, so only a lower limit has an effect."""

    max_steps_in_episode: int = 10


class RandomReward(IndexedWorld):
    """A reward drawn uniformly from `[low, high)` in each of `steps` steps; then the episode terminates.

    The action has no effect, so all policies have the same value: before step t it is
    `(steps - t) (low + high) / 2` without discount. The return of one episode has the variance
    `steps (high - low)^2 / 12`. A learner that reports an improvement here is wrong. The observation is the
    step, t = 0 to `steps - 1`.
    """

    actions = ("one", "another")

    def __init__(
        self, steps: int = 10, low: float = -1.0, high: float = 1.0, observation: str = "one-hot"
    ) -> None:
        """Create the world.

        Args:
            steps: steps per episode, at least 1.
            low: lower bound of the reward, inclusive.
            high: upper bound of the reward, exclusive.
            observation: `"one-hot"` (`steps` numbers) or `"index"` (the step).

        Raises:
            UsageError: no steps, an empty range of rewards, or an unknown observation.

        """
        super().__init__(observation)
        self.steps = checks.whole(self.name, "steps", steps, 1)
        self.low, self.high = checks.real(self.name, "low", low), checks.real(self.name, "high", high)
        if self.low >= self.high:
            raise UsageError(f"{self.name}: low must be below high, got low {low:g} and high {high:g}")

    @property
    def default_params(self) -> Params:
        """The default parameters."""
        return Params(max_steps_in_episode=self.steps)

    @property
    def num_states(self) -> int:
        """Number of steps."""
        return self.steps

    def state_index(self, state: State) -> jax.Array:
        """Return the step; after the last step still the last one."""
        return jnp.minimum(state.time, self.steps - 1)

    def reset_env(self, key: jax.Array, params: Any) -> tuple[jax.Array, State]:
        """Start at step 0."""
        state = State(reward=jnp.float32(0), time=jnp.int32(0))
        return self.get_obs(state), state

    def step_env(
        self, key: jax.Array, state: State, action: Any, params: Any
    ) -> tuple[jax.Array, State, jax.Array, jax.Array, dict[str, Any]]:
        """Draw the reward."""
        reward = jax.random.uniform(key, minval=self.low, maxval=self.high)
        state = State(reward=reward, time=state.time + 1)
        return self.get_obs(state), state, reward, self.is_terminated(state, params), {}

    def is_terminated(self, state: State, params: Any) -> jax.Array:
        """Return whether all steps have been taken."""
        return state.time >= self.steps
