"""The event files, read back with TensorBoard's own reader."""

from pathlib import Path

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.proto.graph_pb2 import GraphDef  # pyright: ignore[reportAttributeAccessIssue]
from tensorboard.plugins.hparams import plugin_data_pb2

from populace.core.population import sweep
from populace.engine.callbacks import Evaluation
from populace.engine.training_loop import Engine
from populace.runs.tensorboard.board import TensorBoard
from populace.runs.training.launch import train
from populace.statistics import interquartile_mean
from populace.supervised import MLP
from tests.learners import Quadratic
from tests.supervised.problems import classifier

SEEDS, STEPS, EVERY = 3, 40, 10


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory):
    population = sweep(
        classifier(network=MLP(hidden_sizes=(4,))), {"learning_rate": [1e-2, 1e-3]}, seeds=SEEDS
    )
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
        for event in events.Scalars("evaluation/loss/iqm"):
            rows = (np.asarray(table["step"]) * 32 == event.step) & (np.asarray(table["setting"]) == setting)
            losses = np.asarray(table["loss"])[rows]
            assert event.value == pytest.approx(interquartile_mean(losses), rel=1e-6)
        low, high = (events.Scalars(f"evaluation/accuracy/{b}") for b in ("low", "high"))
        assert all(a.value <= m.value <= b.value for a, m, b in zip(low, mean, high))
        for seed in range(SEEDS):
            assert len(events.Scalars(f"evaluation/accuracy/seed-{seed}")) == STEPS // EVERY
        assert events.Scalars("train/loss/iqm")


def test_settings_are_hparams(run):
    for setting, rate in enumerate([1e-2, 1e-3]):
        events = read(run.path / "tensorboard" / f"setting-{setting:03d}")
        content = events.summary_metadata["_hparams_/session_start_info"].plugin_data.content
        data = plugin_data_pb2.HParamsPluginData.FromString(content)  # pyright: ignore[reportAttributeAccessIssue]
        assert data.session_start_info.hparams["learning_rate"].number_value == rate


def test_weights_are_histograms(run):
    events = read(run.path / "tensorboard" / "setting-000")
    tags = [t for t in events.Tags()["histograms"] if t.startswith("weights/")]
    assert len(tags) >= 4
    last = events.Histograms(tags[0])[-1]
    assert last.step == STEPS * 32
    assert last.histogram_value.num > 0


def test_members_that_diverged_are_in_no_histogram(tmp_path):
    engine = Engine(sweep(Quadratic(), {"fuse": [3.0, 1e9]}), "vmap")
    engine.train(5, window=5, evaluate_every=0)
    board = TensorBoard(tmp_path, engine, 0, print)
    board.histograms()
    board.close()
    assert read(tmp_path / "setting-000").Tags()["histograms"] == []
    assert read(tmp_path / "setting-001").Tags()["histograms"] == ["weights/weights"]


def test_a_member_that_diverged_counts_as_the_worst_so_far(tmp_path):
    engine = Engine(sweep(Quadratic(), seeds=4), "vmap")
    board = TensorBoard(tmp_path, engine, 0, print)
    sound, alive = np.array([1.0, 2.0, 3.0, 9.0]), np.full(4, -1)
    board.on_evaluation(Evaluation(1, {"loss": sound}, alive))
    board.on_evaluation(Evaluation(2, {"loss": np.array([1.0, 2.0, np.nan, 3.0])}, alive))
    board.close()
    resumed = TensorBoard(tmp_path / "resumed", engine, 2, print, earlier=[*sound, 1.0, 2.0, np.nan, 3.0])
    resumed.on_evaluation(Evaluation(3, {"loss": np.array([1.0, 7.0, np.nan, np.nan])}, alive))
    resumed.close()
    found = read(tmp_path / "setting-000").Scalars("evaluation/loss/iqm")
    assert [e.value for e in found] == [2.5, np.mean([2.0, 3.0])]
    (after,) = read(tmp_path / "resumed" / "setting-000").Scalars("evaluation/loss/iqm")
    assert after.value == np.mean([7.0, 9.0]), "9 was the worst before the run was resumed"


def nodes(folder: Path) -> dict:
    """Return the nodes of the graph that TensorBoard reads from a folder, by name."""
    events = read(folder)
    assert events.Tags()["graph"]
    return {node.name: node for node in GraphDef.FromString(events.Graph().SerializeToString()).node}


def test_the_graph_of_the_model_is_its_layers(run):
    for setting in (0, 1):
        found = nodes(run.path / "tensorboard" / f"setting-{setting:03d}")
        layers = ["0-ravel", "1-Linear", "2-relu", "3-Dropout", "4-Linear"]
        names = ["input", *(f"layers/{layer}" for layer in layers), "output"]
        assert list(found) == names
        assert [list(found[name].input) for name in names[1:]] == [[name] for name in names[:-1]]
        assert [found[name].op for name in names[1:3]] == ["ravel", "Linear"]
        linear = found["layers/1-Linear"].attr
        assert (linear["weight"].s, linear["bias"].s) == (b"float32[4, 2]", b"float32[4]")
        assert (linear["out_features"].i, linear["weights in all"].i, linear["use_bias"].b) == (4, 12, True)
        assert found["layers/3-Dropout"].attr["rate"].f == 0.0


def test_a_run_that_resumes_has_its_graph_already(tmp_path):
    engine = Engine(sweep(classifier(), {}, seeds=1), "vmap")
    board = TensorBoard(tmp_path, engine, 5, print)
    board.on_start(engine.population, 5)
    board.close()
    assert not read(tmp_path / "setting-000").Tags()["graph"]
