"""Saved members: what comes back predicts bit for bit the same, without data; what was changed is refused."""

import json
import sys
from pathlib import Path
from typing import Any, ClassVar

import equinox as eqx
import jax
import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.core.learner import Learner
from populace.core.model import weights
from populace.core.population import Member
from populace.graphs.learners.graph_classifier import GraphClassifier, GraphRegressor
from populace.graphs.learners.node_classifier import MultiLabelNodeClassifier, NodeClassifier, NodeRegressor
from populace.graphs.models.graph_networks import GraphGIN
from populace.graphs.models.node_networks import GCN
from populace.images.classification.classifier import ImageClassifier
from populace.images.classification.networks import CNN
from populace.optim import Adam
from populace.rl import DQN, PPO, Bandit, Tabular
from populace.runs.provenance import version
from populace.runs.run import Run
from populace.runs.trained_member import Trained, load_trained
from populace.runs.weights import saved_member
from populace.runs.weights.saved_member import SETTINGS, WEIGHTS
from populace.supervised import MLP, Classifier, Data, Regressor
from tests.graphs.learners.test_graph_classifier import shapes
from tests.graphs.learners.test_node_classifier import cliques, targets
from tests.learners import Quadratic

EXAMPLES = np.random.default_rng(0).normal(size=(20, 3)) * [1, 5, 0.1] + [9, 0, 1]
LABELS = np.arange(20) % 3
NETWORK = MLP(hidden_sizes=(4,), norm="batch", dropout=0.1)


def begun(learner: Learner) -> Trained:
    """Return a member with weights drawn by NumPy: saving does not ask how good it is."""
    learner.check()  # makes the environment of an agent, which cannot be made inside a program
    template = eqx.filter_eval_shape(lambda key: learner.model(learner.init(key)), jax.random.key(0))
    rng = np.random.default_rng(2)
    drawn = {
        name: rng.normal(size=x.shape).astype(x.dtype) if x.dtype == np.float32 else np.ones(x.shape, x.dtype)
        for name, x in weights.entries(template)
    }
    drawn |= {name: abs(x) for name, x in drawn.items() if name.endswith(("variance", "count", "rate"))}
    return Trained(Member(3, 1, 7), {"learning_rate": 0.5}, learner, weights.filled(template, drawn))


def classifier(**settings: Any) -> Classifier:
    data = Data.from_classes(EXAMPLES, LABELS, names=("a", "b", "c"))
    return Classifier(data, **({"network": NETWORK, "learning_rate": 1e-2} | settings))


def again(trained: Trained, folder: Path, learner: Learner | None = None) -> Trained:
    """Return the member as it comes back from disk, having checked that its model and settings did."""
    assert trained.save(folder / "member") == folder / "member"
    found = load_trained(folder / "member", learner)
    assert (found.member, found.setting) == (trained.member, trained.setting)
    assert found.weights().keys() == trained.weights().keys()
    for name, x in trained.weights().items():
        assert (found.weights()[name].dtype, found.weights()[name].tobytes()) == (x.dtype, x.tobytes()), name
    return found


def test_a_classifier_comes_back_without_its_data(tmp_path):
    trained = begun(classifier())
    found = again(trained, tmp_path)
    fresh = EXAMPLES + 0.5
    probabilities = found.predict_proba(fresh)
    assert probabilities.tobytes() == trained.predict_proba(fresh).tobytes()
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-6)
    classes = found.predict(fresh)
    np.testing.assert_array_equal(classes, probabilities.argmax(1))
    np.testing.assert_array_equal(classes, trained.predict(fresh))
    assert isinstance(found.learner, Classifier)
    assert found.learner.data is not None
    assert (len(found.learner.data.x), found.learner.data.names) == (0, ("a", "b", "c"))
    with pytest.raises(UsageError, match=r"x has examples of shape \(2,\); expected \(3,\)"):
        found.predict(np.zeros((4, 2)))
    with pytest.raises(UsageError, match="x must be an array, a data frame or lists, got NoneType"):
        found.predict()
    with pytest.raises(UsageError, match="the data that the member was trained on are not saved with it"):
        found.visualize()


def test_a_regressor_comes_back_in_the_units_of_y(tmp_path):
    y = np.stack([EXAMPLES[:, 0] * 1e3 + 1e9, EXAMPLES[:, 1]], 1)
    trained = begun(Regressor(Data.from_targets(EXAMPLES, y), network=MLP(hidden_sizes=())))
    found = again(trained, tmp_path)
    said = found.predict(EXAMPLES)
    assert (said.shape, said.dtype) == ((20, 2), np.float64)
    assert said.tobytes() == trained.predict(EXAMPLES).tobytes()
    assert abs(said[:, 0] - 1e9).max() < 1e5
    with pytest.raises(UsageError, match="Regressor predicts no classes, so there are no probabilities"):
        found.predict_proba(EXAMPLES)


def test_an_image_classifier_comes_back(tmp_path):
    network = CNN(channels=(2,), kernel=3, hidden_sizes=())
    trained = begun(ImageClassifier(dataset="digits", network=network).load_data())
    pictures = np.random.default_rng(1).integers(0, 17, (5, 8, 8, 1)).astype(np.uint8)
    found = again(trained, tmp_path)
    assert found.predict_proba(pictures).tobytes() == trained.predict_proba(pictures).tobytes()
    assert found.predict(pictures).shape == (5,)


AGENTS = {
    "dqn": DQN(hidden_sizes=(8,), dueling=True, distribution="c51"),
    "ppo": PPO(env="Pendulum-v1", hidden_sizes=(8,), normalize_observations=True),
    "tabular": Tabular(),
    "binned": Tabular(env="MountainCar-v0", bins=(4, 5)),
}


@pytest.mark.parametrize("name", AGENTS)
def test_agents_act_as_before(name, tmp_path):
    trained = begun(AGENTS[name])
    found = again(trained, tmp_path)
    space = np.random.default_rng(3).normal(size=(50, 4)).astype(np.float32)
    seen = {
        "dqn": space, "ppo": space[:, :3], "tabular": np.arange(16), "binned": space[:, :2] * [0.5, 0.02]
    }[name]  # fmt: skip
    actions = found.predict(seen)
    assert actions.tobytes() == trained.predict(seen).tobytes() == np.asarray(trained.policy(seen)).tobytes()
    assert len(np.unique(actions)) > 1
    assert found.predict(seen[0]).shape == trained.policy(seen[0]).shape
    with pytest.raises(UsageError, match="predicts no classes"):
        found.predict_proba(seen)


@pytest.mark.parametrize("kind", [NodeClassifier, MultiLabelNodeClassifier, NodeRegressor])
def test_learners_of_nodes_need_their_graph_again(kind, tmp_path):
    graph = cliques() if kind is NodeClassifier else targets()
    graph = graph.with_split([0, 1, 12, 13], [2, 4, 10, 11], [5, 6, 7, 8])
    trained = begun(kind.of(graph, network=GCN(hidden_sizes=(4,))))
    found = again(trained, tmp_path)
    with pytest.raises(UsageError, match=rf"a {kind.__name__} needs its graph again: predict\(graph\)"):
        found.predict()
    said = found.predict(graph)
    assert said.tobytes() == trained.predict().tobytes() == trained.predict(graph).tobytes()
    assert said.shape == ((14,) if kind is NodeClassifier else (14, 2))
    if kind is NodeRegressor:
        with pytest.raises(UsageError, match="predicts no classes"):
            found.predict_proba(graph)
    else:
        assert found.predict_proba(graph).tobytes() == trained.predict_proba().tobytes()
        assert set(np.unique(said)) <= {0, 1}
    with pytest.raises(UsageError, match="cliques has 2 features a node, the network takes 14"):
        found.predict(graph.with_features(np.ones((14, 2))))


@pytest.mark.parametrize("kind", [GraphClassifier, GraphRegressor])
def test_learners_of_graphs_predict_others(kind, tmp_path):
    graphs = shapes()
    if kind is GraphRegressor:
        graphs = eqx.tree_at(lambda d: d.y, graphs, np.arange(40, dtype=np.float32)[:, None])
        graphs = eqx.tree_at(lambda d: d.names, graphs, ()) if graphs.names else graphs
    learner = kind(data=graphs, network=GraphGIN(hidden_channels=4, layers=1)).load_data().for_seed(2)
    trained = begun(learner)
    found = again(trained, tmp_path)
    said = found.predict(graphs)
    assert said.tobytes() == trained.predict().tobytes()
    assert said.shape == ((40,) if kind is GraphClassifier else (40, 1))
    with pytest.raises(UsageError, match="the graphs that the member was trained on are not saved with it"):
        found.predict()


def test_a_member_of_a_run_acts_as_before(finished, tmp_path):
    trained = Run.load(finished).best()
    found = again(trained, tmp_path)
    seen = np.random.default_rng(0).normal(size=(200, 4)).astype(np.float32)
    assert found.policy(seen).tobytes() == trained.policy(seen).tobytes()
    assert found.setting == trained.setting != {}
    note = json.loads((tmp_path / "member" / SETTINGS).read_text())
    assert note["learner"]["kind"] == "populace.rl.agents.dqn:DQN"
    assert note["learner"]["learning_rate"] == trained.setting["learning_rate"]  # 0.001, not 0.0010000000475


def test_what_makes_no_predictions_says_so(tmp_path):
    found = again(begun(Bandit()), tmp_path)
    with pytest.raises(UsageError, match=r"Bandit makes no predictions; its trained model is `.model`"):
        found.predict(0)


def test_code_that_is_not_ours_must_be_given(tmp_path):
    own = begun(Quadratic(learning_rate=0.3))
    own.save(tmp_path / "own")
    with pytest.raises(
        UsageError, match=r"trained by 'tests.learners:Quadratic', .*learner=Quadratic\(...\)\)"
    ):
        load_trained(tmp_path / "own")
    found = load_trained(tmp_path / "own", Quadratic(learning_rate=0.3))
    assert found.weights()["weights"].tobytes() == own.weights()["weights"].tobytes()
    with pytest.raises(UsageError, match=r"was saved with learning_rate 0.3, the learner has 0.1; give"):
        load_trained(tmp_path / "own", Quadratic())
    with pytest.raises(UsageError, match=r"was saved by 'tests.learners:Quadratic', not by a DQN"):
        load_trained(tmp_path / "own", DQN())
    env = "populace.rl.environments.worlds.line_world:LineWorld"
    begun(DQN(env=env, hidden_sizes=(4,))).save(tmp_path / "env")
    assert load_trained(tmp_path / "env").predict(np.zeros(10, np.float32)).shape == ()  # it is populace's
    note = json.loads((tmp_path / "env" / SETTINGS).read_text())
    note["learner"]["env"] = "antigravity:Env"  # by whoever wants a module imported
    del note["sha256"]
    note["sha256"] = saved_member._digest(note)
    (tmp_path / "env" / SETTINGS).write_text(json.dumps(note))
    with pytest.raises(
        UsageError, match="needs code that is no part of populace, 'antigravity:Env'; if you trust it"
    ):
        load_trained(tmp_path / "env")
    assert "antigravity" not in sys.modules
    begun(DQN(env=env, hidden_sizes=(4,))).save(tmp_path / "env", overwrite=True)
    found = load_trained(tmp_path / "env", DQN(env=env, hidden_sizes=(4,)))
    assert found.predict(np.zeros(10, np.float32)).shape == ()


def test_a_network_of_your_own_must_be_given(tmp_path):
    def own(inputs: Any, outputs: int, key: jax.Array) -> Any:
        return eqx.nn.Linear(inputs[0], outputs, key=key)

    trained = begun(classifier(network_fn=own))
    trained.save(tmp_path / "m")
    with pytest.raises(
        UsageError, match=r"has a network of your own; give it: load_trained\(path, Classifier\(n"
    ):
        load_trained(tmp_path / "m")
    given = Classifier(network_fn=own, network=NETWORK, learning_rate=1e-2)
    assert (
        load_trained(tmp_path / "m", given).predict(EXAMPLES).tolist() == trained.predict(EXAMPLES).tolist()
    )


def test_an_optimizer_of_your_own_must_be_known(tmp_path):
    class Own(Adam):
        kind: ClassVar[str] = "own"

    begun(classifier(optimizer=Own())).save(tmp_path / "m")
    note = json.loads((tmp_path / "m" / SETTINGS).read_text())
    assert note["learner"]["optimizer"]["kind"] == "own"
    assert load_trained(tmp_path / "m").predict(EXAMPLES).shape == (20,)  # this process knows the kind
    note["learner"]["optimizer"]["kind"] = "elsewhere"
    del note["sha256"]
    note["sha256"] = saved_member._digest(note)
    (tmp_path / "m" / SETTINGS).write_text(json.dumps(note))
    with pytest.raises(UsageError, match=r"cannot make the learner .*unknown kind 'elsewhere' of optimizer"):
        load_trained(tmp_path / "m")


def test_weights_of_another_kind_are_named():
    trained = begun(classifier())
    tensors = trained.weights()
    name = "layers.1.weight"
    with pytest.raises(UsageError, match=rf"tensor '{name}' has shape \(3, 4\), expected \(4, 3\)"):
        trained.with_weights(tensors | {name: tensors[name].T})
    zero = trained.with_weights({k: np.zeros_like(x) for k, x in tensors.items()})
    np.testing.assert_allclose(zero.predict_proba(EXAMPLES), 1 / 3, rtol=1e-6)


def test_a_folder_is_not_written_over(tmp_path):
    trained = begun(classifier())
    trained.save(tmp_path / "m")
    with pytest.raises(UsageError, match="holds a saved member; overwrite=True replaces it"):
        trained.save(tmp_path / "m")
    trained.save(tmp_path / "m", overwrite=True)
    (tmp_path / "m" / "thesis.tex").write_text("")
    with pytest.raises(UsageError, match=r"contains 'thesis.tex', which no saved member has; choose another"):
        trained.save(tmp_path / "m", overwrite=True)
    with pytest.raises(UsageError, match="is a file; choose a folder"):
        trained.save(tmp_path / "m" / "thesis.tex")


def test_files_that_are_damaged_foreign_or_changed_are_refused(tmp_path, finished):
    folder = begun(classifier()).save(tmp_path / "m")
    settings, content = (folder / SETTINGS).read_text(), (folder / WEIGHTS).read_bytes()

    def refused(line: str, path: Path = folder) -> None:
        with pytest.raises(UsageError, match=line) as caught:
            load_trained(path)
        assert "\n" not in str(caught.value)
        (folder / SETTINGS).write_text(settings)
        (folder / WEIGHTS).write_bytes(content)

    refused("no saved member at '.*gone': there is no such folder", tmp_path / "gone")
    refused("holds no saved member; it is a run folder: populace.Run.load opens it", finished)
    refused("holds no saved member; it has no member.json", tmp_path)
    for text in (settings[:100], "[]", "{}", ""):
        (folder / SETTINGS).write_text(text)
        refused("member.json' is damaged or no file of populace; save the member again")
    for change in ({"learner": 3}, {"learner": {"kind": 3}}, {"member": [1]}, {"values": "none"}):
        note = {k: v for k, v in json.loads(settings).items() if k != "sha256"} | change
        note["sha256"] = saved_member._digest(note)
        (folder / SETTINGS).write_text(json.dumps(note))
        refused("member.json' is damaged or no file of populace; save the member again")
    (folder / SETTINGS).write_text(settings.replace('"batch_size": 128', '"batch_size": 64'))
    refused("member.json' was changed or damaged; save the member again")
    (folder / SETTINGS).write_text(settings.replace('"format": 1', '"format": 9'))
    refused(rf"has format 9, this version of populace reads 1; .* wrote it, {version()}")
    for other in (content[:-1], content + b"x", b"", b"PK\x03\x04", content.replace(b"F32", b"I32")):
        (folder / WEIGHTS).write_bytes(other)
        refused("weights.safetensors' is not the file that was saved; save the member again")
    (folder / WEIGHTS).unlink()
    refused("cannot read '.*weights.safetensors': No such file or directory")
    assert load_trained(folder).predict(EXAMPLES).shape == (20,)
