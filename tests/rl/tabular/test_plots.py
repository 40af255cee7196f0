"""Pictures of tables: maps where the states lie on one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from populace.core.media import Image
from populace.rl.tabular import plots
from populace.rl.tabular.learner import Tabular


def test_the_agent_shows_its_table():
    shown = Tabular().visualize(jnp.zeros((16, 4)), jax.random.key(0))
    assert isinstance(shown["values"], Image)


def test_every_kind_of_table_is_drawn():
    for env in ("FrozenLake-misc", "GridRobot-v0(observation='index')", "LineWorld-v0(observation='index')"):
        task = Tabular(env=env).task
        image = plots.draw(task, (), np.zeros((task.states, task.actions))).image
        assert image.dtype == np.uint8
        assert image.ndim == 3


@pytest.mark.parametrize("env", ["FrozenLake-misc", "gymnasium:FrozenLake-v1"])
def test_the_lake_is_drawn_as_a_map(env, monkeypatch):
    drawn = []
    monkeypatch.setattr(plots, "_lake", lambda tiles, q: drawn.append(tiles.shape))
    learner = Tabular(env=env)
    plots.draw(learner.task, (), np.zeros((16, 4)))
    assert drawn == [(4, 4)]
