"""What a policy refuses to be given."""

import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.rl.environments import registry
from populace.rl.environments.observations import from_env_obs

NAN, INF = np.nan, np.inf


@pytest.mark.parametrize(
    ("name", "observation", "message"),
    [
        ("CartPole-v1", [0, 0, NAN, 0], r"an observation must be finite, got nan at \[2\]"),
        ("CartPole-v1", [[0, 0, 0, 0], [0, -INF, 0, 0]], r"must be finite, got -inf at \[1, 1\]"),
        ("CartPole-v1", ["a", "b", "c", "d"], "an observation must be numbers, got <U1"),
        ("CartPole-v1", [0, 0, 0], r"an observation has shape \(4,\)"),
        ("GridRobot-v0(observation='index')", NAN, "must be finite, got nan$"),
        ("GridRobot-v0(observation='index')", -1, "must be a whole number from 0 to"),
    ],
)
def test_what_is_no_observation_is_refused_in_one_line(name, observation, message):
    with pytest.raises(UsageError, match=message) as refused:
        from_env_obs(registry.make(name), observation)
    assert "\n" not in str(refused.value)


def test_what_exceeds_the_bounds_is_taken():
    given = np.float32([9, 9, 9, 9])
    assert np.array_equal(from_env_obs(registry.make("CartPole-v1"), given), given)
