"""Simple tag: slow predators hunt faster prey around obstacles."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from populace.rl.environments.worlds import checks
from populace.rl.multi_agent.environments.particles import ParticleWorld, State


class SimpleTag(ParticleWorld):
    """All predators get 10 for each touch of a predator and prey; prey lose 10 for each of their own.

    Prey also lose what it costs to leave the square: per axis, with x the distance from its middle,

        0 where x < 0.9;  10 (x - 0.9) where x < 1;  min(exp(2 x - 2), 10) elsewhere

    Agents see their velocity and place, where obstacles and others are, and the velocity of other prey.
    """

    scenario = "simple_tag_v3"
    agents_collide = landmarks_collide = True
    landmark_radius, landmark_span = 0.2, 0.9

    def __init__(self, prey: int = 1, predators: int = 3, obstacles: int = 2, horizon: int = 25) -> None:
        """Create the world of so many prey, predators and obstacles."""
        self.prey = checks.whole(self.name, "prey", prey, 1)
        self.predators = checks.whole(self.name, "predators", predators, 1)
        names = [f"adversary_{i}" for i in range(predators)] + [f"agent_{i}" for i in range(prey)]
        hunts = np.arange(len(names)) < predators
        super().__init__(
            tuple(names), checks.whole(self.name, "obstacles", obstacles, 1), horizon,
            radius=np.where(hunts, 0.075, 0.05), push=np.where(hunts, 3.0, 4.0),
        )  # fmt: skip
        self.max_speed = np.where(hunts, 1.0, 1.3).astype(np.float32)

    @property
    def peer_arguments(self) -> dict[str, Any]:
        """How many there are of each."""
        return {
            "num_good": self.prey, "num_adversaries": self.predators, "num_obstacles": self.landmarks,
        }  # fmt: skip

    def observe(self, state: State) -> list[jax.Array]:
        """Return velocity, place, obstacles, others, and velocities of other prey."""
        obstacles, others = self.landmarks_from(state), self.others_from(state)
        rows = []
        for i in range(len(self.agents)):
            fleeing = [j for j in self.others[i] if j >= self.predators]
            parts = (state.velocity[i], state.place[i], obstacles[i], others[i])
            rows.append(jnp.concatenate([*parts, *(state.velocity[j] for j in fleeing)]))
        return rows

    def rewards(self, state: State) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Return what touches are worth, and what prey pay for leaving the square."""
        caught = self.touching(state)[: self.predators, self.predators :]
        x = jnp.abs(state.place[self.predators :])
        outside = jnp.minimum(jnp.exp(2 * x - 2), 10.0)
        cost = jnp.where(x < 0.9, 0.0, jnp.where(x < 1.0, (x - 0.9) * 10, outside)).sum(-1)
        predators = jnp.broadcast_to(10.0 * caught.sum(), (self.predators,))
        prey = -10.0 * caught.sum(0) - cost
        touched = jnp.concatenate([caught.sum(1), caught.sum(0)]).astype(jnp.float32)
        return jnp.concatenate([predators, prey]), {"touches": touched}
