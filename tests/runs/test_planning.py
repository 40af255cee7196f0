"""How many seeds a difference takes."""

import numpy as np
import pytest

from populace.runs.outcome.planning import required_seeds


def test_seeds_are_those_of_noether_for_normal_scores():
    rng = np.random.default_rng(0)
    found = required_seeds([rng.normal(5, 2, 4000), rng.normal(90, 2, 4000)], 2.0)
    # A shift of one standard deviation: p = Phi(1 / sqrt 2) = 0.7602, so n = 2.80^2 / (6 * 0.26^2) = 19.3.
    assert found == pytest.approx(20, abs=1)
    assert required_seeds([[1.0, 2.0, 3.0]], 100.0) == 6
    assert required_seeds([[1.0, 2.0, 3.0]], 2.0) >= 6


@pytest.mark.parametrize(
    ("samples", "effect", "message"),
    [([[1.0, 2.0]], 0.0, "above 0"), ([[1.0]], 1.0, "two or more"), ([[1.0, 1.0]], 1.0, "all scores")],
)
def test_what_cannot_be_planned_is_told(samples, effect, message):
    with pytest.raises(ValueError, match=message):
        required_seeds(samples, effect)
