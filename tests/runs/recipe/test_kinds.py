"""Learners by name."""

from populace.runs.recipe.kinds import learner_class, learners


def test_every_short_name_is_a_learner():
    assert "dqn" in learners()
    for name in learners():
        assert learner_class(name) is not None
