"""GraphSetTask: graphs that are known each, the folds or parts they are in, and what is said of them."""

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
from populace.graphs.data.batch import BatchShape
from populace.graphs.data.graph_set import GraphSet
from populace.graphs.learners import inference
from populace.graphs.learners.graph_task import GraphTask
from populace.graphs.learners.objective import Objective
from populace.graphs.models.graph_networks import GraphGIN, GraphNetworkConfig
from populace.graphs.splits.cross_validation import PROTOCOLS, CrossValidation

if TYPE_CHECKING:
    from populace.graphs.plots.explain import Explanation

AT_A_TIME = 256
"""Graphs that are evaluated at once: a part may be too large for one batch."""


class GraphSetTask(GraphTask):
    """A set of graphs, which of them a member is tested on, and predictions of a network for them."""

    data: GraphSet | None = None
    fold: float = 0.0
    """The fold that is tested: a number of its own for each member, and no setting."""
    division: CrossValidation | None = None
    """Which graphs are in which fold or part; made by `load_data`."""
    batch_shapes: tuple[BatchShape, ...] = eqx.field(default=(), static=True)
    """What a training batch, and what is evaluated at a time, fits into."""

    dataset: str = setting("MUTAG", help="name of a TUDataset or of OGB's, such as ogbg-molhiv; docs/data.md")
    protocol: str = setting(
        "nested", choices=PROTOCOLS,
        help="what the tested fold is used for; split takes the set's own parts instead",
    )  # fmt: skip
    folds: int = setting(10, low=3, help="parts that the graphs are divided into")
    network: GraphNetworkConfig = setting(GraphGIN(), help="network, unless a network_fn is given in Python")

    @property
    def task_name(self) -> str:
        """The data set and the protocol; empty where the graphs were given in Python."""
        return f"{self.dataset}, {self.protocol}" if self.data is None else ""

    def for_seed(self, seed: int) -> Self:
        """Return the learner that tests the fold of a seed; a set's own split is the same for all."""
        if self.protocol == "split":
            return self
        return dataclasses.replace(self, fold=float(seed % self.folds))

    @abstractmethod
    def check_labels(self, data: GraphSet) -> None:
        """Raise a `UsageError` where what is known of the graphs is not what this learner learns."""

    def check_part(self, y: np.ndarray, called: str) -> None:
        """Raise a `UsageError` where graphs with these labels cannot be scored."""
        del y, called

    @property
    @abstractmethod
    def objective(self) -> Objective:
        """The loss and the metrics."""

    def objective_of(self, model: Any) -> Objective:
        """Return the loss and the metrics, the same for every model."""
        del model
        return self.objective

    @property
    def independent_test(self) -> bool:
        """Whether the tested fold chose no epoch, as it does under `gin`."""
        return self.protocol != "gin"

    @property
    def test_to_train(self) -> float:
        """Graphs of the tested fold over those of the others; 0 for the set's own split."""
        return 0.0 if self.protocol == "split" else 1 / (self.folds - 1)

    def test_description(self, size: int) -> str:
        """Return in words which graphs the final evaluation looks at."""
        del size
        if self.protocol == "split":
            return f"the {self._parts.sizes[2]:,} test graphs"
        fold = f"each member's tested fold of {self.folds}"
        return fold if self.protocol == "nested" else f"{fold}, by which its epoch was chosen too"

    def finished(self, model: Any, data: GraphSet | None) -> np.ndarray:
        """Return what a network says of every graph: probabilities (G, K), or numbers (G, K)."""
        data = self._given(data)
        room = data.batch_shape(min(AT_A_TIME, data.graphs))
        outputs = eqx.filter_jit(self._outputs)(model, data, jnp.arange(data.graphs), room)
        return np.asarray(self.objective.finish(outputs))

    def explained(self, model: Any, index: int, data: GraphSet | None, output: int | None) -> "Explanation":
        """Return what an output for one graph, by its number, hangs on."""
        from populace.graphs.plots import explain

        return explain.explained_graph(self._given(data), model, index, output)

    def rows(self, data: GraphSet | None) -> tuple[str, list[Any]]:
        """Return that a row is a graph, and the numbers of the graphs."""
        return "graph", list(range(self._given(data).graphs))

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes; empty where there are labels or numbers."""
        return self._data.names if self._data.classes else ()

    def inference_data(self, model: Any) -> dict[str, Any]:
        """Return widths, names of the classes, and the scale of numbers."""
        del model
        return inference.described(self._data, self.objective)

    def with_inference_data(self, kept: Mapping[str, Any]) -> Self:
        """Return the learner ready to predict, with a set of no graphs."""
        folds = CrossValidation(np.zeros(0, np.int32), (0,) * self.folds, self.protocol)
        data, shape = inference.set_like(kept), BatchShape(1, 1, 1)
        scale = inference.scale_of(kept)
        return dataclasses.replace(self, data=data, division=folds, batch_shapes=(shape, shape), scale=scale)

    def _given(self, data: GraphSet | None) -> GraphSet:
        """Return the graphs to predict, by default the learner's own, checked to fit the network."""
        data = self._data if data is None else data
        if not isinstance(data, GraphSet):
            got = type(data).__name__
            raise UsageError(f"expected a GraphSet of populace.graphs, got {got}; make one with GraphSet.of")
        if not data.graphs:
            raise UsageError(
                "the graphs that the member was trained on are not saved with it: predict(graphs)"
            )
        if data.x.shape[1] != (width := self._data.x.shape[1]):
            raise UsageError(f"{data.name} has {data.x.shape[1]} features a node, the network takes {width}")
        self.check_edge_inputs(data, self._data)
        return data.with_self_loops() if self.network.self_loops else data

    @property
    def _data(self) -> GraphSet:
        if self.data is None:
            raise UsageError(f"{type(self).__name__} has no graphs; give it data=GraphSet.of(graphs, labels)")
        return self.data

    def _outputs(self, network: Any, data: GraphSet, graphs: jax.Array, room: BatchShape) -> jax.Array:
        """Return what a network says of so many graphs (n, K), as many at a time as the room holds."""
        count = len(graphs)
        if count <= room.graphs:
            graphs = jnp.pad(graphs, (0, room.graphs - count), constant_values=-1)
            return network(data.batch(graphs, room))[:count]
        pieces = jnp.pad(graphs, (0, -count % room.graphs), constant_values=-1).reshape(-1, room.graphs)
        outputs = jax.lax.map(lambda piece: network(data.batch(piece, room)), pieces)
        return outputs.reshape(pieces.size, -1)[:count]

    @property
    def _parts(self) -> CrossValidation:
        if self.division is None:
            raise UsageError(f"{type(self).__name__} has no graphs yet; load_data() loads and divides them")
        return self.division

    def _part(self, which: str) -> jax.Array:
        """Return of each graph whether it is in a part, (G,) bool."""
        return self._parts.part(which, self.fold)
