"""What an environment may return, and what is refused before NumPy broadcasts or cuts it."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from populace.rl.vector_env.process.interface import Interface, InvalidResult

FLOATS = spaces.Box(-1.0, 1.0, (2,), np.float32)
DOUBLES = spaces.Box(-1.0, 1.0, (2,), np.float64)
LONGS = spaces.Box(-(2**62), 2**62, (2,), np.int64)
BYTES = spaces.Box(0, 255, (2,), np.uint8)
ROOMS = spaces.Discrete(4, start=10)
GOOD: dict[str, Any] = {
    "observation": np.zeros(2, np.float32),
    "reward": 1.0,
    "terminated": False,
    "truncated": False,
}


def returning(*values: Any) -> Any:
    return SimpleNamespace(step=lambda action: values, reset=lambda seed: values)


def stepped(space: Any, **changed: Any) -> tuple:
    values = GOOD | {"observation": space.sample()} | changed
    return Interface(spaces.Discrete(2), space).step(returning(*values.values(), {}), 0)


@pytest.mark.parametrize(
    ("space", "given", "expected"),
    [
        (FLOATS, [5, 6], np.array([5, 6], np.float32)),
        (DOUBLES, np.array([0.1, np.inf]), np.array([0.1, np.inf], np.float32)),
        (LONGS, np.array([-(2**31), 2**31 - 1]), np.array([-(2**31), 2**31 - 1], np.int32)),
        (BYTES, np.array([0.0, 255.0]), np.array([0, 255], np.uint8)),
        (ROOMS, 12, np.int32(2)),
        (ROOMS, np.array(13.0), np.int32(3)),
        (spaces.Discrete(5, start=2**40), 2**40 + 4, np.int32(4)),
        (spaces.MultiDiscrete([2, 3], start=[5, 7]), [6, 9], np.array([1, 2], np.int32)),
        (spaces.MultiBinary(2), [True, False], np.array([1, 0], np.int8)),
    ],
)
def test_valid_observations_keep_their_numbers(space, given, expected):
    observation, *others = stepped(space, observation=given)
    np.testing.assert_array_equal(observation, expected)
    assert np.asarray(observation).dtype in (expected.dtype, np.int64)
    assert others == [1.0, False, False]


@pytest.mark.parametrize(
    ("space", "changed", "message"),
    [
        (FLOATS, {"observation": np.zeros(1)}, r"of shape \(1,\), but observation_space has shape \(2,\)"),
        (FLOATS, {"observation": 0.0}, r"an observation of shape \(\), but"),
        (FLOATS, {"observation": {"a": 1}}, r"not made of numbers: \{'a': 1\}"),
        (FLOATS, {"observation": [[1], [1, 2]]}, r"not made of numbers: \[\[1\], \[1, 2\]\]"),
        (FLOATS, {"observation": np.zeros(2, complex)}, "not made of numbers"),
        (DOUBLES, {"observation": np.array([0, 1e39])}, r"the value 1e\+39, beyond the range of float32"),
        (LONGS, {"observation": np.array([0, 2**31])}, "the value 2147483648, .* int64 must fit into int32"),
        (LONGS, {"observation": np.array([0, 2**63], np.uint64)}, "the value 9223372036854775808"),
        (BYTES, {"observation": np.array([0, 256])}, "the value 256, not a whole number from 0 to 255"),
        (BYTES, {"observation": np.array([0.5, 1])}, "the value 0.5, not a whole number"),
        (BYTES, {"observation": np.array([np.nan, 1])}, "the value nan, not a whole number"),
        (ROOMS, {"observation": 14}, "the value 14, not a whole number from 10 to 13"),
        (ROOMS, {"observation": [12]}, r"shape \(1,\), but .* has shape \(\)"),
        (spaces.MultiDiscrete([2, 3]), {"observation": [1, 3]}, "the value 3, .* from 0 to 2"),
        (FLOATS, {"reward": np.ones(1)}, r"a reward of shape \(1,\), expected one number"),
        (FLOATS, {"reward": None}, "a reward that is not made of numbers: None"),
        (FLOATS, {"reward": 1e39}, r"a reward of 1e\+39, beyond the range of float32"),
        (FLOATS, {"terminated": np.array([True])}, r"`terminated` of shape \(1,\)"),
        (FLOATS, {"truncated": None}, "`truncated` that is not made of numbers: None"),
        (FLOATS, {"truncated": 2}, "`truncated` = 2, expected True or False"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(space, changed, message):
    with pytest.raises(InvalidResult, match=message) as refused:
        stepped(space, **changed)
    assert "\n" not in str(refused.value)


def test_numbers_of_numpy_are_numbers():
    given = {"reward": np.array(2), "terminated": np.bool_(True), "truncated": np.array(0)}
    _, *found = stepped(FLOATS, **given)
    assert found == [2.0, True, False]
    assert [type(x) for x in found] == [float, bool, bool]


def test_results_of_another_length_are_refused():
    interface = Interface(spaces.Discrete(2), FLOATS)
    with pytest.raises(InvalidResult, match=r"from step, which must return \(observation, reward,"):
        interface.step(returning(np.zeros(2), 1.0, False, {}), 0)
    with pytest.raises(InvalidResult, match=r"from reset, which must return \(observation, info\)"):
        interface.reset(returning(np.zeros(2)), 0)
