"""Environments by name, with arguments, and what a step of many copies gives."""

import subprocess
import sys

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.rl.environments import names, registry
from populace.rl.environments.stepping import EnvLoopState
from tests.rl import probes  # noqa: F401  registers the probes


def test_a_name_is_parsed():
    plain = names.parse("CartPole-v1")
    assert (plain.source, plain.identifier, plain.arguments, plain.path) == ("", "CartPole-v1", {}, False)
    called = names.parse("gymnasium:FrozenLake-v1(map_name='8x8', is_slippery=False)")
    assert (called.source, called.identifier) == ("gymnasium", "FrozenLake-v1")
    assert called.arguments == {"map_name": "8x8", "is_slippery": False}
    own = names.parse("my.module:World(size=(2, 3))")
    assert own.path
    assert own.arguments == {"size": (2, 3)}
    assert names.parse("gymnasium:my.module:World").identifier == "my.module:World"


@pytest.mark.parametrize("text", ["A(3)", "A(b=c)", "A(b=1", "A(**{})", "A(b=f(1))", "A(b=1)(c=2)", "A(;)"])
def test_arguments_that_are_not_literals_are_refused(text):
    with pytest.raises(UsageError, match="write arguments like"):
        names.parse(text)


@pytest.mark.parametrize("name", ["CartPole-v1", "Acrobot-v1", "MountainCar-v0", "Pendulum-v1"])
def test_a_task_has_the_spaces_of_gymnasium(name):
    task, real = registry.make(name), gymnasium.make(name)
    assert real.spec is not None
    assert task.horizon == real.spec.max_episode_steps
    space, action = real.observation_space, real.action_space
    assert isinstance(space, gymnasium.spaces.Box)
    assert task.observation_shape == space.shape
    if isinstance(action, gymnasium.spaces.Discrete):
        assert (task.actions, task.box, task.action_shape) == (action.n, None, ())
    else:
        assert isinstance(action, gymnasium.spaces.Box)
        assert task.actions == 0
        assert task.box is not None
        np.testing.assert_allclose(task.box[0], action.low)
        np.testing.assert_allclose(task.box[1], action.high)
        assert task.action_shape == action.shape


def test_a_task_with_integer_observations_has_a_number_of_states():
    task = registry.make("FrozenLake-misc")
    assert task.states == 16
    assert task.observation_shape == ()
    assert registry.make("CartPole-v1").states == 0


def test_an_argument_may_be_a_parameter():
    assert registry.make("CartPole-v1(max_steps_in_episode=20)").horizon == 20
    assert registry.make("CartPole-v1").horizon == 500


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("CartPole-v9", "did you mean 'CartPole-v1'"),
        (
            "CliffWalking-v2",
            "unknown environment 'CliffWalking-v2'; did you mean 'gymnasium:CliffWalking-v1'",
        ),
        ("CartPole-v1(max_steps=3)", "unknown argument 'max_steps' of environment"),
        ("FrozenLake-misc(success_rate=1.5)", "cannot be created: success_rate must be between 0 and 1"),
    ],
)
def test_bad_arguments_are_refused(name, message):
    with pytest.raises(UsageError, match=message):
        registry.make(name)


PLOTTING = """
import sys
from populace.rl.environments import registry

registry.names()
print(*[name in sys.modules for name in ("seaborn", "matplotlib.pyplot", "pandas")])
from gymnax.environments.misc import pong
import matplotlib.pyplot, seaborn

print(pong.plt.figure is matplotlib.pyplot.figure, pong.sns.color_palette is seaborn.color_palette)
"""


def test_gymnax_is_imported_without_plotting_libraries_which_work_when_they_are_used():
    run = subprocess.run([sys.executable, "-c", PLOTTING], capture_output=True, text=True, check=True)
    assert run.stdout == "False False False\nTrue True\n"


def acted(task, copies, steps):
    """Take the first action again and again; return what there is after each step."""

    @jax.jit
    def run():
        found, acting = [], EnvLoopState.start(task, jax.random.key(0), copies)
        for t in range(steps):
            acting, transition, done, metrics = acting.act(
                task, jax.random.key(t), jnp.zeros(copies, jnp.int32)
            )
            found.append({"acting": acting, "transition": transition, "done": done, "metrics": metrics})
        return found

    return jax.device_get(run())


def test_an_episode_counts_where_it_ends_and_bootstraps_from_its_last_observation():
    # The probe ends after two steps; what is seen before the restart says time 2, after it time 0.
    task = registry.make("ProbeDelayed-test")
    first, second = acted(task, 3, 2)
    assert not first["done"].any()
    assert first["metrics"]["return"].weight == 0
    assert second["done"].all()
    assert second["transition"].terminated.all()
    np.testing.assert_array_equal(first["transition"].next_observation, second["transition"].observation)
    np.testing.assert_array_equal(second["transition"].next_observation[:, 1], 2)
    np.testing.assert_array_equal(second["acting"].observation[:, 1], 0)
    assert second["metrics"]["return"].value == 1.0
    assert second["metrics"]["length"].value == 2.0
    assert (second["acting"].frames, second["acting"].episodes) == (6, 3)
    np.testing.assert_array_equal(second["acting"].episode_return, 0)


def test_a_truncated_step_is_not_terminated():
    third = acted(registry.make("ProbeEndless-test"), 2, 3)[2]
    assert third["done"].all()
    assert not third["transition"].terminated.any()
