"""Particle worlds: discs that agents push around in a plane, with the physics of MPE.

Lowe et al. 2017, "Multi-Agent Actor-Critic for Mixed Cooperative-Competitive Environments". Steps equal those
of the package mpe2, in single precision.
"""

from abc import abstractmethod
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from populace.rl.environments.worlds import checks
from populace.rl.multi_agent.environments import peers
from populace.rl.multi_agent.environments.world import MultiAgentWorld, WorldState
from populace.rl.multi_agent.task import View

PUSHES = ("nothing", "left", "right", "down", "up")
_DIRECTIONS = np.asarray([(0, 0), (-1, 0), (1, 0), (0, -1), (0, 1)], np.float32)
STEP, DAMPING = 0.1, 0.25
CONTACT_FORCE, CONTACT_MARGIN = 100.0, 1e-3


class State(WorldState):
    """Places and velocities of N agents and M landmarks.

    Attributes:
        time: number of steps.
        place: of the agents, (N, 2).
        velocity: of the agents, (N, 2).
        landmark: places of the landmarks, (M, 2).
        goal: index of the landmark that matters, where one does, ().
        message: what was said in the last step, one-hot, (3,); zeros where nobody speaks.

    """

    place: jax.Array
    velocity: jax.Array
    landmark: jax.Array
    goal: jax.Array
    message: jax.Array


class ParticleWorld(MultiAgentWorld):
    """Agents of mass 1 choose a push in one of four directions, or none; velocity fades by a quarter a step.

        x' = x + 0.1 v;    v' = 0.75 v + 0.1 (push + contacts), at most of the speed `max_speed`

    Discs that touch repel each other by `100 p` along the line between them, where p is how deep they
    overlap, softly: `p = m log(1 + exp((r_1 + r_2 - distance) / m))`, m = 0.001. All begin at rest, evenly
    in the square from -1 to 1. Episodes have 25 steps, after which they are truncated, as in mpe2.

    Attributes:
        radius: of each agent, (N,).
        push: force of each agent's actions, (N,).
        max_speed: of each agent, (N,), possibly infinite.

    """

    fps = 10
    scenario: ClassVar[str]
    """Name of the module of mpe2."""
    agents_collide: ClassVar[bool] = False
    landmarks_collide: ClassVar[bool] = False
    landmark_radius: ClassVar[float] = 0.05
    landmark_span: ClassVar[float] = 1.0
    """Half the side of the square that landmarks are drawn from."""
    radius: np.ndarray
    push: np.ndarray
    max_speed: np.ndarray

    def __init__(
        self, agents: tuple[str, ...], landmarks: int, horizon: int, radius: Any, push: Any = 5.0
    ) -> None:
        self.agents, self.landmarks = agents, landmarks
        self.horizon = checks.whole(self.name, "horizon", horizon, 1)
        self.actions = (PUSHES,) * len(agents)
        n = len(agents)
        self.radius, self.push, self.max_speed = (
            np.broadcast_to(np.asarray(x, np.float32), n) for x in (radius, push, np.inf)
        )
        # The others of each agent, in the order of their numbers
        self.others = np.asarray([[j for j in range(n) if j != i] for i in range(n)])

    @abstractmethod
    def observe(self, state: State) -> list[jax.Array]:
        """Return what each agent sees, (F_i,)."""

    @abstractmethod
    def rewards(self, state: State) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Return the rewards (N,) of being in a state, and the events."""

    @property
    def peer_arguments(self) -> dict[str, Any]:
        """Arguments of mpe2's environment."""
        return {}

    @property
    def bounds(self) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
        """None."""
        rows = jax.eval_shape(lambda: self.observe(self.reset(jax.random.key(0))))
        everything = [np.full(row.shape, np.inf, np.float32) for row in rows]
        return tuple((-x, x) for x in everything)

    def reset(self, key: jax.Array) -> State:
        """Draw the places, and the goal."""
        n, m = len(self.agents), self.landmarks
        place_key, goal_key = jax.random.split(key)
        drawn = jax.random.uniform(place_key, (n + m, 2), minval=-1.0, maxval=1.0)
        return State(
            time=jnp.int32(0), place=drawn[:n], velocity=jnp.zeros((n, 2)),
            landmark=self.landmark_span * drawn[n:], goal=jax.random.randint(goal_key, (), 0, m),
            message=jnp.zeros(3),
        )  # fmt: skip

    def step(self, key: jax.Array, state: State, action: jax.Array) -> Any:
        """Push, and move for a tenth of a second."""
        del key
        push = self.push[:, None] * (jax.nn.one_hot(action, len(PUSHES)) @ _DIRECTIONS)
        velocity = state.velocity * (1 - DAMPING) + STEP * (push + self._contacts(state))
        speed = _length(velocity)
        limit = jnp.where(speed > self.max_speed, self.max_speed / jnp.maximum(speed, 1e-12), 1.0)
        moved = State(
            time=state.time + 1,
            place=state.place + STEP * state.velocity,
            velocity=velocity * limit[:, None],
            landmark=state.landmark,
            goal=state.goal,
            message=self.said(action),
        )
        return moved, *self.rewards(moved)

    def said(self, action: jax.Array) -> jax.Array:
        """Return the message (3,) that actions (N,) are; by default none."""
        del action
        return jnp.zeros(3)

    def view(self, state: State) -> View:
        """Return what the agents see; the global state is all of it."""
        seen = self.observe(state)
        alive = jnp.ones(len(seen), jnp.bool)
        free = tuple(jnp.ones(len(actions), jnp.bool) for actions in self.actions)
        return View(tuple(seen), free, alive, alive, jnp.concatenate(seen))  # pyright: ignore[reportArgumentType]

    def touching(self, state: State) -> jax.Array:
        """Return which agents overlap, (N, N), without themselves."""
        apart = _length(state.place[:, None] - state.place[None])
        return (apart < self.radius[:, None] + self.radius) & ~np.eye(len(self.agents), dtype=bool)

    def landmarks_from(self, state: State) -> jax.Array:
        """Return where the landmarks are from each agent, (N, 2 M)."""
        return (state.landmark[None] - state.place[:, None]).reshape(len(self.agents), -1)

    def others_from(self, state: State) -> jax.Array:
        """Return where the other agents are from each agent, (N, 2 (N - 1))."""
        return (state.place[self.others] - state.place[:, None]).reshape(len(self.agents), -1)

    def peer(self) -> "peers.Peer | None":
        """Return mpe2's environment, where it is installed."""
        return peers.mpe(self, State)

    def _contacts(self, state: State) -> jax.Array:
        """Return the forces (N, 2) on the agents by what they touch."""
        force = jnp.zeros_like(state.place)
        if self.agents_collide:
            others = ~np.eye(len(self.agents), dtype=bool)
            force += _repulsion(state.place, state.place, self.radius[:, None] + self.radius, others)
        if self.landmarks_collide:
            reach = np.broadcast_to(
                self.radius[:, None] + self.landmark_radius, (len(self.agents), self.landmarks)
            )
            force += _repulsion(state.place, state.landmark, reach, np.ones(reach.shape, bool))
        return force


def _repulsion(place: jax.Array, other: jax.Array, reach: np.ndarray, counts: np.ndarray) -> jax.Array:
    apart = place[:, None] - other[None]
    distance = _length(apart)
    depth = CONTACT_MARGIN * jax.nn.softplus((reach - distance) / CONTACT_MARGIN)
    force = CONTACT_FORCE * apart * (depth / jnp.maximum(distance, 1e-12))[..., None]
    return jnp.sum(jnp.where(counts[..., None], force, 0.0), 1)


def _length(vector: jax.Array) -> jax.Array:
    return jnp.sqrt(jnp.sum(vector**2, -1))
