"""What settings cost: counts that are known, and times that add up."""

from types import SimpleNamespace

import numpy as np
import pytest

from populace.core.population import sweep
from populace.runs.outcome import costs
from populace.runs.training.launch import train
from populace.supervised import MLP, Classifier, Data


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(90, 3)).astype(np.float32)
    y = (rng.random(90) < 0.5).astype(int)  # nothing to learn: what is learned is over-fitting
    data = Data.from_classes(x[:60], y[:60], test=(x[60:], y[60:]), validation=0)
    learner = Classifier(data=data, network=MLP(hidden_sizes=(4,)), batch_size=20, learning_rate=0.05)
    axes = {"network.hidden_sizes": [[2], [200]], "learning_rate": [0.05, 0.01]}
    folder = tmp_path_factory.mktemp("runs") / "run"
    run = train(
        sweep(learner, axes, seeds=2), 200, evaluate_every=200, log_every=200, strategy="vmap", out=folder
    )
    return run.results()


def test_parameters_are_those_of_the_layers_and_memory_grows_with_them(results):
    found = results["costs"]
    assert [one["setting"] for one in found] == [0, 1, 2, 3]
    sizes = [3 * h + h + 2 * h + 2 for h in (2, 2, 200, 200)]
    assert [one["parameters"] for one in found] == sizes
    held = [one["prediction"]["bytes"] for one in found]
    assert held[0] == held[1] >= 4 * sizes[0]
    assert 4 * sizes[2] <= held[2] < 4 * sizes[2] + 20_000
    assert all(one["prediction"]["seconds"] > 0 for one in found)


def test_training_times_share_out_that_of_the_run(results):
    times = [one["train_s"] for one in results["costs"]]
    assert sum(times) == pytest.approx(results["timing"]["train_s"])
    assert times[0] == pytest.approx(times[1]), "a learning rate costs nothing"
    assert min(times) > 0


def test_a_member_pays_for_the_steps_it_trained_at_the_price_of_its_program(monkeypatch):
    def group(indices, seconds):
        held = SimpleNamespace(group=SimpleNamespace(members=indices), seconds=seconds)
        return SimpleNamespace(group=SimpleNamespace(indices=np.asarray(indices)), running=held)

    engine = SimpleNamespace(
        population=range(4), step=100, diverged_at=lambda: np.array([-1, 50, -1, -1]),
        control=SimpleNamespace(stopped_at=lambda: {3: 25}),
        group_states=[group([0, 1], 0.2), group([2, 3], 0.8)],
    )  # fmt: skip
    monkeypatch.setattr(costs, "_seconds_per_step", lambda state: state.seconds)
    found = costs._train_seconds(engine, 65.0)
    np.testing.assert_allclose(found, np.array([10.0, 5.0, 40.0, 10.0]))
    monkeypatch.setattr(costs, "_seconds_per_step", lambda state: None)
    assert costs._train_seconds(engine, 65.0) is None


def test_a_network_that_learns_noise_by_heart_scores_better_on_what_it_was_trained_on(results):
    trained = np.mean(results["costs"][2]["training_scores"])
    fresh = np.mean(results["settings"][2]["test"]["scores"])
    assert trained > 0.9
    assert fresh < 0.8
    counts = 30 * np.asarray(results["costs"][2]["training_scores"])
    np.testing.assert_allclose(counts, counts.round(), atol=1e-4)  # of as many as are held out
