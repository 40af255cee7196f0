"""Networks and losses of the user's own over nodes and over graphs: learned with, and resumed exactly."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from populace.core.errors import UsageError
from populace.core.model.signature import Signature
from populace.core.population import sweep
from populace.graphs.data.batch import Batch
from populace.graphs.learners.graph_classifier import GraphClassifier
from populace.graphs.learners.node_classifier import NodeClassifier, NodeRegressor
from populace.nn.graph.graph_conv import GraphConv
from populace.runs.run import Run
from tests import harness
from tests.graphs.learners.test_graph_classifier import shapes
from tests.graphs.learners.test_node_classifier import cliques, targets


class TwoHops(eqx.Module):
    """A layer over two hops, and a dense one."""

    conv: GraphConv
    dense: eqx.nn.Linear

    def __init__(self, inputs: int, outputs: int, key: Any) -> None:
        first, second = jax.random.split(key)
        self.conv = GraphConv(inputs, 8, hops=2, key=first)
        self.dense = eqx.nn.Linear(8, outputs, key=second)

    def __call__(self, x: Any, edges: Any, weight: Any, *, key: Any = None) -> jax.Array:
        del key
        return jax.vmap(self.dense)(jnp.tanh(self.conv(x, edges, weight)))


class Pooled(eqx.Module):
    """Sums over the nodes of a graph of a layer over their neighbors."""

    conv: GraphConv
    dense: eqx.nn.Linear

    def __init__(self, inputs: int, outputs: int, key: Any) -> None:
        first, second = jax.random.split(key)
        self.conv = GraphConv(inputs, 8, key=first)
        self.dense = eqx.nn.Linear(16, outputs, key=second)

    def __call__(self, batch: Batch) -> jax.Array:
        h = jax.nn.relu(self.conv(batch.x, batch.edges))
        return jax.vmap(self.dense)(jnp.concatenate([batch.readout(h, "mean"), batch.readout(h, "max")], 1))


def hinge(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Return how far the label's logit is from being one above every other."""
    chosen = jax.nn.one_hot(labels, logits.shape[-1])
    own = jnp.sum(chosen * logits, -1)
    return jax.nn.relu(1 + jnp.max(jnp.where(chosen > 0, -jnp.inf, logits), -1) - own)


def score(folder: Any, learner: Any) -> float:
    return Run.load(folder / "whole", learner).results()["settings"][0]["test"]["iqm"][0]


def test_nodes(tmp_path):
    graph = cliques().with_split([0, 13], [1, 12], range(2, 12))
    learner = NodeClassifier.of(graph, network_fn=TwoHops, loss_fn=hinge, l2_layers="all", learning_rate=0.03)
    harness.check_resume_is_exact(sweep(learner, seeds=2), 60, tmp_path)
    assert score(tmp_path, learner) >= 0.9


def test_graphs(tmp_path):
    learner = GraphClassifier(
        data=shapes(), folds=4, batch_size=8, network_fn=Pooled, loss_fn=hinge, learning_rate=0.03
    )
    harness.check_resume_is_exact(sweep(learner, seeds=2), 60, tmp_path)
    assert score(tmp_path, learner) > 0.9


def test_the_penalty_asks_which_layer_is_the_first():
    learner = NodeClassifier.of(cliques(), network_fn=TwoHops)
    with pytest.raises(UsageError, match="l2_layers = first needs a network with `layers`; TwoHops has none"):
        Signature(sweep(learner).groups[0].learner)


def test_a_loss_of_numbers_is_asked_of_each_and_gaps_do_not_count():
    learner = NodeRegressor.of(targets(), loss_fn=optax.huber_loss)
    part = np.ones(learner.graph.nodes, np.int32)
    objective = learner.objective(part)
    y = np.asarray(learner.graph.y)
    known = np.isfinite(y)
    z = ((y - np.asarray(objective.mean)) / np.asarray(objective.deviation))[known]
    found = objective.loss(np.zeros(y.shape, np.float32), jnp.asarray(y), np.ones(len(y), np.float32))
    expected = np.where(np.abs(z) <= 1, z**2 / 2, np.abs(z) - 0.5)
    assert float(found.value) == pytest.approx(expected.mean(), rel=1e-5)
