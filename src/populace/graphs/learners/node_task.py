"""NodeTask: a graph some of whose nodes are known, how it is split, and what is said of its nodes."""

import dataclasses
from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from populace.core.errors import UsageError
from populace.core.settings import setting
from populace.graphs.data.graph import Graph
from populace.graphs.data.labels import PARTS, named
from populace.graphs.datasets.registry import normalized_graph
from populace.graphs.learners import inference
from populace.graphs.learners.graph_task import GraphTask
from populace.graphs.learners.objective import Objective
from populace.graphs.learners.preparation import prepared
from populace.graphs.models.node_network import on_graph
from populace.graphs.models.node_networks import GCN, NodeNetworkConfig
from populace.graphs.splits.member_split import RandomSplit, nodes_in
from populace.nn.primitives.buffer import Buffer

if TYPE_CHECKING:
    from populace.graphs.plots.explain import Explanation


class Model(eqx.Module):
    """A network, and which part each node is in: 1 train, 2 validation, 3 test, 0 none."""

    network: Any
    part: Buffer


class NodeTask(GraphTask):
    """A graph, the nodes of each part, and predictions of a network for them."""

    graph: Graph | None = None
    """The graph, normalized as the network asks; [`of`][populace.graphs.learners.node_learner.NodeLearner.of]
    and `load_data` prepare it."""
    given: Graph | None = None
    """Its edges and weights as they were given, for a network that asks for another normalization."""
    restored: bool = eqx.field(default=False, static=True)
    """Whether it was loaded to predict, without its graph."""
    dataset: str = setting("karate", help="karate, cora, another Planetoid set, or one of OGB's: ogbn-arxiv")
    split: str = setting(
        "public", choices=("public", "random", "per-class"),
        help="the data set's own, or drawn by each seed: so many training nodes in all, or of each class",
    )  # fmt: skip
    train_nodes: int = setting(140, low=1, help="training nodes of a random split, in all or of each class")
    validation_nodes: int = setting(500, low=0, help="validation nodes of a random split")
    test_nodes: int = setting(1000, low=0, help="test nodes of a random split; 0 for all that are left")
    normalize_features: bool = setting(True, help="divide a node's features by their sum")
    network: NodeNetworkConfig = setting(GCN(), help="network, unless a network_fn is given in Python")

    @property
    def task_name(self) -> str:
        """The data set and its split; empty where the graph was given in Python."""
        if self.graph is not None:
            return ""
        drawn = f", {self.train_nodes} training nodes" if self.split != "public" else ""
        return f"{self.dataset}, {self.split} split{drawn}"

    def load_data(self) -> Self:
        """Return the learner with its graph, loaded and normalized once for all members."""
        how = self.network.normalization
        if self.graph is None:
            graph = normalized_graph(self.dataset, self.normalize_features, how)
        elif self.given is not None and self.graph.normalization != how:  # a sweep over networks
            graph = prepared(self.graph, self.given, how)
        else:
            return self
        return dataclasses.replace(self, graph=graph)

    @classmethod
    def of(cls, graph: Graph, **settings: Any) -> Self:
        """Return a learner of a graph of the user's own, which is normalized as the network asks."""
        if not isinstance(graph, Graph):
            raise UsageError(
                f"{cls.__name__}.of takes a Graph of populace.graphs, got {type(graph).__name__}; "
                "convert it first, such as with convert.from_networkx"
            )
        learner = cls(**settings)
        whole = named(graph.normalized(learner.network.normalization))
        given = None if graph.normalization else graph.with_features(None).with_split(None).with_labels(None)
        return dataclasses.replace(learner, graph=whole, given=given)

    def check(self) -> None:
        """Raise a `UsageError` where graph, labels and split do not fit, once the graph is there."""
        if (split := self.evaluation_split) not in PARTS:
            raise UsageError(f"evaluation_split must be {', '.join(PARTS)}, got {split!r}")
        if self.graph is None:
            return
        graph, how = self.graph, self.network.normalization
        if graph.normalization != how and self.given is None:
            found = f"normalized as '{graph.normalization}'" if graph.normalization else "as it was given"
            raise UsageError(
                f"{graph.name} is {found}, but the network takes normalized('{how}'); "
                f"{type(self).__name__}.of(graph, ...) prepares it"
            )
        if graph.x is None:
            raise UsageError(f"{graph.name} has no features; give it some, such as numpy.eye(nodes)")
        self.check_labels(graph)
        self.check_weights(graph, "node")
        if self.split == "public":
            if graph.train is None:
                raise UsageError(
                    f"{graph.name} has no split; give it one with with_split, or set split = random"
                )
        else:
            self._drawn.check(graph)

    @abstractmethod
    def check_labels(self, graph: Graph) -> None:
        """Raise a `UsageError` where what is known of the nodes is not what this learner learns."""

    @abstractmethod
    def objective(self, part: jax.Array) -> Objective:
        """Return the loss and the metrics, given the split each node is in."""

    def objective_of(self, model: Model) -> Objective:
        """Return the loss and the metrics of a model, by its own split."""
        return self.objective(model.part.value)

    def test_description(self, size: int) -> str:
        """Return in words which nodes the final evaluation looks at."""
        del size
        if self.split == "public":
            return f"the {len(nodes_in(self._graph, 'test')):,} test nodes"
        return f"{self.test_nodes:,} test nodes drawn by each seed" if self.test_nodes else "all other nodes"

    def finished(self, model: Model, data: Graph | None) -> np.ndarray:
        """Return what is said of every node: probabilities (N, K), or numbers (N, K)."""
        outputs = eqx.filter_jit(self._on(data)._outputs)(model.network, None)
        return np.asarray(self.objective_of(model).finish(outputs))

    def explained(
        self, model: Model, index: int | str, data: Graph | None, output: int | None
    ) -> "Explanation":
        """Return what an output for one node, by its number or name, hangs on."""
        from populace.graphs.plots import explain

        return explain.explained(self._on(data)._graph, model.network, index, output)

    def rows(self, data: Graph | None) -> tuple[str, list[Any]]:
        """Return that a row is a node, and the names of the nodes, or else their numbers."""
        graph = self._on(data)._graph
        return "node", list(graph.node_names or range(graph.nodes))

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes; empty where there are labels or numbers."""
        return self._graph.names if self._graph.classes else ()

    def inference_data(self, model: Model) -> dict[str, Any]:
        """Return widths, names of the classes, and the scale of numbers; the graph must be given again."""
        kept = inference.described(self._graph, self.objective_of(model))
        return {"nodes": self._graph.nodes, **kept}

    def with_inference_data(self, kept: Mapping[str, Any]) -> Self:
        """Return the learner ready to predict the nodes of a graph that is given again."""
        graph = inference.graph_like(kept, kept["nodes"], self.network.normalization)
        return dataclasses.replace(self, graph=graph, restored=True, scale=inference.scale_of(kept))

    @property
    def _graph(self) -> Graph:
        if self.graph is None:
            name = type(self).__name__
            raise UsageError(f"{name} has no graph; make it with {name}.of(graph, ...)")
        return self.graph

    def _on(self, graph: Graph | None) -> Self:
        """Return the learner on another graph, which is normalized as the network asks; None for its own."""
        if graph is None:
            if self.restored:
                raise UsageError(f"a {type(self).__name__} needs its graph again: predict(graph)")
            return self
        if not isinstance(graph, Graph):
            raise UsageError(f"expected a Graph of populace.graphs, got {type(graph).__name__}")
        width, found = self._graph.x.shape[1], 0 if graph.x is None else graph.x.shape[1]
        if found != width:
            raise UsageError(f"{graph.name} has {found} features a node, the network takes {width}")
        self.check_edge_inputs(graph, self._graph)
        return dataclasses.replace(self, graph=graph.normalized(self.network.normalization))

    @property
    def _drawn(self) -> RandomSplit:
        sizes = self.train_nodes, self.validation_nodes, self.test_nodes
        return RandomSplit(self.split == "per-class", *sizes)

    def _outputs(self, network: Any, key: jax.Array | None) -> jax.Array:
        graph = self._graph
        x = jnp.asarray(graph.x) if isinstance(graph.x, np.ndarray) else graph.x
        return on_graph(network, x, graph, key)
