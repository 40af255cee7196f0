"""The event files, read back with TensorBoard's own reader."""

from pathlib import Path

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import plugin_data_pb2

from populace.population import sweep
from populace.run import train
from populace.statistics import interquartile_mean
from populace.supervised import MLP
from tests.supervised.problems import classifier

SEEDS, STEPS, EVERY = 3, 40, 10


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory):
    population = sweep(classifier(network=MLP(hidden=(4,))), {"learning_rate": [1e-2, 1e-3]}, seeds=SEEDS)
    out = tmp_path_factory.mktemp("board") / "run"
    return train(population, steps=STEPS, out=out, strategy="vmap", evaluate_every=EVERY)


def read(folder: Path) -> EventAccumulator:
    events = EventAccumulator(str(folder), size_guidance={"histograms": 0, "scalars": 0})
    events.Reload()
    return events


def test_one_tensorboard_run_per_setting(run):
    found = sorted(p.name for p in (run.path / "tensorboard").iterdir())
    assert found == ["setting-000", "setting-001"]


def test_curves_are_those_of_the_metric_tables(run):
    table = run.metrics("evaluation")
    for setting in (0, 1):
        events = read(run.path / "tensorboard" / f"setting-{setting:03d}")
        mean = events.Scalars("evaluation/accuracy/iqm")
        assert [e.step for e in mean] == [s * 32 for s in range(EVERY, STEPS + 1, EVERY)]
        for event in mean:
            rows = (np.asarray(table["step"]) * 32 == event.step) & (np.asarray(table["setting"]) == setting)
            scores = np.asarray(table["accuracy"])[rows]
            assert len(scores) == SEEDS
            assert event.value == pytest.approx(interquartile_mean(scores), rel=1e-6)
        low, high = (events.Scalars(f"evaluation/accuracy/{b}") for b in ("low", "high"))
        assert all(a.value <= m.value <= b.value for a, m, b in zip(low, mean, high))
        for seed in range(SEEDS):
            assert len(events.Scalars(f"evaluation/accuracy/seed-{seed}")) == STEPS // EVERY
        assert events.Scalars("train/loss/iqm")


def test_settings_are_hparams(run):
    for setting, rate in enumerate([1e-2, 1e-3]):
        events = read(run.path / "tensorboard" / f"setting-{setting:03d}")
        content = events.summary_metadata["_hparams_/session_start_info"].plugin_data.content
        data = plugin_data_pb2.HParamsPluginData.FromString(content)
        assert data.session_start_info.hparams["learning_rate"].number_value == rate


def test_weights_are_histograms(run):
    events = read(run.path / "tensorboard" / "setting-000")
    tags = [t for t in events.Tags()["histograms"] if t.startswith("weights/")]
    assert len(tags) >= 4
    last = events.Histograms(tags[0])[-1]
    assert last.step == STEPS * 32
    assert last.histogram_value.num > 0
