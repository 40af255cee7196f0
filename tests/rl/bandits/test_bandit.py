"""Bandits: the loop against plain NumPy, regret against its bounds, and what every learner must keep."""

from typing import Any

import jax
import numpy as np
import pytest

from populace import recipes
from populace.core import settings
from populace.core.errors import UsageError
from populace.core.media import Picture
from populace.core.population import sweep
from populace.rl.bandits import (
    UCB1,
    Bernoulli,
    EpsilonGreedyRule,
    Gaussian,
    GaussianThompson,
    GradientRule,
    RandomWalk,
    Rule,
    Thompson,
    lai_robbins,
    plots,
    ucb1_bound,
)
from populace.rl.bandits.bandit import Bandit
from populace.rl.exploration.strategies import ConstantEpsilon, ExponentialDecay
from populace.runs.recipe import parse
from populace.runs.run import train
from tests.harness import check_learner

MEANS = (0.2, 0.5, 0.35, 0.6)


def assert_same_mean(one, other):
    """Assert that two samples of regret have one mean, within 4.5 standard errors of their difference."""
    error = np.sqrt(one.var(ddof=1) / len(one) + other.var(ddof=1) / len(other))
    assert abs(one.mean() - other.mean()) < 4.5 * error, (one.mean(), other.mean(), error)


def numpy_regret(choose, means, pulls, runs, seed=0):
    """Return the pseudo-regret of independent runs of a rule: choose(rng, sums, counts, t) -> arm."""
    rng, found = np.random.default_rng(seed), np.zeros(runs)
    for run in range(runs):
        sums, counts = np.zeros(len(means)), np.zeros(len(means))
        for t in range(pulls):
            arm = choose(rng, sums, counts, t)
            sums[arm] += rng.random() < means[arm]
            counts[arm] += 1
        found[run] = counts @ (max(means) - np.array(means))
    return found


def numpy_ucb1(rng, sums, counts, t):
    if (counts == 0).any():
        return int(rng.choice(np.flatnonzero(counts == 0)))
    return int(np.argmax(sums / counts + np.sqrt(2 * np.log(t) / counts)))


def numpy_epsilon_greedy(rng, sums, counts, t):
    if rng.random() < 0.2:
        return int(rng.integers(len(sums)))
    values = np.where(counts > 0, sums / np.maximum(counts, 1), 0.0)
    return int(rng.choice(np.flatnonzero(values == values.max())))


def numpy_thompson(rng, sums, counts, t):
    return int(np.argmax(rng.beta(1 + sums, 1 + counts - sums)))


@pytest.mark.parametrize(
    ("rule", "reference"),
    [
        (UCB1(), numpy_ucb1),
        (EpsilonGreedyRule(exploration=ConstantEpsilon(0.2)), numpy_epsilon_greedy),
        (Thompson(), numpy_thompson),
    ],
)
def test_regret_is_that_of_a_plain_loop(rule, reference):
    _, regrets = Bandit(arms=Bernoulli(means=MEANS), rule=rule, rollout=50).courses(
        jax.random.key(1), 1000, 10
    )
    assert_same_mean(regrets[:, -1], numpy_regret(reference, MEANS, 500, 150))


def test_ucb1_stays_below_its_proven_bound():
    at, regrets = Bandit(arms=Bernoulli(means=MEANS)).courses(jax.random.key(0), 200, 100)
    assert (regrets.mean(0) < ucb1_bound(MEANS, at)).all()


def test_the_regret_of_thompson_grows_along_the_lower_bound():
    means = (0.4, 0.6)
    # In units of the bound's slope in log t: from below and slowly, several times, far above.
    for rule, low, high in ((Thompson(), 0.5, 1.1), (UCB1(), 1.5, 8), (EpsilonGreedyRule(), 10, 100)):
        bandit = Bandit(arms=Bernoulli(means=means), rule=rule)
        at, regrets = bandit.courses(jax.random.key(0), 100, 100)
        slope = (regrets[:, -1] - regrets[:, 9]).mean() / np.log(at[-1] / at[9])
        assert low < slope / lai_robbins(means) < high


def test_constant_epsilon_loses_its_share_of_the_mean_gap_in_the_end():
    means = (0.1, 0.9, 0.3)
    rule = EpsilonGreedyRule(exploration=ConstantEpsilon(0.3))
    _, regrets = Bandit(arms=Bernoulli(means=means), rule=rule).courses(jax.random.key(0), 200, 20)
    per_pull = (regrets[:, -1] - regrets[:, 9]).mean() / 1000
    np.testing.assert_allclose(per_pull, 0.3 * np.mean(0.9 - np.array(means)), rtol=0.03)


def test_recent_rewards_count_where_the_means_move():
    arms = Gaussian(count=5, change=RandomWalk(deviation=0.1))
    found = {
        size: Bandit(arms=arms, rule=EpsilonGreedyRule(step_size=size)).courses(jax.random.key(0), 50, 30)[1]
        for size in (0.0, 0.2)
    }
    assert found[0.2][:, -1].mean() < 0.6 * found[0.0][:, -1].mean()


def test_an_optimistic_start_explores_without_epsilon():
    arms = Gaussian(count=10)
    rule = EpsilonGreedyRule(exploration=ConstantEpsilon(0.0), step_size=0.1)
    optimist = settings.replace(rule, "initial_value", 5.0)
    one, other = (
        Bandit(arms=arms, rule=r).courses(jax.random.key(0), 100, 10)[1][:, -1] for r in (optimist, rule)
    )
    assert one.mean() < 0.8 * other.mean()


def test_metrics_and_regret_follow_from_the_pulls():
    bandit = Bandit(arms=Gaussian(means=(1.0, 3.0), noise=0.1), rule=UCB1(confidence=0.0), rollout=20)
    state, metrics = bandit.step(bandit.init(jax.random.key(0)), jax.random.key(1))
    # Each arm once, and then only the better one.
    assert float(metrics["regret"].total) == pytest.approx(2.0)
    assert float(metrics["optimal"].value) == pytest.approx(19 / 20)
    assert float(metrics["reward"].value) == pytest.approx((1.0 + 19 * 3.0) / 20, abs=0.1)
    assert float(state.regret) == pytest.approx(2.0)
    np.testing.assert_array_equal(state.learned.counts, [1, 19])
    assert int(state.pulls) == 20


def test_the_score_is_the_regret_of_the_horizon_and_never_rises():
    bandit = Bandit(arms=Bernoulli(means=MEANS), rollout=30, horizon=100)
    state, scores = bandit.init(jax.random.key(0)), []
    key = jax.random.key(7)
    for t in range(8):
        found = bandit.evaluate(bandit.snapshot(state), key)
        scores.append(float(found["total_regret"].value))
        state, _ = bandit.step(state, jax.random.fold_in(key, t))
    assert scores[0] == pytest.approx(100 * (0.6 - 0.2))
    assert (np.diff(scores) <= 1e-5).all()
    assert scores[4] == scores[7]
    assert scores[7] < float(bandit.evaluate(state, key)["regret_so_far"].value)


def test_only_pulls_within_the_horizon_are_scored():
    # A pessimist stays with the arm it met first: one pull of the worse arm costs 1, and all are alike.
    rule = EpsilonGreedyRule(exploration=ConstantEpsilon(0.0), initial_value=-9.0)
    arms = Gaussian(means=(0.0, 1.0), noise=0.1)
    bandit, found = Bandit(arms=arms, rule=rule, rollout=30, horizon=50), set()
    for seed in range(8):
        state = bandit.init(jax.random.key(seed))
        for t in range(2):
            state, _ = bandit.step(state, jax.random.fold_in(jax.random.key(seed), t))
        found.add((float(state.scored), float(state.regret)))
    assert found == {(0.0, 0.0), (50.0, 60.0)}


def test_the_best_model_is_the_last_one(tmp_path):
    bandit = Bandit(arms=Bernoulli(means=MEANS), rollout=50, horizon=500)
    run = train(sweep(bandit, seeds=3), 10, out=tmp_path / "run", evaluate_every=2, strategy="vmap")
    for member in run.results()["members"]:
        assert member["validation"]["step"] == 10
        regret = float(run.member(member["member"]).model.regret)
        assert member["test"]["score"] == pytest.approx(regret, rel=1e-6)


@pytest.mark.parametrize("kind", list(settings.variants(Rule)))
def test_one_arm_has_no_regret(kind):
    bandit = settings.replace(Bandit(arms=Bernoulli(count=1), rollout=20), "rule", kind)
    state, metrics = bandit.step(bandit.init(jax.random.key(0)), jax.random.key(1))
    assert float(metrics["regret"].total) == float(state.regret) == 0
    assert float(metrics["optimal"].value) == 1


def test_arms_that_are_all_equal_are_shown_without_a_bound():
    bandit = Bandit(arms=Bernoulli(means=(0.5, 0.5)), rollout=20)
    state, _ = bandit.step(bandit.init(jax.random.key(0)), jax.random.key(1))
    assert isinstance(bandit.visualize(state, jax.random.key(2))["regret"], Picture)


def test_members_draw_arms_of_their_own_and_share_them_between_settings():
    population = sweep(Bandit(), {"rule": ["ucb1", "thompson"]}, seeds=3)
    assert len(population.groups) == 2
    means = [population.learner_of(s).init(jax.random.key(4)).means for s in (0, 1)]
    np.testing.assert_array_equal(*means)
    assert not np.array_equal(Bandit().init(jax.random.key(5)).means, means[0])


def test_floats_differ_inside_one_program():
    rule = {"kind": "epsilon-greedy", "exploration": {"kind": "exponential", "per": "frame"}}
    learner = settings.replace(Bandit(), "rule", rule)
    axes = {"rule.exploration.decay": [0.9, 0.999], "rule.initial_value": [0.0, 1.0]}
    assert len(sweep(learner, axes, seeds=2).groups) == 1


@pytest.mark.parametrize(
    "rule",
    [
        EpsilonGreedyRule(exploration=ExponentialDecay(decay=0.99, per="frame"), step_size=0.1),
        pytest.param(UCB1(), marks=pytest.mark.slow),
        pytest.param(GradientRule(), marks=pytest.mark.slow),
        pytest.param(Thompson(), marks=pytest.mark.slow),
    ],
)
def test_it_keeps_what_every_learner_must(rule, tmp_path):
    arms = Bernoulli(count=3, change=RandomWalk())
    learner = Bandit(arms=arms, rule=rule, rollout=5, horizon=40)
    check_learner(learner, {"arms.change.deviation": [0.01, 0.2]}, steps=12, folder=tmp_path)


def test_the_exhibit_shows_regret_beside_the_bound():
    bandit = Bandit(arms=Gaussian(means=(0.0, 1.0)), rule=GaussianThompson())
    start = bandit.init(jax.random.key(0))
    assert bandit.visualize(start, jax.random.key(1)) == {}
    state, _ = bandit.step(start, jax.random.key(1))
    shown = bandit.visualize(state, jax.random.key(2))["regret"]
    assert isinstance(shown, Picture)
    assert shown.image.dtype == np.uint8
    assert shown.image.std() > 10
    assert "100 pulls" in shown.caption
    moving = settings.replace(bandit, "arms.change", "random-walk")
    assert "regret" in moving.visualize(state, jax.random.key(2))


def test_a_run_gives_its_regret_curves(tmp_path):
    bandit = Bandit(arms=Bernoulli(means=MEANS), rollout=10, horizon=200)
    rules = ["ucb1", {"kind": "epsilon-greedy", "step_size": 0.1}]
    run = train(
        sweep(bandit, {"rule": rules}, seeds=4), 20, out=tmp_path / "run", evaluate_every=5, strategy="vmap"
    )
    found = plots.curves(run)
    assert list(found) == ["ucb1", "epsilon-greedy step_size 0.1"]
    for setting, (pulls, regrets) in enumerate(found.values()):
        np.testing.assert_array_equal(pulls, [50, 100, 150, 200])
        ends = [run.member(4 * setting + seed).model.regret for seed in range(4)]
        np.testing.assert_allclose(regrets[:, -1], ends, rtol=1e-6)
    axes = plots.regret(found, lai_robbins(MEANS)).axes[0]
    names = [text.get_text() for text in axes.get_legend().get_texts()]
    assert names[:2] == list(found)
    assert names[2].startswith("lower bound")
    bound = axes.lines[-1]
    np.testing.assert_allclose(bound.get_ydata(), lai_robbins(MEANS) * np.log(bound.get_xdata()))


def test_the_recipe_is_sound():
    recipe = parse(recipes.text("bandits"), "bandits")
    population = recipe.population()
    learners: list[Any] = [population.learner_of(s) for s in range(len(population.settings))]
    assert {learner.rule.kind for learner in learners} == set(settings.variants(Rule))
    for learner in learners:
        assert learner.horizon == learner.rollout * recipe.options.steps
    assert len(population.seeds) >= 100


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ({"arms": {"means": [0.3, 1.5]}}, "probabilities in \\[0, 1\\], got 1.5 for arm 1"),
        ({"arms": {"kind": "gaussian"}, "rule": "thompson"}, "needs rewards of 0 and 1"),
        ({"arms": {"count": 0}}, "count"),
        ({"rollout": 0}, "rollout"),
        ({"horizon": 0}, "horizon"),
        ({"rule": "tompson"}, "did you mean 'thompson'"),
        ({"arms": {"kind": "poisson"}}, "unknown kind 'poisson'"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_compiled(bad, words):
    with pytest.raises(UsageError, match=words):
        sweep(settings.from_dict(Bandit, bad))
