"""Exploration: schedules and policies against their formulas, written in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from populace.core import settings
from populace.core.errors import UsageError
from populace.rl.exploration import plots
from populace.rl.exploration.strategies import (
    UCB,
    Boltzmann,
    ConstantEpsilon,
    EpsilonGreedy,
    Exploration,
    ExponentialDecay,
    LinearDecay,
    Sinusoidal,
    draw,
)
from populace.runs.figures import picture

NONE = jnp.int32(0)


def test_linear_decay():
    schedule = LinearDecay(start=0.9, end=0.1, duration=100.0)
    frames = jnp.array([0, 25, 100, 10_000])
    np.testing.assert_allclose(schedule.epsilon(frames, frames * 0), [0.9, 0.7, 0.1, 0.1], rtol=1e-6)


@pytest.mark.parametrize("per", ["episode", "frame"])
def test_exponential_decay(per):
    schedule = ExponentialDecay(start=0.8, end=0.05, decay=0.5, per=per)
    count, other = jnp.array([0, 1, 3, 50]), jnp.array([7, 7, 7, 7])
    pair = (other, count) if per == "episode" else (count, other)
    np.testing.assert_allclose(schedule.epsilon(*pair), [0.8, 0.4, 0.1, 0.05], rtol=1e-6)


@pytest.mark.parametrize("per", ["episode", "frame"])
def test_sinusoidal(per):
    schedule = Sinusoidal(low=0.1, high=0.7, period=40.0, per=per)
    count, other = jnp.array([0, 10, 20, 30, 40, 45, 4_000_010]), jnp.full(7, 3)
    pair = (other, count) if per == "episode" else (count, other)
    expected = 0.1 + 0.6 * (1 + np.cos(2 * np.pi * np.array([0, 10, 20, 30, 40, 45, 10]) / 40)) / 2
    np.testing.assert_allclose(schedule.epsilon(*pair), expected, rtol=1e-5)


def test_constant():
    np.testing.assert_allclose(ConstantEpsilon(0.3).epsilon(jnp.arange(3), jnp.arange(3)), [0.3] * 3)


@pytest.mark.parametrize("kind", list(settings.variants(EpsilonGreedy).values()))
def test_epsilon_is_a_probability_at_all_times(kind):
    frames = jnp.concatenate([jnp.arange(3000), jnp.array([10**6, 2**31 - 1])])
    epsilon = np.asarray(kind().epsilon(frames, frames))
    assert epsilon.shape == frames.shape
    assert ((epsilon >= 0) & (epsilon <= 1)).all()


def test_epsilon_greedy_shares_ties():
    policy = ConstantEpsilon(0.2).probabilities(jnp.array([1.0, 3.0, 3.0, -2.0]), None, NONE, NONE)
    np.testing.assert_allclose(policy, [0.05, 0.45, 0.45, 0.05], rtol=1e-6)


@pytest.mark.parametrize(("k", "temperature"), [(0, 2.0), (2, 0.5), (30, 0.3)])
def test_boltzmann(k, temperature):
    rule = Boltzmann(temperature=2.0, decay=0.5, end=0.3, per="frame")
    values = np.array([0.3, -1.0, 2.0])
    expected = np.exp(values / temperature) / np.exp(values / temperature).sum()
    found = rule.probabilities(jnp.asarray(values), None, jnp.int32(k), NONE)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_boltzmann_is_finite_where_values_are_large_and_temperatures_small():
    rule = Boltzmann(temperature=1e-30, end=1e-30)
    found = rule.probabilities(jnp.array([3e30, 3e30, -3e30, 1.0]), None, NONE, NONE)
    np.testing.assert_allclose(found, [0.5, 0.5, 0.0, 0.0])


def test_ucb_tries_everything_first_and_then_follows_the_bound():
    rule, values = UCB(confidence=1.5), np.array([0.5, 0.4, 0.9, 0.1])
    untried = rule.probabilities(jnp.asarray(values), jnp.array([3.0, 0, 5, 0]), NONE, NONE)
    np.testing.assert_allclose(untried, [0, 0.5, 0, 0.5])
    rng = np.random.default_rng(0)
    for _ in range(200):
        n, q = rng.integers(1, 60, 4).astype(float), rng.normal(size=4)
        best = np.argmax(q + 1.5 * np.sqrt(np.log(n.sum()) / n))
        found = rule.probabilities(jnp.asarray(q), jnp.asarray(n), NONE, NONE)
        np.testing.assert_allclose(found, np.eye(4)[best])
    nothing = rule.probabilities(jnp.zeros(2), jnp.zeros(2), NONE, NONE)
    np.testing.assert_allclose(nothing, [0.5, 0.5])


@pytest.mark.parametrize("policy", [[0.2, 0.0, 0.5, 0.3], [0.0, 1.0], [1.0], [0.0, 0.0, 0.1, 0.9, 0.0]])
def test_draws_follow_the_probabilities(policy):
    drawn = jax.vmap(draw, (0, None))(jax.random.split(jax.random.key(1), 40_000), jnp.array(policy))
    assert drawn.dtype == jnp.int32
    share = np.bincount(drawn, minlength=len(policy)) / 40_000
    assert len(share) == len(policy)
    assert (share[np.array(policy) == 0] == 0).all()
    deviation = np.sqrt(np.array(policy) * (1 - np.array(policy)) / 40_000)
    assert (np.abs(share - policy) <= 4.5 * deviation).all()


@pytest.mark.parametrize(("uniform", "index"), [(0.0, 1), (1 - 2**-23, 3)])
def test_what_has_no_probability_is_not_drawn_at_the_ends_either(uniform, index, monkeypatch):
    monkeypatch.setattr(jax.random, "uniform", lambda key: jnp.float32(uniform))
    policy = jnp.array([0.0, 0.1, 0.2, 0.699999, 0.0])  # rounded to less than 1
    assert int(draw(jax.random.key(0), policy)) == index


@pytest.mark.parametrize("kind", list(settings.variants(Exploration).values()))
def test_every_kind_gives_a_policy_and_draws_from_it_in_a_population(kind):
    rule = kind()
    values = jax.random.normal(jax.random.key(0), (200, 5))
    counts = jnp.floor(jax.random.uniform(jax.random.key(1), (200, 5)) * 9)
    frames = jnp.arange(200)

    def member(key, values, counts, frames):
        policy = rule.probabilities(values, counts, frames, frames)
        return policy, rule.choose(key, values, counts, frames, frames)

    keys = jax.random.split(jax.random.key(2), 200)
    policy, action = jax.jit(jax.vmap(member))(keys, values, counts, frames)
    np.testing.assert_allclose(policy.sum(-1), np.ones(200), rtol=1e-5)
    assert (np.asarray(policy) >= 0).all()
    assert (np.take_along_axis(np.asarray(policy), np.asarray(action)[:, None], 1) > 0).all()
    assert rule.counts_visits == (kind is UCB)


@pytest.mark.parametrize("kind", list(settings.variants(Exploration).values()))
def test_every_float_may_differ_between_members(kind):
    values, counts, k = jnp.array([0.1, 0.2]), jnp.array([2.0, 3.0]), jnp.int32(9)
    for path, field, value in settings.walk(kind()):
        if field.hint is float:
            choices = [value, 0.9 * value]

            def member(x, path=path):
                return kind(**{path: x}).probabilities(values, counts, k, k)

            found = jax.vmap(member)(jnp.array(choices))
            alone = [member(x) for x in choices]
            np.testing.assert_allclose(found, alone, rtol=1e-5)


@pytest.mark.parametrize(
    ("kind", "bad"),
    [
        (ConstantEpsilon, {"value": 1.5}),
        (ConstantEpsilon, {"value": float("nan")}),
        (LinearDecay, {"duration": 0.0}),
        (ExponentialDecay, {"start": -0.1}),
        (ExponentialDecay, {"end": 1.1}),
        (ExponentialDecay, {"decay": 0.0}),
        (ExponentialDecay, {"per": "year"}),
        (Sinusoidal, {"low": -0.1}),
        (Sinusoidal, {"high": 2.0}),
        (Sinusoidal, {"period": 0.0}),
        (Boltzmann, {"temperature": 0.0}),
        (Boltzmann, {"decay": 1.1}),
        (Boltzmann, {"end": 0.0}),
        (UCB, {"confidence": -1.0}),
    ],
)
def test_bounds_are_checked(kind, bad):
    with pytest.raises(UsageError, match=next(iter(bad))):
        kind(**bad)


def test_the_picture_shows_schedules_and_policies():
    schedules = {"linear": LinearDecay(duration=50.0), "waves": Sinusoidal(period=20.0, per="episode")}
    drawn = plots.draw(schedules, {"ucb": UCB()}, frames=100, per_episode=5)
    left, right = drawn.axes
    assert [t.get_text() for t in left.get_legend().get_texts()] == ["linear", "waves"]
    frames, epsilon = left.lines[1].get_data()
    episodes = jnp.asarray(frames) // 5
    np.testing.assert_allclose(epsilon, schedules["waves"].epsilon(jnp.asarray(frames), episodes))
    np.testing.assert_allclose(right.lines[0].get_ydata()[[0, -1]], [0, 1])
    assert picture(drawn, "").image.std() > 10
