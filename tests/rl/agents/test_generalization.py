"""Held-out environments: evaluated beside the trained one, kept in the run, and told in its report."""

import jax
import numpy as np
import pytest

import populace as pop
from populace import report
from populace.core.errors import UsageError
from populace.report.runs import Reading
from populace.report.sections import generalization
from populace.rl.agents.dqn import DQN

DRY, SNOW = "Braking-v0(friction=(0.8, 0.8))", "Braking-v0(friction=(0.3, 0.3))"


def agent(**more):
    given = {"env": DRY, "held_out": SNOW, "warmup": 64, "replay_storage": 1_000, "replay_capacity": 1_000.0}
    return DQN(**{**given, "hidden_sizes": (8,), "evaluation_episodes": 8, **more})


class Late(DQN):
    """Brakes as late as a dry road allows, whatever it has learned."""

    def act(self, model, observation):
        speed, distance = observation[0] * 20, observation[1] * 150
        return jax.numpy.where(distance < speed**2 / (2 * 4) + 8, 2, 0)


def test_a_policy_made_for_a_dry_road_loses_on_snow():
    learner = Late(env=DRY, held_out=SNOW, evaluation_episodes=64)
    learner.check()  # makes the environments, before anything is traced
    metrics = jax.jit(lambda seed: learner.evaluate(None, jax.random.key(seed)))(0)
    assert float(metrics["return"].value) > -2.5
    assert float(metrics["held_out_return"].value) < -8
    assert float(metrics["held_out_return"].weight) == 64


def test_holding_out_changes_no_training():
    def program(learner):
        """Return the program of the start and an iteration, and the numbers that are in it."""
        learner.check()

        def begin_and_step(seed):
            key = jax.random.key(seed)
            return jax.tree.leaves(learner.step(learner.init(key), key))

        traced = jax.make_jaxpr(begin_and_step)(0)
        return str(traced), [np.asarray(x).tolist() for x in traced.consts]

    def judged_by(learner):
        """Return the names of what an evaluation measures."""
        key = jax.eval_shape(lambda: jax.random.key(0))
        model = jax.eval_shape(lambda key: learner.model(learner.init(key)), key)
        return set(jax.eval_shape(learner.evaluate, model, key))

    plain, judged = agent(held_out=""), agent()
    assert program(plain) == program(judged)
    assert judged_by(judged) - judged_by(plain) == {"held_out_return"}


@pytest.mark.parametrize(
    ("held_out", "message"),
    [
        ("LineWorld-v0", r"held_out 'LineWorld-v0' does not fit"),
        ("Braking-v0(friction=(2, 3))", "friction must be a pair"),
        ("Breaking-v0", "did you mean 'Braking-v0'"),
    ],
)
def test_what_does_not_fit_is_refused(held_out, message):
    with pytest.raises(UsageError, match=message) as caught:
        agent(held_out=held_out).check()
    assert "\n" not in str(caught.value)


def test_a_run_keeps_both_returns_and_its_report_tells_the_gap(tmp_path):
    fits = pop.sweep(agent(), {"learning_rate": [1e-3, 1e-4]}, seeds=3)
    run = pop.train(
        fits, steps=60, out=tmp_path / "run", strategy="vmap", evaluate_every=10, final_evaluation_size=10
    )
    assert "held_out_return" in run.metrics("evaluation").column_names
    fresh = [member["test"] for member in run.results()["members"]]
    assert all(np.isfinite(f["metrics"]["held_out_return"]) for f in fresh)
    section = generalization.section(Reading.of(run))
    assert len(section["table"].rows) == 2
    assert "measured after selection" in section["sentence"]
    page = report.write([run]).read_text(encoding="utf-8")
    assert '<section id="generalization">' in page
    assert f"Training environment: {DRY}; held out: {SNOW}." in page
