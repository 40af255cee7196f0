"""Braking: against a plain reference from the documented formulas, and against fine time steps."""

import jax
import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.rl.environments import registry
from tests.rl.environments.worlds.rollout import play


def reference(state, actions):
    """Follow the page of the world in plain Python; yields speed, distance, feedback, reward, over."""
    v, x, friction = (float(y) for y in (state.speed, state.distance, state.friction))
    for action in actions:
        demanded = [0.0, 1.0, 4.0, 8.0][action]
        grip = friction * 9.81
        granted = demanded if demanded <= grip else 0.9 * grip
        a = granted + 0.15 + 0.0003 * v**2
        slower = max(v - 0.5 * a, 0.0)
        left = x - (v**2 - slower**2) / (2 * a)
        reward = -0.1 * 0.5 - 0.005 * a**2 * 0.5
        if left <= 0:
            v, x, done = (v**2 - 2 * a * x) ** 0.5, 0.0, True
            reward -= 10 + 0.02 * v**2
        else:
            v, x, done = slower, left, slower == 0
            reward -= 0.1 * left / 1.5 if done else 0.0
        yield v, x, 1 - granted / demanded if demanded else 0.0, reward, done
        if done:
            return


@pytest.mark.parametrize("friction", [(0.6, 0.9), (0.2, 0.4), (0.05, 0.05)])
@pytest.mark.parametrize("waits", [0, 2, 6, 9, 30])
@pytest.mark.parametrize("brake", [1, 2, 3])
def test_every_way_to_brake_agrees_with_the_formulas(friction, waits, brake):
    actions = [0] * waits + [brake] * (100 - waits)
    for seed in range(2):
        observations, states, rewards, terminated, truncated = play(
            f"Braking-v0(friction={friction})", actions, seed
        )
        wanted = list(reference(states[0], actions))
        steps = len(wanted)
        for t, (v, x, feedback, reward, done) in enumerate(wanted):
            assert observations[t + 1] == pytest.approx([v / 20, x / 150, feedback], abs=1e-4)
            assert rewards[t] == pytest.approx(reward, abs=2e-3)
            assert terminated[t] == done
        assert not any(truncated[:steps])


def test_the_exact_step_is_the_limit_of_small_ones():
    """Air resistance is held for a step; everything else is integrated exactly."""
    _, states, _, terminated, _ = play("Braking-v0", [2] * 60, 4)
    v, x, dt = float(states[0].speed), float(states[0].distance), 1e-4
    while v > 0:
        a = 4 + 0.15 + 0.0003 * v**2
        x, v = x - v * dt, v - a * dt
    last = states[1 + terminated.index(True)]
    assert float(last.distance) == pytest.approx(x, abs=0.1)


def late(friction, reserve):
    """Roll, and brake so late that on a dry road the car stands so many metres before the obstacle."""
    name = f"Braking-v0(friction=({friction}, {friction}))"
    states = play(name, [0] * 60, 1)[1]
    waits = next(t for t, s in enumerate(states) if s.distance - s.speed**2 / (2 * 4.15) < reserve)
    _, states, rewards, terminated, _ = play(name, [0] * waits + [2] * (100 - waits), 1)
    end = terminated.index(True)
    return states[end + 1], sum(rewards[: end + 1])


def test_braking_in_time_on_a_dry_road_is_too_late_on_snow():
    last, _ = late(0.8, reserve=5)
    assert last.speed == 0
    assert 0 < last.distance < 6
    last, _ = late(0.3, reserve=5)
    assert last.distance == 0
    assert last.speed > 0


def test_stopping_far_away_costs_more_than_near_and_a_collision_most():
    far, nearer, near = (late(0.8, reserve)[1] for reserve in (100, 50, 5))
    assert far < nearer < near
    assert late(0.3, reserve=5)[1] < late(0.3, reserve=60)[1]


def test_start_and_friction_are_drawn_from_their_ranges():
    task = registry.make("Braking-v0(friction=(0.2, 0.4))")
    reset = jax.jit(task.reset, static_argnums=1)
    _, world = jax.device_get(reset(jax.random.key(0), 4_000))
    for drawn, (low, high) in (
        (world.speed, (12, 20)),
        (world.distance, (120, 150)),
        (world.friction, (0.2, 0.4)),
    ):
        assert low <= drawn.min() <= drawn.max() <= high
        assert abs(float(drawn.mean()) - (low + high) / 2) < 5 * (high - low) / np.sqrt(12 * 4_000)
    single = registry.make("Braking-v0(friction=(0.5, 0.5))")
    _, world = jax.jit(single.reset, static_argnums=1)(jax.random.key(0), 10)
    assert np.allclose(world.friction, 0.5)


def test_the_time_limit_truncates():
    *_, terminated, truncated = play("Braking-v0(max_steps_in_episode=7)", [0] * 7)
    assert truncated == [False] * 6 + [True]
    assert not any(terminated)


@pytest.mark.parametrize(
    "friction", ["(0.0, 0.5)", "(0.9, 0.6)", "(0.5, 2.0)", "0.5", "(0.1, 0.2, 0.3)", "'dry'"]
)
def test_an_invalid_range_of_friction_is_refused(friction):
    with pytest.raises(
        UsageError, match=r"friction must be a pair \(low, high\) with 0 < low <= high <= 1.5, got"
    ):
        registry.make(f"Braking-v0(friction={friction})")
