"""The graph of a model: its layers, and what each hears from."""

import equinox as eqx
import jax
import pytest

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
from populace.runs.tensorboard.model_graph import model_graph
from tests.graphs.learners.test_graph_classifier import shapes
from tests.graphs.learners.test_node_classifier import cliques

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
