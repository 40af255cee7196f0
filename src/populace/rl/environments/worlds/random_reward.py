"""Random-reward world: whatever is done, chance pays. There is nothing to learn."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from gymnax.environments import environment

from populace.core.errors import UsageError
from populace.rl.environments.worlds import checks
from populace.rl.environments.worlds.world import NumberedWorld


@struct.dataclass
class State(environment.EnvState):
    """Steps made, and the last reward, which is kept to be drawn and never seen."""

    reward: jax.Array
    time: Any


@struct.dataclass
class Params(environment.EnvParams):
    """Nothing but the clock, which the task's own end forestalls unless it is set lower."""

    max_steps_in_episode: int = 10


class RandomReward(NumberedWorld):
    """A reward drawn evenly from `[low, high)` in each of `steps` steps, then the task ends.

    The action changes nothing, so all policies have the same value: before step t it is
    `(steps - t) (low + high) / 2` without discount. The return of one episode has the variance
    `steps (high - low)^2 / 12`. A learner that claims to have gained something here is wrong. The
    observation is the step, t = 0 to `steps - 1`.
    """

    actions = ("one", "another")

    def __init__(
        self, steps: int = 10, low: float = -1.0, high: float = 1.0, observation: str = "one-hot"
    ) -> None:
        """Make the world.

        Args:
            steps: steps until the task ends, at least 1.
            low: lowest reward.
            high: the rewards lie below it.
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
        """The parameters unless others are given."""
        return Params(max_steps_in_episode=self.steps)

    @property
    def places(self) -> int:
        """The steps."""
        return self.steps

    def place(self, state: State) -> jax.Array:
        """Return the step; after the last one it stays there."""
        return jnp.minimum(state.time, self.steps - 1)

    def reset_env(self, key: jax.Array, params: Any) -> tuple[jax.Array, State]:
        """Start to count."""
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
        """Return whether all steps are made."""
        return state.time >= self.steps
