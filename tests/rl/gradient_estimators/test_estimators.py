"""Gradient estimators: closed forms against enumeration, quadrature by SciPy, autodiff and samples."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate

from populace.core.errors import UsageError
from populace.rl.gradient_estimators import plots
from populace.rl.gradient_estimators.estimators import (
    BernoulliLogistic,
    compare,
    mean_interval,
    variance_interval,
)
from populace.runs.figures import to_image

CASES = {
    "quadratic": BernoulliLogistic([0.8, -0.4], [1.0, 0.5], lambda a: (a - 0.45) ** 2),
    "linear": BernoulliLogistic([-2.0, 0.3, 0.1], [0.7, 1.0, -2.0], lambda a: 3.0 * a - 5.0),
    "constant": BernoulliLogistic([0.3], [2.0], lambda a: 4.0 + 0.0 * a),
    "nearly sure": BernoulliLogistic([6.0], [1.0], jnp.sin),
}


def enumerated(policy, baseline):
    """Return expectation and variance over both actions, from nothing but the definition."""
    mu = 1 / (1 + np.exp(-policy.logit))
    estimates = np.array(
        [(float(policy.reward(jnp.float32(a))) - baseline) * (a - mu) * policy.features for a in (0, 1)]
    )
    probability = np.array([1 - mu, mu])
    mean = probability @ estimates
    return mean, probability @ (estimates - mean) ** 2


@pytest.mark.parametrize("policy", CASES.values(), ids=CASES)
@pytest.mark.parametrize("baseline", [0.0, -3.0, 0.7])
def test_closed_forms_agree_with_both_actions_enumerated(policy, baseline):
    mean, variance = enumerated(policy, baseline)
    moments = policy.reinforce_moments(baseline)
    np.testing.assert_allclose(moments.mean, mean, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(moments.variance, variance, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(moments.mean, policy.gradient)


@pytest.mark.parametrize("policy", CASES.values(), ids=CASES)
def test_the_exact_gradient_is_that_of_automatic_differentiation(policy):
    x = policy.features.astype(np.float32)

    def expected_reward(w):
        mu = jax.nn.sigmoid(w @ x)
        return mu * policy.reward(jnp.float32(1)) + (1 - mu) * policy.reward(jnp.float32(0))

    w = np.float32(policy.logit) * x / (x @ x)  # any weights of this logit have this gradient
    np.testing.assert_allclose(policy.gradient, jax.jit(jax.grad(expected_reward))(w), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("policy", CASES.values(), ids=CASES)
def test_the_optimal_baseline_has_no_variance_and_every_other_more(policy):
    best = policy.optimal_baseline
    np.testing.assert_allclose(enumerated(policy, best)[1], 0, atol=1e-9)
    for other in (best - 0.5, best + 0.5, policy.mean_baseline - 2.0):
        assert (policy.reinforce_moments(other).variance > 0).all()
    # Its general form: the reward weighted by the squared score.
    mu, (f0, f1) = policy.mu, policy.rewards
    weights = np.array([(1 - mu) * mu**2, mu * (1 - mu) ** 2])
    np.testing.assert_allclose(best, weights @ [f0, f1] / weights.sum(), rtol=1e-6)


def test_the_mean_reward_is_optimal_only_if_both_actions_are_equally_likely():
    even = BernoulliLogistic([0.0], [1.0], lambda a: 2.0 * a)
    assert even.mean_baseline == even.optimal_baseline
    policy = CASES["quadratic"]
    f0, f1 = policy.rewards
    expected = policy.mu * (1 - policy.mu) * (1 - 2 * policy.mu) ** 2 * (f1 - f0) ** 2
    found = policy.reinforce_moments(policy.mean_baseline).variance / policy.features**2
    np.testing.assert_allclose(found, expected)


@pytest.mark.parametrize("baseline", [0.0, 0.2])
def test_samples_of_reinforce_agree_with_the_closed_form(baseline):
    policy = CASES["quadratic"]
    drawn = policy.reinforce(jax.random.key(0), 50_000, baseline)
    moments = policy.reinforce_moments(baseline)
    assert drawn.shape == (50_000, 2)
    for d in range(2):
        # Within twice the half width of the 95 % interval: 1 in 10,000 fails by chance.
        for found, exact in (
            (mean_interval(drawn[:, d]), moments.mean[d]),
            (variance_interval(drawn[:, d]), moments.variance[d]),
        ):
            assert abs(found.value - exact) <= found.high - found.low


@pytest.mark.parametrize("temperature", [0.1, 0.7, 2.0])
def test_the_relaxed_moments_are_the_integrals_and_samples_agree(temperature):
    policy = CASES["quadratic"]

    def slope(u):
        s = 1 / (1 + np.exp(-(policy.logit + np.log(u) - np.log1p(-u)) / temperature))
        return 2 * (s - 0.45) * s * (1 - s) / temperature

    mean = integrate.quad(slope, 0, 1, limit=500)[0]
    square = integrate.quad(lambda u: slope(u) ** 2, 0, 1, limit=500)[0]
    moments = policy.relaxed_moments(temperature)
    np.testing.assert_allclose(moments.mean, mean * policy.features, rtol=1e-4)
    np.testing.assert_allclose(moments.variance, (square - mean**2) * policy.features**2, rtol=1e-4)
    drawn = policy.relaxed(jax.random.key(3), 50_000, temperature)
    found = mean_interval(drawn[:, 0]), variance_interval(drawn[:, 0])
    assert abs(found[0].value - moments.mean[0]) <= found[0].high - found[0].low
    assert abs(found[1].value - moments.variance[0]) <= found[1].high - found[1].low


def test_the_relaxed_estimate_is_biased_and_less_so_at_low_temperatures():
    policy = CASES["quadratic"]
    bias = [abs(policy.relaxed_moments(t).mean[0] - policy.gradient[0]) for t in (0.5, 0.1, 0.02)]
    assert bias[0] > 5 * bias[2] > 0
    assert bias[0] > bias[1] > bias[2]
    variance = [policy.relaxed_moments(t).variance[0] for t in (0.5, 0.1, 0.02)]
    assert variance[2] > 4 * variance[1] > 4 * variance[0]


def test_intervals_cover_as_often_as_they_say():
    rng, covered = np.random.default_rng(0), np.zeros(2)
    for _ in range(1000):
        drawn = rng.exponential(2.0, 400)
        for i, (found, exact) in enumerate(((mean_interval(drawn), 2.0), (variance_interval(drawn), 4.0))):
            covered[i] += found.low <= exact <= found.high
    assert 0.93 < covered[0] / 1000 < 0.97
    assert 0.84 < covered[1] / 1000 < 0.97  # heavy tails: the variance needs more samples than 400


def test_the_comparison_has_closed_forms_and_samples():
    policy = CASES["quadratic"]
    rows = compare(policy, jax.random.key(1), 4000, (1.0,), weight=1)
    assert [r.estimator for r in rows] == [
        "REINFORCE",
        "REINFORCE, mean reward as baseline",
        "REINFORCE, optimal baseline",
        "relaxed, temperature 1",
    ]
    assert [r.bias == 0 for r in rows] == [True, True, True, False]
    assert rows[0].variance == policy.reinforce_moments().variance[1]
    assert rows[3].bias == policy.relaxed_moments(1.0).mean[1] - policy.gradient[1]
    text = plots.table(rows)
    assert len(text.splitlines()) == 6
    assert f"| REINFORCE | {rows[0].mean:.4g} |" in text
    again = compare(policy, jax.random.key(1), 4000, (1.0,), weight=1)
    assert again == rows


def test_the_plot_has_both_panels():
    shown = to_image(plots.draw(CASES["quadratic"], jax.random.key(0), samples=200), "")
    assert shown.image.dtype == np.uint8
    assert shown.image.std() > 10


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: BernoulliLogistic([1.0], [1.0, 2.0], jnp.sin), "equal length, got \\(1,\\) and \\(2,\\)"),
        (lambda: BernoulliLogistic([], [], jnp.sin), "vectors"),
        (lambda: BernoulliLogistic([float("nan")], [1.0], jnp.sin), "finite"),
        (lambda: BernoulliLogistic([1.0], [1.0], jnp.log), "rewards of both actions must be finite"),
        (lambda: BernoulliLogistic([1.0], [1.0], jnp.sin).reinforce(jax.random.key(0), 1), "samples"),
        (lambda: BernoulliLogistic([1.0], [1.0], jnp.sin).relaxed_moments(0.0), "temperature"),
        (lambda: BernoulliLogistic([1.0], [1.0], jnp.sin).relaxed(jax.random.key(0), 9, -1.0), "temperature"),
        (lambda: BernoulliLogistic([1.0], [1.0], jnp.sqrt).relaxed_moments(0.05), "finite derivative"),
        (lambda: compare(CASES["linear"], jax.random.key(0), 10, weight=3), "weight must be from 0 to 2"),
    ],
)
def test_bad_arguments_are_refused(make, words):
    with pytest.raises(UsageError, match=words):
        make()
