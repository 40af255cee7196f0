"""What `train` refuses."""

import pytest

from populace.core.errors import UsageError
from populace.runs.training.launch import train
from tests.learners import Quadratic


def test_training_takes_a_population():
    with pytest.raises(UsageError, match=r"takes a population, got Quadratic; make one with populace.sweep"):
        train(Quadratic(), steps=5)
