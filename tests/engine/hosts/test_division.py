"""Division: every member is trained by one process, and none has two more than another."""

import numpy as np
import pytest

import populace
from populace.core.errors import UsageError
from populace.engine.hosts import division
from populace.engine.hosts.division import Share
from tests.learners import Quadratic


@pytest.mark.parametrize("sizes", [[8], [7, 1], [1, 1, 1, 1, 1], [2, 3, 5, 2], [64, 3]])
@pytest.mark.parametrize("processes", [1, 2, 3, 4, 5])
def test_members_are_divided_without_gaps_and_evenly(sizes, processes):
    shares = division.shares(sizes, processes)
    trained = [[(s.group, i) for s in own for i in range(s.start, s.stop)] for own in shares]
    assert sorted(x for own in trained for x in own) == [
        (g, i) for g, size in enumerate(sizes) for i in range(size)
    ]
    counts = [len(own) for own in trained]
    assert max(counts) - min(counts) <= 1
    assert min(counts) > 0
    for group, size in enumerate(sizes):
        parts = [sum(s.stop - s.start for s in own if s.group == group) for own in shares]
        assert max(parts) - min(parts) <= 1
        assert sum(parts) == size


def test_more_processes_than_members_are_refused():
    with pytest.raises(UsageError, match="3 processes were started for 2 members; start at most as many"):
        division.shares([1, 1], 3)


def test_a_part_of_a_group_has_the_settings_and_seeds_of_its_members():
    population = populace.sweep(Quadratic(), {"learning_rate": [0.5, 0.25]}, seeds=[3, 4, 5])
    (group,) = population.groups
    part = division.part(group, Share(0, 2, 5))
    assert [(m.index, m.setting, m.seed) for m in part.members] == [(2, 0, 5), (3, 1, 3), (4, 1, 4)]
    np.testing.assert_array_equal(part.learner.learning_rate, np.float32([0.5, 0.25, 0.25]))
    assert part.varied is group.varied
    assert division.part(group, Share(0, 0, 6)) is group
