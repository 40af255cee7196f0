"""Simple spread: agents cover landmarks together, without touching each other."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from populace.core.mean import Mean
from populace.rl.environments.worlds import checks
from populace.rl.multi_agent.environments.particles import ParticleWorld, State


class SimpleSpread(ParticleWorld):
    """N agents are to cover N landmarks without touching each other.

        r_i = (1 - local_ratio) (-sum over landmarks of the distance of the nearest agent)
              - local_ratio (number of agents that i touches)

    An agent sees its velocity and place, where landmarks and other agents are from it, and zeros in the place
    of messages.
    """

    scenario = "simple_spread_v3"
    agents_collide = True

    def __init__(self, n: int = 3, local_ratio: float = 0.5, horizon: int = 25) -> None:
        """Create the world.

        Args:
            n: number of agents and of landmarks, at least 2.
            local_ratio: weight of an agent's own reward, from 0 to 1.
            horizon: steps of an episode.

        """
        self.local_ratio = checks.real(self.name, "local_ratio", local_ratio, low=0, high=1)
        count = checks.whole(self.name, "n", n, 2)
        super().__init__(tuple(f"agent_{i}" for i in range(count)), count, horizon, radius=0.15)

    @property
    def peer_arguments(self) -> dict[str, Any]:
        """Number of agents, and weight of their own rewards."""
        return {"N": len(self.agents), "local_ratio": self.local_ratio}

    def observe(self, state: State) -> list[jax.Array]:
        """Return velocity, place, landmarks, others and no messages: 6 N numbers each."""
        silence = jnp.zeros((len(self.agents), 2 * (len(self.agents) - 1)))
        parts = (state.velocity, state.place, self.landmarks_from(state), self.others_from(state), silence)
        return list(jnp.concatenate(parts, -1))

    def rewards(self, state: State) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Return the mixture of the team's reward and each agent's own."""
        touched = self.touching(state).sum(1).astype(jnp.float32)
        team = -_nearest(state.landmark, state.place).sum()
        return (1 - self.local_ratio) * team - self.local_ratio * touched, {"touches": touched}

    def outcomes(self, state: State, events: dict[str, jax.Array], length: jax.Array) -> dict[str, Mean]:
        """Return the share of landmarks covered at the end, to within 0.1, and touches per agent and step."""
        nearest = jax.vmap(_nearest)(state.landmark, state.place)
        return {
            "covered": Mean((nearest < 0.1).sum(), np.prod(nearest.shape)),
            "touches": Mean(events["touches"].sum(), length.sum() * len(self.agents)),
        }


def _nearest(landmark: jax.Array, place: jax.Array) -> jax.Array:
    """Return the distance of the nearest agent to each landmark, (M,)."""
    return jnp.sqrt(jnp.sum((landmark[:, None] - place[None]) ** 2, -1)).min(1)
