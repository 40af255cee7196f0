"""A compiled environment of the user's is played before anything is trained in it."""

from typing import Any

import jax.numpy as jnp
import pytest
from gymnax.environments import spaces

from populace.core.errors import UsageError
from populace.rl import DQN
from populace.rl.environments import registry
from tests.rl.probes import Probe


class Sound(Probe):
    length = 5


class Unpaid(Sound):
    """The third step of an episode pays what is no number."""

    def reward(self, state, action):
        return jnp.where(state.time == 2, jnp.nan, 1.0)


class Endless(Sound):
    """What is seen grows beyond all bounds on the second step."""

    def get_obs(self, state, params=None, key=None):
        return jnp.array([state.sign, jnp.where(state.time == 2, jnp.inf, 0.0)], jnp.float32)


class Misshapen(Sound):
    def observation_space(self, params):
        return spaces.Box(-1.0, 1.0, (3,))


class Dictionary(Sound):
    def get_obs(self, state, params=None, key=None) -> Any:
        return {"sign": state.sign}


class Listing(Sound):
    """Pays a list of one reward."""

    def reward(self, state, action):
        return jnp.ones(1)


class Branching(Sound):
    """Asks in Python what is known only inside the program."""

    def reward(self, state, action):
        return 1.0 if action == 1 else 0.0


class Wanting(Sound):
    def __init__(self, size):
        super().__init__()


class Steered(Unpaid):
    """Continuous actions, one of them without bounds."""

    def action_space(self, params=None) -> Any:
        return spaces.Box(jnp.array([-1.0, -jnp.inf]), jnp.array([1.0, jnp.inf]), (2,))


class Old(Sound):
    """Written for Gymnax before 1.0: the clock is a part of `is_terminal`."""

    def is_terminal(self, state, params) -> Any:
        return state.time >= params.max_steps_in_episode

    def is_terminated(self, state, params) -> Any:
        return self.is_terminal(state, params)


def test_a_valid_environment_is_accepted():
    assert registry.make("tests.rl.environments.test_env_check:Sound").horizon == 100


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Unpaid", "returned a reward of nan after 3 random steps of copy 0"),
        ("Steered", "returned a reward of nan after 3 random steps of copy 0"),
        ("Endless", "returned an observation of inf after 2 random steps of copy 0"),
        ("Misshapen", r"an observation has shape \(2,\), but observation_space has shape \(3,\)"),
        ("Dictionary", "observations must be one array, got dict"),
        ("Old", "has the method is_terminal of Gymnax before 1.0, whose time limit would count as an end"),
        ("Listing", r"reward has shape \(1,\), but must be one number"),
        ("Branching", "does not work: TracerBoolConversionError: Attempted boolean conversion"),
        ("Wanting", "does not work: TypeError: .*'size'"),
    ],
)
def test_invalid_environments_are_refused(name, message):
    with pytest.raises(UsageError, match=f"'tests.rl.environments.test_env_check:{name}'.*{message}"):
        DQN(env=f"tests.rl.environments.test_env_check:{name}").check()
