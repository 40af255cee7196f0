"""The event files, read back with TensorBoard's own reader."""

from pathlib import Path

import equinox as eqx
import jax
import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.proto.graph_pb2 import GraphDef  # pyright: ignore[reportAttributeAccessIssue]
from tensorboard.plugins.hparams import plugin_data_pb2

from populace.core.population import sweep
from populace.engine.callbacks import Evaluation
from populace.engine.training_loop import Engine
from populace.graphs.learners.graph_classifier import GraphClassifier
from populace.graphs.learners.node_classifier import NodeClassifier
from populace.graphs.models.graph_networks import GraphGCN
from populace.graphs.models.node_networks import APPNP
from populace.images.classification.classifier import ImageClassifier
from populace.images.classification.networks import CNN
from populace.nn.attention.multi_head import MultiHeadAttention
from populace.nn.conv.wavenet import WaveNet
from populace.nn.recurrent.layers import GRU
from populace.rl import DQN, PPO, Tabular
from populace.runs.launch import train
from populace.runs.model_graph import model_graph
from populace.runs.tensorboard import TensorBoard
from populace.statistics import interquartile_mean
from populace.supervised import MLP
from tests.graphs.learners.test_graph_classifier import shapes
from tests.graphs.learners.test_node_classifier import cliques
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


# Of each kind of learner: a layer, its class, the shape of one array, and what it hears from.
LEARNERS = {
    "image": (
        lambda: ImageClassifier(network=CNN(channels=(2, 3), hidden_sizes=())),
        ("layers/4-Conv2d", "Conv2d", "weight", "float32[5, 5, 2, 3]", ["layers/3-Dropout"]),
    ),
    "node": (
        lambda: NodeClassifier.of(cliques(), network=APPNP(hidden_sizes=(3,))),
        ("network/layers/1-Predict/spread", "Propagation", None, "", ["network/layers/1-Predict/dense"]),
    ),
    "graph": (
        lambda: GraphClassifier(data=shapes(), folds=4, batch_size=8, network=GraphGCN(layers=1,
        hidden_channels=3)),
        ("heads/1-Dense", "Dense", "weight", "float32[3, 2]", ["layers/0-GCNLayer/norm"]),
    ),
    "value": (
        lambda: DQN(hidden_sizes=(8, 6), dueling=True),
        ("value/0-Linear", "Linear", "weight", "float32[6, 8]", ["trunk/0-Linear"]),
    ),
    "policy": (
        lambda: PPO(env="Pendulum-v1", hidden_sizes=(8,)),
        ("critic/2-Affine", "Affine", "weight", "float32[1, 8]", ["critic/1-tanh"]),
    ),
    "table": (
        lambda: Tabular(),
        ("output", "Output", None, "", ["Array"]),
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", LEARNERS)
def test_every_kind_of_learner_has_a_graph(kind):
    make, (name, op, array, shape, heard) = LEARNERS[kind]
    learner = make().load_data()
    learner.check()
    model = eqx.filter_eval_shape(lambda key: learner.model(learner.init(key)), jax.random.key(0))
    found = {node.name: node for node in model_graph(model).node}
    assert found[name].op == op
    assert list(found[name].input) == heard
    assert array is None or found[name].attr[array].s.decode() == shape
    assert all(source in found for node in found.values() for source in node.input)
    ends = list(found)
    assert (ends[0], ends[-1]) == ("input", "output")


def test_a_run_that_resumes_has_its_graph_already(tmp_path):
    engine = Engine(sweep(classifier(), {}, seeds=1), "vmap")
    board = TensorBoard(tmp_path, engine, 5, print)
    board.on_start(engine.population, 5)
    board.close()
    assert not read(tmp_path / "setting-000").Tags()["graph"]


# Modules whose parts are not applied in the order of their fields.
SIDE_BY_SIDE = {
    "attention": (
        lambda key: MultiHeadAttention(8, 2, key=key),
        {"attend": ["query_projection", "key_projection", "value_projection"],
         "output_projection": ["attend"], "key_projection": ["MultiHeadAttention"]},
    ),
    "directions": (
        lambda key: GRU(3, 4, layers=2, bidirectional=True, key=key),  # pyright: ignore[reportCallIssue]
        {"1/forward": ["0/forward", "0/backward"], "output": ["1/forward", "1/backward"]},
    ),
    "skips": (
        lambda key: WaveNet(1, 2, dilations=(1, 2), key=key),
        {"mix": ["blocks/0-Block/out", "blocks/1-Block/out"], "leave": ["mix"]},
    ),
    "readout": (
        lambda key: GraphGCN(layers=1, readout="attention").build(5, 3, key=key),
        {"heads/0-Dense": ["GraphNetwork", "gates/0-Dense"], "output": ["heads/0-Dense", "heads/1-Dense"]},
    ),
    "names that are taken": (
        lambda key: {"input": key, "output": jax.numpy.tanh},
        {"input_1": ["input"], "output": ["input"], "output_1": ["input_1", "output"]},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", SIDE_BY_SIDE)
def test_parts_side_by_side_have_edges_of_their_own(case):
    make, edges = SIDE_BY_SIDE[case]
    found = {node.name: list(node.input) for node in model_graph(make(jax.random.key(0))).node}
    assert {name: found[name] for name in edges} == edges
