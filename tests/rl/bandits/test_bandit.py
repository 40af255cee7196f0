"""Bandits: states, metrics and scores that follow from the pulls, runs, and what every learner must keep."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from populace import recipes
from populace.core import settings
from populace.core.errors import UsageError
from populace.core.media import Image
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
)
from populace.rl.bandits.bandit import Bandit
from populace.rl.exploration.strategies import ConstantEpsilon, ExponentialDecay
from populace.runs.recipe.parsing import parse
from populace.runs.training.launch import train
from tests.harness import check_learner

MEANS = (0.2, 0.5, 0.35, 0.6)


def pulled(bandit, steps, seed=0):
    """Return states and metrics of single iterations (an axis of iterations first), the start included.

    With them what an evaluation says of each of the states.
    """

    def run(seed):
        key = jax.random.key(seed)
        start = bandit.init(key)

        def step(state, t):
            after, metrics = bandit.step(state, jax.random.fold_in(key, t))
            return after, (after, metrics, bandit.evaluate(bandit.model(after), key))

        _, (states, metrics, scores) = jax.lax.scan(step, start, jnp.arange(steps))
        first = (start, bandit.evaluate(bandit.model(start), key))
        joined = jax.tree.map(
            lambda a, b: jnp.concatenate([jnp.asarray(a)[None], b]), first, (states, scores)
        )
        return joined[0], metrics, joined[1]

    return jax.device_get(jax.jit(run)(seed))


def last(states):
    """Return the last of several states."""
    return jax.tree.map(lambda x: x[-1], states)


def test_metrics_and_regret_follow_from_the_pulls():
    bandit = Bandit(arms=Gaussian(means=(1.0, 3.0), noise=0.1), rule=UCB1(confidence=0.0), rollout=20)
    states, metrics, _ = pulled(bandit, 1)
    state = last(states)
    # Each arm once, and then only the better one.
    assert float(metrics["regret"].total[0]) == pytest.approx(2.0)
    assert float(metrics["optimal"].value[0]) == pytest.approx(19 / 20)
    assert float(metrics["reward"].value[0]) == pytest.approx((1.0 + 19 * 3.0) / 20, abs=0.1)
    assert float(state.regret) == pytest.approx(2.0)
    np.testing.assert_array_equal(state.learned.counts, [1, 19])
    assert int(state.pulls) == 20


def test_the_score_is_the_regret_of_the_horizon_and_never_rises():
    bandit = Bandit(arms=Bernoulli(means=MEANS), rollout=30, horizon=100)
    _, _, found = pulled(bandit, 8)
    scores = found["total_regret"].value
    assert scores[0] == pytest.approx(100 * (0.6 - 0.2))
    assert (np.diff(scores) <= 1e-5).all()
    assert scores[4] == scores[8]
    assert scores[8] < found["regret_so_far"].value[8]


def test_only_pulls_within_the_horizon_are_scored():
    # A pessimist stays with the arm it met first: one pull of the worse arm costs 1, and all are alike.
    rule = EpsilonGreedyRule(exploration=ConstantEpsilon(0.0), initial_value=-9.0)
    arms = Gaussian(means=(0.0, 1.0), noise=0.1)
    bandit = Bandit(arms=arms, rule=rule, rollout=30, horizon=50)

    def ended(seed):
        key = jax.random.key(seed)
        state = bandit.init(key)
        for t in range(2):
            state, _ = bandit.step(state, jax.random.fold_in(key, t))
        return state.scored, state.regret

    scored, regret = jax.jit(jax.vmap(ended))(np.arange(8))
    assert set(zip(scored.tolist(), regret.tolist())) == {(0.0, 0.0), (50.0, 60.0)}


RULES: list[Any] = ["ucb1", {"kind": "epsilon-greedy", "step_size": 0.1}]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Two rules, four members each, 200 pulls: the whole horizon. Read only."""
    bandit = Bandit(arms=Bernoulli(means=MEANS), rollout=10, horizon=200)
    folder = tmp_path_factory.mktemp("bandit") / "run"
    return train(sweep(bandit, {"rule": RULES}, seeds=4), 20, out=folder, evaluate_every=5, strategy="vmap")


def test_the_best_model_is_the_last_one(run):
    for member in run.results()["members"]:
        assert member["validation"]["step"] == 20
        regret = float(run.member(member["member"]).model.regret)
        assert member["test"] is None
        assert member["validation"]["score"] == pytest.approx(regret, rel=1e-6)


@pytest.mark.parametrize("kind", list(settings.variants(Rule)))
def test_one_arm_has_no_regret(kind):
    bandit = settings.replace(Bandit(arms=Bernoulli(count=1), rollout=20), "rule", kind)
    states, metrics, _ = pulled(bandit, 1)
    assert float(metrics["regret"].total[0]) == float(last(states).regret) == 0
    assert float(metrics["optimal"].value[0]) == 1


def test_equal_arms_are_plotted_without_a_bound():
    bandit = Bandit(arms=Bernoulli(means=(0.5, 0.5)), rollout=20)
    state = last(pulled(bandit, 1)[0])
    assert isinstance(bandit.visualize(state, jax.random.key(2))["regret"], Image)


def test_members_have_their_own_arms_which_settings_share():
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
def test_every_invariant_holds(rule, tmp_path):
    arms = Bernoulli(count=3, change=RandomWalk())
    learner = Bandit(arms=arms, rule=rule, rollout=5, horizon=40)
    check_learner(learner, {"arms.change.std": [0.01, 0.2]}, steps=12, folder=tmp_path)


def test_the_visualization_shows_regret_and_the_bound():
    bandit = Bandit(arms=Gaussian(means=(0.0, 1.0)), rule=GaussianThompson())
    states, _, _ = pulled(bandit, 1)
    start, state = (jax.tree.map(lambda x, t=t: x[t], states) for t in (0, 1))
    assert bandit.visualize(start, jax.random.key(1)) == {}
    shown = bandit.visualize(state, jax.random.key(2))["regret"]
    assert isinstance(shown, Image)
    assert shown.image.dtype == np.uint8
    assert shown.image.std() > 10
    assert "100 pulls" in shown.caption
    moving = settings.replace(bandit, "arms.change", "random-walk")
    assert "regret" in moving.visualize(state, jax.random.key(2))


def test_a_run_gives_its_regret_curves(run):
    found = plots.curves(run)
    assert list(found) == ["ucb1", "epsilon-greedy step_size 0.1"]
    for setting, (pulls, regrets) in enumerate(found.values()):
        np.testing.assert_array_equal(pulls, [50, 100, 150, 200])
        ends = [run.member(4 * setting + seed).model.regret for seed in range(4)]
        np.testing.assert_allclose(regrets[:, -1], ends, rtol=1e-6)
    axes = plots.regret(found, lai_robbins(MEANS)).axes[0]
    names = [text.get_text() for text in axes.get_legend().get_texts()]
    assert names[:2] == list(found)
    assert names[2].startswith("asymptotic lower bound")
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
def test_bad_settings_are_refused_before_anything_is_compiled(bad, words):
    with pytest.raises(UsageError, match=words):
        sweep(settings.from_dict(Bandit, bad))
