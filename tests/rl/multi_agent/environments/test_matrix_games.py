"""Games whose payoffs are known, and what the contract says of their steps."""

import itertools

import jax
import numpy as np
import pytest

from populace.rl.multi_agent import registry

PAYOFFS = {
    "Climbing-v0": [[11, -30, 0], [-30, 7, 0], [0, 6, 5]],
    "Penalty-v0(k=25.0)": [[10, 0, -25], [0, 2, 0], [-25, 0, 10]],
}


@pytest.mark.parametrize("name", PAYOFFS)
def test_both_are_paid_by_the_matrix_25_times(name):
    task = registry.make(name)
    joint = np.int32(list(itertools.product(range(3), range(3))))

    def play(key):
        _, state = task.reset(key, 9)
        return jax.lax.scan(
            lambda s, k: (lambda step: (step.env_state, step))(task.step(k, s, joint)),
            state, jax.random.split(key, 50),
        )[1]  # fmt: skip

    found = jax.device_get(jax.jit(play)(jax.random.key(0)))
    expected = np.asarray(PAYOFFS[name])[joint[:, 0], joint[:, 1]]
    np.testing.assert_array_equal(found.reward, np.broadcast_to(expected[None, :, None], (50, 9, 2)))
    # the clock ends it, and nothing else; the next episode begins at once
    np.testing.assert_array_equal(found.truncated[:, 0], (np.arange(50) % 25) == 24)
    assert not found.terminated.any()
    np.testing.assert_array_equal(task.team_reward(found.reward), found.reward[..., 0])


def test_the_two_step_game_pays_7_or_what_both_dare():
    task = registry.make("TwoStep-v0")

    def play(first, second):
        _, state = task.start(jax.random.key(0))
        one = task.advance(jax.random.key(0), state, first)
        two = task.advance(jax.random.key(0), one.env_state, second)
        return one, two

    played = jax.jit(jax.vmap(play))
    choices = np.int32(list(itertools.product(range(2), repeat=4)))
    one, two = jax.device_get(played(choices[:, :2], choices[:, 2:]))
    assert not one.reward.any()
    assert not one.terminated.any()
    assert two.terminated.all()
    assert not two.truncated.any()
    expected = [7 if a == 0 else [[0, 1], [1, 8]][c][d] for a, _, c, d in choices]
    np.testing.assert_array_equal(two.reward[:, 0], expected)
    # the last observation is of the state the game ended in
    np.testing.assert_array_equal(two.last.observation[:, 0].argmax(-1), 1 + choices[:, 0])
