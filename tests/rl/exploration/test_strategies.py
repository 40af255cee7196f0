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
from populace.runs.figures import to_image

NONE = np.int32(0)


def epsilons(schedule, frames, episodes):
    """Return epsilon after so many frames and episodes."""
    frames, episodes = (np.asarray(x, np.int32) for x in (frames, episodes))
    return np.asarray(jax.jit(schedule.epsilon)(frames, episodes))


def policy_of(rule, values, counts=None, k=NONE):
    """Return the policy over actions of these values, after k frames."""
    values = np.asarray(values, np.float32)
    counts = None if counts is None else np.asarray(counts, np.float32)
    return np.asarray(jax.jit(rule.probabilities)(values, counts, np.int32(k), NONE))


def test_linear_decay():
    schedule = LinearDecay(start=0.9, end=0.1, duration=100.0)
    found = epsilons(schedule, [0, 25, 100, 10_000], [0, 0, 0, 0])
    np.testing.assert_allclose(found, [0.9, 0.7, 0.1, 0.1], rtol=1e-6)


@pytest.mark.parametrize("per", ["episode", "frame"])
def test_exponential_decay(per):
    schedule = ExponentialDecay(start=0.8, end=0.05, decay=0.5, per=per)
    count, other = [0, 1, 3, 50], [7, 7, 7, 7]
    pair = (other, count) if per == "episode" else (count, other)
    np.testing.assert_allclose(epsilons(schedule, *pair), [0.8, 0.4, 0.1, 0.05], rtol=1e-6)


@pytest.mark.parametrize("per", ["episode", "frame"])
def test_sinusoidal(per):
    schedule = Sinusoidal(low=0.1, high=0.7, period=40.0, per=per)
    count, other = [0, 10, 20, 30, 40, 45, 4_000_010], [3] * 7
    pair = (other, count) if per == "episode" else (count, other)
    expected = 0.1 + 0.6 * (1 + np.cos(2 * np.pi * np.array([0, 10, 20, 30, 40, 45, 10]) / 40)) / 2
    np.testing.assert_allclose(epsilons(schedule, *pair), expected, rtol=1e-5)


def test_constant():
    np.testing.assert_allclose(epsilons(ConstantEpsilon(0.3), [0, 1, 2], [0, 1, 2]), [0.3] * 3)


@pytest.mark.parametrize("kind", list(settings.variants(EpsilonGreedy).values()))
def test_epsilon_is_a_probability_at_all_times(kind):
    frames = np.concatenate([np.arange(3000), [10**6, 2**31 - 1]])
    epsilon = epsilons(kind(), frames, frames)
    assert epsilon.shape == frames.shape
    assert ((epsilon >= 0) & (epsilon <= 1)).all()


def test_epsilon_greedy_shares_ties():
    policy = policy_of(ConstantEpsilon(0.2), [1.0, 3.0, 3.0, -2.0])
    np.testing.assert_allclose(policy, [0.05, 0.45, 0.45, 0.05], rtol=1e-6)


def test_boltzmann():
    rule = Boltzmann(temperature=2.0, decay=0.5, end=0.3, per="frame")
    values = np.array([0.3, -1.0, 2.0], np.float32)
    policy = jax.jit(lambda k: rule.probabilities(values, None, k, NONE))
    for k, temperature in ((0, 2.0), (2, 0.5), (30, 0.3)):
        expected = np.exp(values / temperature) / np.exp(values / temperature).sum()
        np.testing.assert_allclose(policy(np.int32(k)), expected, rtol=1e-5)


def test_boltzmann_is_finite_where_values_are_large_and_temperatures_small():
    rule = Boltzmann(temperature=1e-30, end=1e-30)
    np.testing.assert_allclose(policy_of(rule, [3e30, 3e30, -3e30, 1.0]), [0.5, 0.5, 0.0, 0.0])


def test_ucb_tries_everything_first_and_then_follows_the_bound():
    rule, rng = UCB(confidence=1.5), np.random.default_rng(0)
    values, counts = rng.normal(size=(200, 4)), rng.integers(1, 60, (200, 4)).astype(float)
    bounds = values + 1.5 * np.sqrt(np.log(counts.sum(1, keepdims=True)) / counts)
    expected = np.eye(4)[bounds.argmax(1)]
    # Beside them a state with two actions untried, and one where nothing was tried.
    values = np.concatenate([values, [[0.5, 0.4, 0.9, 0.1], np.zeros(4)]]).astype(np.float32)
    counts = np.concatenate([counts, [[3, 0, 5, 0], np.zeros(4)]]).astype(np.float32)
    found = jax.jit(jax.vmap(lambda q, n: rule.probabilities(q, n, NONE, NONE)))(values, counts)
    np.testing.assert_allclose(found[:200], expected)
    np.testing.assert_allclose(found[200], [0, 0.5, 0, 0.5])
    np.testing.assert_allclose(found[201], [0.25] * 4)


def test_draws_follow_the_probabilities():
    policies = [[0.2, 0.0, 0.5, 0.3], [0.0, 1.0], [1.0], [0.0, 0.0, 0.1, 0.9, 0.0]]
    policies = [np.array(policy, np.float32) for policy in policies]

    @jax.jit
    def drawn_from(policies):
        keys = jax.random.split(jax.random.key(1), 40_000)
        return [jax.vmap(draw, (0, None))(keys, policy) for policy in policies]

    for policy, drawn in zip(policies, drawn_from(policies)):
        assert drawn.dtype == np.int32
        share = np.bincount(drawn, minlength=len(policy)) / 40_000
        assert len(share) == len(policy)
        assert (share[policy == 0] == 0).all()
        deviation = np.sqrt(policy * (1 - policy) / 40_000)
        assert (np.abs(share - policy) <= 4.5 * deviation + 1e-7).all()


@pytest.mark.parametrize(("uniform", "index"), [(0.0, 1), (1 - 2**-23, 3)])
def test_a_probability_of_0_is_never_sampled_at_the_ends_either(uniform, index, monkeypatch):
    monkeypatch.setattr(jax.random, "uniform", lambda key: jnp.float32(uniform))
    policy = np.array([0.0, 0.1, 0.2, 0.699999, 0.0], np.float32)  # rounded to less than 1
    assert int(jax.jit(lambda policy: draw(jax.random.key(0), policy))(policy)) == index


@pytest.mark.parametrize("kind", list(settings.variants(Exploration).values()))
def test_every_kind_gives_a_policy_and_samples_from_it_in_a_population(kind):
    rule = kind()
    rng = np.random.default_rng(0)
    values = rng.normal(size=(200, 5)).astype(np.float32)
    counts = rng.integers(9, size=(200, 5)).astype(np.float32)
    frames = np.arange(200, dtype=np.int32)

    def member(seed, values, counts, frames):
        policy = rule.probabilities(values, counts, frames, frames)
        return policy, rule.choose(jax.random.key(seed), values, counts, frames, frames)

    policy, action = jax.device_get(jax.jit(jax.vmap(member))(frames, values, counts, frames))
    np.testing.assert_allclose(policy.sum(-1), np.ones(200), rtol=1e-5)
    assert (policy >= 0).all()
    assert (np.take_along_axis(policy, action[:, None], 1) > 0).all()
    assert rule.counts_visits == (kind is UCB)


@pytest.mark.parametrize("kind", list(settings.variants(Exploration).values()))
def test_every_float_may_differ_between_members(kind):
    values, counts, k = np.float32([0.1, 0.2]), np.float32([2.0, 3.0]), np.int32(9)
    given = {path: value for path, field, value in settings.walk(kind()) if field.hint is float}
    assert given

    @jax.jit
    def run():
        found = {}
        for path, value in given.items():

            def member(x, path=path):
                return kind(**{path: x}).probabilities(values, counts, k, k)

            # In a batch the float is a number that the program is given, alone one that it is made with.
            choices = [value, 0.9 * value]
            found[path] = jax.vmap(member)(jnp.array(choices)), [member(x) for x in choices]
        return found

    for path, (batched, alone) in run().items():
        np.testing.assert_allclose(batched, alone, rtol=1e-5, err_msg=path)


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


def test_the_plot_shows_schedules_and_policies():
    schedules = {"linear": LinearDecay(duration=50.0), "waves": Sinusoidal(period=20.0, per="episode")}
    drawn = plots.draw(schedules, {"ucb": UCB()}, frames=100, per_episode=5)
    left, right = drawn.axes
    assert [t.get_text() for t in left.get_legend().get_texts()] == ["linear", "waves"]
    frames, epsilon = left.lines[1].get_data()
    frames = np.asarray(frames)
    np.testing.assert_allclose(epsilon, epsilons(schedules["waves"], frames, frames // 5), rtol=1e-6)
    np.testing.assert_allclose(right.lines[0].get_ydata()[[0, -1]], [0, 1])
    assert to_image(drawn, "").image.std() > 10
