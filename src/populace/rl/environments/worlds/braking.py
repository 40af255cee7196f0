"""Braking: a car must stop before an obstacle, on a road whose friction it does not observe."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from gymnax.environments import environment, spaces

from populace.rl.environments.worlds import checks
from populace.rl.environments.worlds.world import World

GRAVITY = 9.81  # m/s^2
STEP = 0.5  # s between two decisions
DEMANDED = (0.0, 1.0, 4.0, 8.0)  # m/s^2: nothing, engine brake, brake, hard brake
ANTI_LOCK = 0.9  # fraction of the grip that remains while the anti-lock system is active
ROLLING = 0.15  # m/s^2, rolling resistance
AIR = 0.0003  # 1/m: c_w A rho / (2 m) = 0.3 * 2.2 m^2 * 1.2 kg/m^3 / (2 * 1,320 kg)
SPEEDS = (12.0, 20.0)  # m/s at the start
DISTANCES = (120.0, 150.0)  # m at the start
CRAWL = 1.5  # m/s for the remaining distance after the stop
TIME = 0.1  # cost per second
COMFORT = 0.005  # cost per second and (m/s^2)^2 of deceleration
COLLISION = 10.0  # cost of a collision at any speed
IMPACT = 0.02  # additional cost per (m/s)^2 of speed


@struct.dataclass
class State(environment.EnvState):
    """Speed (m/s), distance (m), the episode's friction, anti-lock feedback, last deceleration (m/s^2)."""

    speed: jax.Array
    distance: jax.Array
    friction: jax.Array
    feedback: jax.Array
    deceleration: jax.Array
    time: Any


@struct.dataclass
class Params(environment.EnvParams):
    """The time limit: 100 steps are 50 s."""

    max_steps_in_episode: int = 100


class Braking(World):
    """A car at 12 to 20 m/s, 120 to 150 m before an obstacle, chooses every 0.5 s how to brake.

    Actions demand a deceleration from the wheels: 0 nothing, 1 engine brake (1 m/s^2), 2 brake (4), 3 hard
    brake (8). The road provides at most the grip `friction * 9.81`; beyond it the wheels would lock, so the
    anti-lock system keeps them at nine tenths of the grip. Rolling and air resistance are added:

        grip         = friction * 9.81                                            m/s^2
        granted      = demanded            where demanded <= grip, else 0.9 grip  m/s^2
        a            = granted + 0.15 + 0.0003 v^2                                m/s^2
        v(t + 0.5 s) = max(v - 0.5 a, 0);  x(t + 0.5 s) = x - (v^2 - v(t + 0.5 s)^2) / (2 a)

    which is exact for a constant a, even if the car stops within the step. Friction is drawn uniformly from
    the range `friction` for each episode, and is not observed. Observations are the speed in units of
    20 m/s, the distance in units of 150 m, and the feedback of the anti-lock system in the last step: the
    fraction of the demanded deceleration that was not granted, `1 - granted / demanded`.

    The episode terminates when the car has stopped or hits the obstacle. Reward:

        -0.1 per second                         time
        -0.005 a^2 per second                   comfort
        -0.1 x / 1.5                            stopped: the time to crawl the remaining x m at 1.5 m/s
        -10 - 0.02 v^2                          collision at v m/s

    Dry asphalt has a friction of about 0.8, wet 0.5, snow 0.3, ice 0.1.
    """

    actions = ("nothing", "engine brake", "brake", "hard brake")
    fps = 4

    def __init__(self, friction: tuple[float, float] = (0.6, 0.9)) -> None:
        """Create the world.

        Args:
            friction: the range `(low, high)` of each episode's friction, within (0, 1.5].

        Raises:
            UsageError: an invalid range.

        """
        self.friction = checks.interval(self.name, "friction", friction, above=0.0, high=1.5)

    @property
    def default_params(self) -> Params:
        """The default parameters."""
        return Params()

    def reset_env(self, key: jax.Array, params: Any) -> tuple[jax.Array, State]:
        """Draw speed, distance and friction."""
        ranges = np.asarray([SPEEDS, DISTANCES, self.friction], np.float32)
        drawn = jax.random.uniform(key, (3,))
        speed, distance, friction = ranges[:, 0] + drawn * (ranges[:, 1] - ranges[:, 0])
        nothing = jnp.float32(0)
        state = State(
            speed=speed, distance=distance, friction=friction, feedback=nothing,
            deceleration=nothing, time=jnp.int32(0),
        )  # fmt: skip
        return self.get_obs(state), state

    def step_env(
        self, key: jax.Array, state: State, action: Any, params: Any
    ) -> tuple[jax.Array, State, jax.Array, jax.Array, dict[str, Any]]:
        """Brake for half a second."""
        v, x = state.speed, state.distance
        demanded = jax.nn.one_hot(action, len(DEMANDED)) @ np.asarray(DEMANDED, np.float32)
        grip = state.friction * GRAVITY
        granted = jnp.where(demanded <= grip, demanded, ANTI_LOCK * grip)
        feedback = jnp.where(demanded > 0, 1 - granted / jnp.maximum(demanded, 1.0), 0.0)
        a = granted + ROLLING + AIR * v**2
        driven = jnp.minimum(STEP, v / a)  # seconds of driving: less than the step if the car stops
        left = x - v * driven + a * driven**2 / 2
        collided = left <= 0
        impact = jnp.sqrt(jnp.maximum(v**2 - 2 * a * x, 0.0))
        speed = jnp.where(collided, impact, jnp.maximum(v - a * STEP, 0.0))
        state = State(
            speed=speed,
            distance=jnp.maximum(left, 0.0),
            friction=state.friction,
            feedback=feedback,
            deceleration=a,
            time=state.time + 1,
        )
        stopped = ~collided & (speed <= 0)
        reward = -STEP * (TIME + COMFORT * a**2)
        reward -= jnp.where(stopped, TIME * left / CRAWL, 0.0)
        reward -= jnp.where(collided, COLLISION + IMPACT * impact**2, 0.0)
        return self.get_obs(state), state, reward, self.is_terminated(state, params), {}

    def is_terminated(self, state: State, params: Any) -> jax.Array:
        """Return whether the car has stopped or hit the obstacle."""
        return (state.speed <= 0) | (state.distance <= 0)

    def get_obs(self, state: State, params: Any = None, key: Any = None) -> jax.Array:
        """Return speed / (20 m/s), distance / (150 m) and the anti-lock feedback, all in [0, 1]."""
        return jnp.stack([state.speed / SPEEDS[1], state.distance / DISTANCES[1], state.feedback])

    def observation_space(self, params: Any = None) -> spaces.Box:
        """Return the space of `get_obs`."""
        return spaces.Box(0.0, 1.0, (3,), jnp.float32)
