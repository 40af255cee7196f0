"""Standardized features: by mean and deviation of the training part alone, wherever a network is used."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse

from populace.core.errors import UsageError
from populace.graphs import Graph, GraphSet
from populace.graphs.learners.graph_classifier import GraphClassifier
from populace.graphs.learners.node_classifier import NodeClassifier
from populace.graphs.models.graph_networks import GraphGINE
from populace.graphs.models.node_networks import GAT
from populace.graphs.models.standardized import Scaler, unwrapped
from populace.graphs.plots import explain

DRAWS = np.random.default_rng(0)


def skewed(count: int) -> np.ndarray:
    """Numbers far from zero, a kind of 0 or 1, and a constant whose mean in float32 is another number."""
    numbers = DRAWS.normal(1e4, 3, count)
    return np.stack([numbers, DRAWS.integers(0, 2, count), np.full(count, 97.3)], 1).astype(np.float32)


def moments(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation of the numbers among `skewed`; the others stay as they are."""
    mean, deviation = rows[:, 0].astype(float).mean(), rows[:, 0].astype(float).std()
    return np.array([mean, 0, rows[0, 2]]), np.array([deviation, 1, 1])


def test_a_scaler_looks_at_what_counts_only() -> None:
    x, counted = skewed(50), np.arange(50) % 3 > 0
    x[~counted] *= 5
    found = jax.device_get(jax.jit(Scaler)(x, counted))
    mean, deviation = moments(x[counted])
    np.testing.assert_allclose(found.mean.value, mean, rtol=1e-6)
    np.testing.assert_allclose(found.deviation.value, deviation, rtol=1e-4)
    scaled = (x[counted] - found.mean.value) / found.deviation.value
    np.testing.assert_allclose(scaled[:, 0].std(), 1, rtol=1e-3)
    assert (scaled[:, 2] == 0).all()


def ring(nodes: int) -> Graph:
    here, there = np.arange(nodes), (np.arange(nodes) + 1) % nodes
    ends = np.append(here, there), np.append(there, here)
    return Graph.of(*ends, nodes, x=skewed(nodes), edge_features=skewed(2 * nodes), directed=False)


def test_nodes_are_scaled_by_training_nodes_and_their_edges() -> None:
    graph = ring(12).with_labels(np.arange(12) % 2).with_split([0, 1, 5, 6], [2, 3], [8, 9])
    learner = NodeClassifier.of(graph, network=GAT(hidden_sizes=()), standardize=True)
    model = eqx.filter_jit(learner.init)(jax.random.key(0)).model
    ready, network = learner.graph, model.network
    # Loops that were added have the means of their neighbors, which are neither 0 nor 1.
    into = np.isin(ready.edges.targets, graph.train) & (ready.edges.targets != ready.edges.sources)
    for found, rows in ((network.nodes, graph.x[graph.train]), (network.edges, ready.edge_features[into])):
        mean, deviation = moments(rows)
        np.testing.assert_allclose(found.mean.value, mean, rtol=1e-6)
        np.testing.assert_allclose(found.deviation.value[:2], deviation[:2], rtol=1e-3)
    # What is said is what the network inside says of features that were scaled beforehand.
    whole, inner = unwrapped(ready, network)
    np.testing.assert_allclose(whole.x[graph.train, 0].mean(), 0, atol=1e-3)
    said = eqx.filter_jit(lambda: jax.nn.softmax(inner(whole.x, whole.edges, None, whole.edge_features)))()
    np.testing.assert_allclose(learner.predict_proba(model), said, atol=1e-5)
    share = np.asarray(eqx.filter_jit(inner.layers[0].attention)(whole.x, whole.edges, whole.edge_features))
    np.testing.assert_allclose(explain.attention(ready, network), share.mean(-1), atol=1e-6)


def test_graphs_are_scaled_by_the_training_graphs_of_a_fold() -> None:
    data = GraphSet.of([ring(5 + i % 3) for i in range(20)], np.arange(20) % 2)
    plan = GraphGINE(layers=1, hidden_channels=4)
    learner = GraphClassifier(data=data, network=plan, folds=4, batch_size=4, standardize=True).load_data()

    @jax.jit
    @jax.vmap
    def begun(fold):
        own = dataclasses.replace(learner, fold=fold)
        network = own.init(jax.random.key(0)).network
        batch = network.scaled(data.batch(jnp.array([3, -1]), data.batch_shape(2)))
        found = (batch.x, batch.node_mask), (batch.edge_features, batch.edge_mask)
        return eqx.filter(network, eqx.is_array), own._part("train"), found

    networks, parts, found = jax.device_get(begun(np.float32([0, 3])))
    for k, training in enumerate(parts):
        for scaler, values, offsets in (
            (networks.nodes, data.x, data.node_offsets),
            (networks.edges, data.edge_features, data.edge_offsets),
        ):
            mean, deviation = moments(values[np.repeat(training, np.diff(offsets))])
            np.testing.assert_allclose(scaler.mean.value[k], mean, rtol=1e-6)
            np.testing.assert_allclose(scaler.deviation.value[k, :2], deviation[:2], rtol=1e-3)
    for values, mask in found:
        assert not values[~mask].any()
        assert 0 < np.abs(values).max() < 10


def test_sparse_features_are_not_scaled() -> None:
    graph = ring(12).with_labels(np.arange(12) % 2).with_split([0, 1], [2, 3])
    graph = graph.with_features(scipy.sparse.csr_array(np.eye(12)))
    with pytest.raises(
        UsageError, match="graph has sparse features, which would not stay sparse; set standard"
    ):
        NodeClassifier.of(graph, standardize=True).check()
