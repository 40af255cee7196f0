"""Weights of nodes, graphs and classes: in the loss alone, as scikit-learn has them."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.utils.class_weight import compute_sample_weight

from populace.core.errors import UsageError
from populace.graphs.learners.graph_classifier import GraphClassifier
from populace.graphs.learners.node_classifier import NodeClassifier, NodeRegressor
from populace.graphs.learners.objective import MultiLabel, Regression
from populace.graphs.learners.weighting import balanced
from populace.graphs.models.graph_networks import GraphGIN
from populace.graphs.models.node_networks import SGC
from tests.graphs.learners.test_graph_classifier import SMALL, shapes
from tests.graphs.learners.test_node_classifier import cliques, targets


def test_balanced_classes_count_alike() -> None:
    y = np.array([0, 0, 0, 2, 2, 0, -1, 1, 2])
    training = np.array([1, 1, 1, 1, 0, 1, 0, 0, 0], bool)  # none of class 1
    found = np.asarray(jax.jit(balanced, static_argnums=2)(y, training, 3))
    np.testing.assert_allclose(found[training], compute_sample_weight("balanced", y[training]), rtol=1e-6)
    assert np.isfinite(found).all()
    assert found[7] == 0


def test_the_loss_of_nodes_is_a_weighted_mean() -> None:
    graph = cliques().with_split([0, 1, 2, 13], [3], [4])
    given = np.linspace(0, 3, 14)
    learner = NodeClassifier.of(graph, network=SGC(), sample_weight=given, class_weight="balanced", l2=0.0)
    learner.check()

    @eqx.filter_jit
    def stepped(learner):
        state = learner.init(jax.random.key(0))
        _, found = learner.step(state, jax.random.key(1))
        return found, learner._outputs(state.model.network, None)

    found, outputs = jax.device_get(stepped(learner))
    each = -np.asarray(jax.nn.log_softmax(outputs))[np.arange(14), graph.y]
    weight = given[graph.train] * compute_sample_weight("balanced", graph.y[graph.train])
    np.testing.assert_allclose(found["loss"].value, np.average(each[graph.train], weights=weight), rtol=1e-5)
    right = outputs.argmax(1) == graph.y
    np.testing.assert_allclose(found["accuracy"].value, right[graph.train].mean(), rtol=1e-6)


def test_the_loss_of_a_batch_of_graphs_is_a_weighted_mean() -> None:
    data = shapes().with_split([*range(6), 20, 21], range(6, 12), range(22, 28))
    given = np.linspace(0.1, 4, 40)
    learner = GraphClassifier(
        data=data, network=GraphGIN(layers=1, hidden_channels=4, dropout=0.0), protocol="split", batch_size=8,
        sample_weight=given, class_weight="balanced",
    ).load_data()  # fmt: skip
    learner.check()

    @eqx.filter_jit
    def stepped(learner):
        state = learner.on_epoch_start(learner.init(jax.random.key(0)), jax.random.key(1))
        batch = learner._data.batch(state.order, learner.batch_shapes[0])
        outputs, _ = state.network.learn(batch, jax.random.key(2))
        _, found = learner.step(state, jax.random.key(2))
        return state.order, found["loss"], outputs

    order, loss, outputs = jax.device_get(stepped(learner))
    each = -np.asarray(jax.nn.log_softmax(outputs))[np.arange(8), data.y[order]]
    weight = given[order] * compute_sample_weight("balanced", data.y[order])
    np.testing.assert_allclose(loss.value, np.average(each, weights=weight), rtol=1e-4)


@pytest.mark.parametrize("kind", [MultiLabel, Regression])
def test_losses_of_labels_and_numbers_are_weighted_means(kind) -> None:
    y = np.array([[1, 0], [0, np.nan], [1, 1]], np.float32)
    outputs = np.random.default_rng(0).normal(size=(3, 2)).astype(np.float32)
    weight = np.float32([0.5, 3, 0])
    objective = MultiLabel(2) if kind is MultiLabel else Regression(jnp.zeros(2), jnp.ones(2))
    loss = jax.jit(lambda *given: objective.loss(*given).value)(outputs, y, weight)
    if kind is MultiLabel:
        each = np.logaddexp(0, np.where(y == 1, -outputs, outputs))
    else:
        each = (outputs - np.nan_to_num(y)) ** 2
    share = np.isfinite(y) * weight[:, None]
    np.testing.assert_allclose(loss, np.average(each, weights=share), rtol=1e-5)


def test_weights_that_do_not_do_are_refused() -> None:
    graph = cliques()
    ones = np.ones(14)
    for given, words in (
        (ones[1:], r"sample_weight has shape \(13,\), expected \(14,\), one for each node"),
        (-ones, "sample_weight of node 0 is -1.0; expected 0 or more"),
        (np.where(np.arange(14) == 3, np.nan, 1), "sample_weight of node 3 is nan; expected 0 or more"),
        ((np.arange(14) % 13 > 0).astype(float), "sample_weight is 0 for all training nodes of cliques"),
        (["much"] * 14, "sample_weight must be numbers"),
    ):
        with pytest.raises(UsageError, match=words):
            NodeClassifier.of(graph, sample_weight=given).check()
    with pytest.raises(UsageError, match=r"shape \(3,\), expected \(40,\), one for each graph"):
        GraphClassifier(data=shapes(), sample_weight=[1.0, 2.0, 3.0], **SMALL).check()
    with pytest.raises(TypeError, match="class_weight"):
        NodeRegressor.of(targets(), class_weight="balanced")
