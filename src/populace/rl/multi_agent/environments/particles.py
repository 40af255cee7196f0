"""Particle worlds: discs that agents push around in a plane, with the physics of MPE.

Lowe et al. 2017, "Multi-Agent Actor-Critic for Mixed Cooperative-Competitive Environments". Steps equal those
of the package mpe2, in single precision.
"""

from abc import abstractmethod
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from populace.core.learner import Mean
from populace.rl.environments.worlds import checks
from populace.rl.multi_agent.environments import peers
from populace.rl.multi_agent.environments.world import MultiAgentWorld, WorldState
from populace.rl.multi_agent.task import View

PUSHES = ("nothing", "left", "right", "down", "up")
_DIRECTIONS = np.asarray([(0, 0), (-1, 0), (1, 0), (0, -1), (0, 1)], np.float32)
STEP, DAMPING = 0.1, 0.25
CONTACT_FORCE, CONTACT_MARGIN = 100.0, 1e-3
PUSH = 5.0


class State(WorldState):
    """Places and velocities of N agents and M landmarks.

    Attributes:
        time: number of steps.
        place: of the agents, (N, 2).
        velocity: of the agents, (N, 2).
        landmark: places of the landmarks, (M, 2).

    """

    place: jax.Array
    velocity: jax.Array
    landmark: jax.Array


class ParticleWorld(MultiAgentWorld):
    """Agents of mass 1 choose a push of 5 in one of four directions, or none; velocity fades by a quarter.

        x' = x + 0.1 v;    v' = 0.75 v + 0.1 (push + contacts)

    Agents that touch repel each other by `100 p` along the line between them, where p is how deep they
    overlap, softly: `p = m log(1 + exp((r_1 + r_2 - distance) / m))`, m = 0.001. All begin at rest, evenly
    in the square from -1 to 1. Episodes have 25 steps, after which they are truncated, as in mpe2.
    """

    fps = 10
    scenario: ClassVar[str]
    """Name of the module of mpe2."""

    def __init__(self, agents: tuple[str, ...], landmarks: int, horizon: int) -> None:
        self.agents, self.landmarks = agents, landmarks
        self.horizon = checks.whole(self.name, "horizon", horizon, 1)
        self.actions = (PUSHES,) * len(agents)

    @property
    @abstractmethod
    def radius(self) -> float:
        """Radius of the agents."""

    @abstractmethod
    def observe(self, state: State) -> jax.Array:
        """Return what each agent sees, (N, F)."""

    @abstractmethod
    def rewards(self, state: State) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Return the rewards (N,) of being in a state, and the events."""

    @property
    def bounds(self) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
        """None."""
        width = jax.eval_shape(lambda: self.observe(self.reset(jax.random.key(0)))).shape[1]
        everything = np.full(width, np.inf, np.float32)
        return ((-everything, everything),) * len(self.agents)

    def reset(self, key: jax.Array) -> State:
        """Draw the places."""
        n, m = len(self.agents), self.landmarks
        drawn = jax.random.uniform(key, (n + m, 2), minval=-1.0, maxval=1.0)
        return State(jnp.int32(0), drawn[:n], jnp.zeros((n, 2)), drawn[n:])

    def step(self, key: jax.Array, state: State, action: jax.Array) -> Any:
        """Push, and move for a tenth of a second."""
        del key
        push = PUSH * jax.nn.one_hot(action, len(PUSHES)) @ _DIRECTIONS
        force = push + self._contacts(state.place)
        state = State(
            time=state.time + 1,
            place=state.place + STEP * state.velocity,
            velocity=state.velocity * (1 - DAMPING) + STEP * force,
            landmark=state.landmark,
        )
        return state, *self.rewards(state)

    def view(self, state: State) -> View:
        """Return what the agents see; the global state is all of it."""
        seen = self.observe(state)
        return self.everyone(seen, len(PUSHES), seen.reshape(-1))

    def touching(self, state: State) -> jax.Array:
        """Return which agents overlap, (N, N), without themselves."""
        n = len(self.agents)
        apart = _distance(state.place[:, None] - state.place[None])
        return (apart < 2 * self.radius) & ~np.eye(n, dtype=bool)

    def peer(self) -> "peers.Peer | None":
        """Return mpe2's environment, where it is installed."""
        return peers.mpe(self, State)

    def _contacts(self, place: jax.Array) -> jax.Array:
        apart = place[:, None] - place[None]
        distance = _distance(apart)
        depth = CONTACT_MARGIN * jax.nn.softplus((2 * self.radius - distance) / CONTACT_MARGIN)
        force = CONTACT_FORCE * apart * (depth / jnp.maximum(distance, 1e-12))[..., None]
        others = ~np.eye(len(self.agents), dtype=bool)
        return jnp.sum(jnp.where(others[..., None], force, 0.0), 1)


def _distance(apart: jax.Array) -> jax.Array:
    return jnp.sqrt(jnp.sum(apart**2, -1))


class SimpleSpread(ParticleWorld):
    """N agents are to cover N landmarks without touching each other.

        r_i = (1 - local_ratio) (-sum over landmarks of the distance of the nearest agent)
              - local_ratio (number of agents that i touches)

    An agent sees its velocity and place, where landmarks and other agents are from it, and zeros in the place
    of messages.
    """

    scenario = "simple_spread_v3"

    def __init__(self, n: int = 3, local_ratio: float = 0.5, horizon: int = 25) -> None:
        """Create the world.

        Args:
            n: number of agents and of landmarks, at least 2.
            local_ratio: weight of an agent's own reward, from 0 to 1.
            horizon: steps of an episode.

        """
        self.local_ratio = checks.real(self.name, "local_ratio", local_ratio)
        count = checks.whole(self.name, "n", n, 2)
        super().__init__(tuple(f"agent_{i}" for i in range(count)), count, horizon)
        # The others of each agent, in the order of their numbers
        self._others = np.asarray([[j for j in range(count) if j != i] for i in range(count)])

    @property
    def radius(self) -> float:
        """0.15."""
        return 0.15

    def observe(self, state: State) -> jax.Array:
        """Return velocity, place, landmarks, others and no messages: (N, 6 N)."""
        n = len(self.agents)
        landmarks = (state.landmark[None] - state.place[:, None]).reshape(n, -1)
        others = (state.place[self._others] - state.place[:, None]).reshape(n, -1)
        return jnp.concatenate(
            [state.velocity, state.place, landmarks, others, jnp.zeros((n, 2 * (n - 1)))], -1
        )

    def rewards(self, state: State) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Return the mixture of the team's reward and each agent's own."""
        distance = _distance(state.landmark[:, None] - state.place[None])  # landmarks x agents
        touched = self.touching(state).sum(1).astype(jnp.float32)
        team = -distance.min(1).sum()
        return (1 - self.local_ratio) * team - self.local_ratio * touched, {"touches": touched}

    def outcomes(self, state: State, events: dict[str, jax.Array], length: jax.Array) -> dict[str, Mean]:
        """Return how many landmarks are covered at the end, to within 0.1, and touches per agent and step."""
        nearest = _distance(state.landmark[:, :, None] - state.place[:, None]).min(-1)
        steps = length.sum() * len(self.agents)
        return {
            "covered": Mean((nearest < 0.1).sum(), nearest.size),
            "touches": Mean(events["touches"].sum(), steps),
        }
