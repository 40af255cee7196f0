"""Who does what: coverage, division of work, collisions, revisits and idle steps of several robots.

Dividing the work and keeping to a part of the board are two things. With p_i the share of the cells cleaned
that robot i cleaned in an episode, and q_i(c) the share of the episodes in which robot i cleaned cell c:

    division   = -sum_i p_i log p_i / log N                1: equal shares; 0: one robot does all
    territory  = 1 - mean_c(-sum_i q_i(c) log q_i(c)) / log N    1: a cell is always cleaned by the same robot

The second is a mean over the cells that were cleaned in some episode. Of one episode it is 1.
"""

import math

import jax
import jax.numpy as jnp

from populace.core.mean import Mean

EVENTS = ("cleaned", "collisions", "revisits", "walls")
"""What a robot's move may be; a wall leaves it idle."""


def entropy(share: jax.Array) -> jax.Array:
    """Return `-sum_i p_i log p_i` over the last axis, where 0 log 0 is 0."""
    return -jnp.sum(jnp.where(share > 0, share * jnp.log(jnp.where(share > 0, share, 1.0)), 0.0), -1)


def division(cleaned: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return the division of work (E,) of cells cleaned per robot (E, N), and whether any was cleaned."""
    total = cleaned.sum(-1)
    share = cleaned / jnp.maximum(total, 1.0)[:, None]
    return entropy(share) / math.log(cleaned.shape[-1]), total > 0


def territory(cleaner: jax.Array, robots: int) -> jax.Array:
    """Return how far cells are always cleaned by the same robot, () from 0 to 1.

    Args:
        cleaner: which robot cleaned each cell of each episode, (E, ...); -1 for none.
        robots: number of robots, N.

    """
    by = (cleaner[..., None] == jnp.arange(robots)).sum(0).astype(jnp.float32)
    times = by.sum(-1)
    spread = entropy(by / jnp.maximum(times, 1.0)[..., None]) / math.log(robots)
    return 1 - jnp.sum(jnp.where(times > 0, spread, 0.0)) / jnp.maximum((times > 0).sum(), 1)


def of_cleaning(
    dirty: jax.Array, cleaner: jax.Array, events: dict[str, jax.Array], moves: jax.Array, robots: int
) -> dict[str, Mean]:
    """Return the metrics of E episodes.

    Args:
        dirty: cells left dirty, (E, size, size).
        cleaner: which robot cleaned each cell, (E, size, size); -1 for none.
        events: counts of `EVENTS`, (E, N).
        moves: moves of all robots in each episode, (E,).
        robots: number of robots.

    """
    episodes = jnp.float32(len(moves))
    shared, any_cleaned = division(events["cleaned"])
    done = (~dirty.any((1, 2))).sum()
    cells = (cleaner >= 0).sum() + dirty.sum()  # all that were dirty at first
    return {
        "boards_cleaned": Mean(done, episodes),
        "coverage": Mean((cleaner >= 0).sum(), cells),
        **{f"coverage_robot_{i}": Mean((cleaner == i).sum(), cells) for i in range(robots)},
        "division": Mean(jnp.where(any_cleaned, shared, 0.0).sum(), any_cleaned.sum()),
        "territory": Mean(territory(cleaner, robots)),
        "collision_rate": Mean(jnp.any(events["collisions"] > 0, -1).sum(), episodes),
        "collisions": Mean(events["collisions"].sum(), moves.sum()),
        "revisits": Mean(events["revisits"].sum(), moves.sum()),
        "idle": Mean((events["walls"] + events["collisions"]).sum(), moves.sum()),
    }
