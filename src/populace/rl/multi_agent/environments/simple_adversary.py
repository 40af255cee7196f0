"""Simple adversary: agents go to a landmark that an adversary has to guess."""

from typing import Any

import jax
import jax.numpy as jnp

from populace.rl.environments.worlds import checks
from populace.rl.multi_agent.environments.particles import ParticleWorld, State


class SimpleAdversary(ParticleWorld):
    """N agents know which of N landmarks is the goal, and an adversary does not.

        adversary: -|adversary - goal|
        agents:    |adversary - goal| - (distance of the nearest agent to the goal)

    The adversary sees where landmarks and agents are from it; agents see where the goal is, too. Nobody
    collides.
    """

    scenario = "simple_adversary_v3"
    landmark_radius = 0.08

    def __init__(self, n: int = 2, horizon: int = 25) -> None:
        """Create the world of n agents and one adversary."""
        count = checks.whole(self.name, "n", n, 2)
        names = ("adversary_0", *(f"agent_{i}" for i in range(count)))
        super().__init__(names, count, horizon, radius=0.15)

    @property
    def peer_arguments(self) -> dict[str, Any]:
        """Number of agents."""
        return {"N": len(self.agents) - 1}

    def observe(self, state: State) -> list[jax.Array]:
        """Return where the goal (not to the adversary), landmarks and others are."""
        goal = state.landmark[state.goal] - state.place
        rows = jnp.concatenate([goal, self.landmarks_from(state), self.others_from(state)], -1)
        return [rows[0, 2:], *rows[1:]]

    def rewards(self, state: State) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Return the rewards by distance to the goal."""
        distance = jnp.sqrt(jnp.sum((state.place - state.landmark[state.goal]) ** 2, -1))
        agents = distance[0] - distance[1:].min()
        return jnp.concatenate([-distance[:1], jnp.broadcast_to(agents, (len(distance) - 1,))]), {}
