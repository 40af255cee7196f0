"""Plots of exploration strategies: schedules of epsilon, and policies as functions of the action values."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from populace.rl.exploration.strategies import EpsilonGreedy, Exploration
from populace.runs.figures import figure

_COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b78103", "#4a4f55", "#3a9bd1")


def draw(
    schedules: Mapping[str, EpsilonGreedy],
    policies: Mapping[str, Exploration],
    *,
    frames: int,
    per_episode: int = 1,
) -> Any:
    """Plot epsilon over frames, and the probability of the first of two actions over its advantage.

    Args:
        schedules: schedules of epsilon by name.
        policies: policies by name, plotted at frame 0; for UCB both actions have been taken 10 times.
        frames: last frame of the schedules.
        per_episode: frames per episode, for schedules that count episodes.

    Returns:
        a Matplotlib figure, for `populace.runs.figures.to_image`.

    """
    drawn, (left, right) = figure(11, 4, ncols=2)
    at = np.unique(np.linspace(0, frames, 600).astype(int))
    for i, (name, schedule) in enumerate(schedules.items()):
        epsilon = jax.jit(schedule.epsilon)(at, at // per_episode)
        left.plot(at, np.asarray(epsilon), color=_COLORS[i % len(_COLORS)], label=name)
    left.set(xlabel="frames", ylabel="epsilon", ylim=(0, None), title="Schedules")

    advantage, start, counts = np.linspace(-2, 2, 401), np.int32(0), np.full(2, 10.0, np.float32)
    for i, (name, policy) in enumerate(policies.items()):
        over_values = jax.jit(jax.vmap(policy.probabilities, (0, None, None, None)))
        values = np.stack([advantage, np.zeros_like(advantage)], axis=1).astype(np.float32)
        first = over_values(values, counts, start, start)[:, 0]
        right.plot(advantage, np.asarray(first), color=_COLORS[i % len(_COLORS)], label=name)
    right.set(xlabel="Q(s, 0) - Q(s, 1)", ylabel="probability of action 0", ylim=(0, 1), title="Policies")
    for axes in (left, right):
        axes.grid(color="#e3e6e8", lw=0.8)
        axes.legend(frameon=False, fontsize=9)
    return drawn
