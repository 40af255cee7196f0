"""GraphLearner: what is known of each of many graphs, in folds that seeds take turns at, or by a split."""

import dataclasses
from abc import abstractmethod
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, Self

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from populace.core.errors import UsageError
from populace.core.learner import Metrics
from populace.core.settings import setting
from populace.graphs.data.batch import BatchShape
from populace.graphs.data.graph_set import GraphSet
from populace.graphs.data.labels import named
from populace.graphs.datasets.ogb import ogb
from populace.graphs.datasets.tudataset import tudataset
from populace.graphs.learners import inference
from populace.graphs.learners.graph_task import GraphTask
from populace.graphs.learners.objective import Objective, Regression
from populace.graphs.learners.preparation import looped
from populace.graphs.learners.weighting import standardize
from populace.graphs.models.graph_networks import GraphGIN, GraphNetworkConfig
from populace.graphs.models.standardized import Scaler, StandardizedGraphs, learn, scalers
from populace.graphs.splits.cross_validation import PROTOCOLS, CrossValidation
from populace.optim import gradient_step as descent
from populace.optim.optimizers import Adam, Optimizer
from populace.optim.schedules import Schedule, Staircase

if TYPE_CHECKING:
    from populace.graphs.plots.explain import Explanation

AT_A_TIME = 256
"""Graphs that are evaluated at once: a part may be too large for one batch."""


class State(eqx.Module):
    """A network while it trains; `order` holds the training graphs in this epoch's order, -1 for none."""

    network: Any
    opt_state: Any
    order: jax.Array
    count: jax.Array


class GraphLearner(GraphTask):
    """Trains a network on batches of graphs, and evaluates it on those that are held out.

    A step is a batch; every epoch goes through the training graphs in a fresh random order. In folds, the one
    a member is tested on is its seed modulo `folds`: ten seeds are ten folds, twenty are two rounds.

    Protocols:

    - `nested`: the fold before the tested one chooses the epoch, the other eight of ten are trained on, and
      the tested fold is looked at once, at the end.
    - `gin`: nine of ten folds are trained on, and the tested fold is evaluated all along. The paper's number
      is the highest mean over folds at one epoch, found by
      [`best_epoch`][populace.graphs.splits.protocols.best_epoch]. Nothing is held out: it is optimistic.
    - `split`: the set's own parts, the same for every seed: `train`, `validation` to choose the epoch by, and
      `test`, which is looked at once, at the end.
    """

    unit: ClassVar[str] = "graphs"

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
    batch_size: int = setting(32, low=1, help="graphs per step")
    learning_rate: float = descent.learning_rate(0.01)
    optimizer: Optimizer = descent.optimizer(Adam())
    schedule: Schedule = descent.schedule(Staircase(decay=0.5, every=300))
    weight_decay: float = descent.weight_decay()
    max_gradient_norm: float = descent.max_gradient_norm()
    standardize: bool = standardize()

    @property
    def task_name(self) -> str:
        """The data set and the protocol; empty where the graphs were given in Python."""
        return f"{self.dataset}, {self.protocol}" if self.data is None else ""

    def load_data(self) -> Self:
        """Return the learner with its graphs, loaded and divided once for all members."""
        if self.batch_shapes:
            return self
        data = _load(self.dataset) if self.data is None else self.data
        data = named(looped(data) if self.network.self_loops else data)
        self.check_labels(data)
        division = CrossValidation.of(data, self.protocol, self.folds)
        for name, graphs in division.judged():
            self.check_part(data.y[graphs], f"{name} of {data.name}")
        most = min(division.most(training=False), AT_A_TIME)
        batch_shapes = tuple(data.batch_shape(min(count, data.graphs)) for count in (self.batch_size, most))
        return dataclasses.replace(self, data=data, division=division, batch_shapes=batch_shapes)

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

    def check(self) -> None:
        """Raise a `UsageError` where the graphs do not do, once they are there."""
        if self.data is not None:
            self.check_labels(self.data)
            self.check_weights(self.data, "graph")
        if self.batch_shapes and self.batch_size > (most := self._parts.most(training=True)):
            raise UsageError(f"batch_size {self.batch_size} is larger than the {most} graphs to train on")

    @property
    def units_per_step(self) -> int:
        """Graphs per step."""
        return self.batch_size

    @property
    def epoch_steps(self) -> int:
        """Steps per epoch."""
        return -(-self._parts.most(training=True) // self.batch_size)

    # -- training ----------------------------------------------------------------------------------

    def init(self, key: jax.Array) -> State:
        """Return fresh weights; the first order of graphs comes with the first `on_epoch_start`."""
        network = self.build(self._data, self.objective.outputs, key)
        if self.standardize:
            network = StandardizedGraphs(network, *self._scalers())
        order = jnp.zeros(self.epoch_steps * self.batch_size, jnp.int32)
        return State(network, descent.initial_opt_state(self, network), order, jnp.int32(0))

    def on_epoch_start(self, state: State, key: jax.Array) -> State:
        """Shuffle the training graphs for the next epoch."""
        shuffled = jax.random.permutation(key, self._data.graphs)
        wanted = self._part("train")[shuffled]
        order = jnp.where(wanted, shuffled, -1)[jnp.argsort(~wanted, stable=True)]
        room = self.epoch_steps * self.batch_size
        order = jnp.pad(order, (0, max(0, room - len(order))), constant_values=-1)[:room]
        return eqx.tree_at(lambda s: s.order, state, order.astype(jnp.int32))

    def step(self, state: State, key: jax.Array) -> tuple[State, Metrics]:
        """Take one gradient step on the next batch of the epoch."""
        place = (state.count % self.epoch_steps) * self.batch_size
        graphs = jax.lax.dynamic_slice_in_dim(state.order, place, self.batch_size)
        batch = self._data.batch(graphs, self.batch_shapes[0])
        real, objective = batch.present.astype(jnp.float32), self.objective
        weight = real * self.training_weight(self._data.y, self._part("train"))[jnp.maximum(graphs, 0)]

        def loss(network: Any) -> Any:
            outputs, after = learn(network, batch, key)
            mean = objective.loss(outputs, batch.y, weight)
            return mean.total / jnp.where(mean.weight > 0, mean.weight, 1), (mean, outputs, after)

        network, opt_state, _, (mean, outputs, after) = descent.gradient_step(
            self, loss, state.network, state.opt_state, state.count
        )
        network = descent.with_buffers(network, after)
        found = {"loss": mean, **objective.progress(outputs, batch.y, real)}
        return State(network, opt_state, state.order, state.count + 1), found

    def model(self, state: State) -> Any:
        """Return the network."""
        return state.network

    def evaluate(self, state: Any, key: jax.Array) -> Metrics:
        """Return scores and loss on the graphs that are held out; at the end, on the tested fold."""
        del key
        test = self.evaluation_split == "test" or self.protocol == "gin"
        wanted = self._part("test" if test else "validation")
        chosen = jnp.argsort(~wanted, stable=True)[: self._parts.most(training=False)]
        outputs = self._outputs(
            state, self._data, jnp.where(wanted[chosen], chosen, -1), self.batch_shapes[1]
        )
        y, weight = jnp.asarray(self._data.y)[chosen], wanted[chosen].astype(jnp.float32)
        return self.objective.evaluate(outputs, y, weight)

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

    # -- in use ------------------------------------------------------------------------------------

    def finished(self, model: Any, data: GraphSet | None) -> np.ndarray:
        """Return what a network says of every graph: probabilities (G, K), or numbers (G, K)."""
        data = self._given(data)
        room = data.batch_shape(min(AT_A_TIME, data.graphs))
        outputs = eqx.filter_jit(self._outputs)(model, data, jnp.arange(data.graphs), room)
        return np.asarray(self.objective.finish(outputs))

    def explain(
        self, model: Any, index: int, data: GraphSet | None = None, *, output: int | None = None
    ) -> "Explanation":
        """Return what an output for one graph hangs on: by default the likeliest class, or the first number.

        Args:
            model: such as `run.best().model`.
            index: of the graph.
            data: the set it is in; by default the learner's own.
            output: the class, the label, or the number to explain.

        Raises:
            UsageError: a graph or an output that is not there, and what `predict` refuses.

        """
        from populace.graphs.plots import explain

        if output is None and isinstance(self.objective, Regression):
            output = 0
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

    # -- pieces ------------------------------------------------------------------------------------

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

    def _scalers(self) -> tuple[Scaler, Scaler | None]:
        """Return scalers of the features of the nodes and edges of training graphs."""
        data, training = self._data, self._part("train")

        def inside(offsets: Any, count: int) -> jax.Array:
            owner = jnp.searchsorted(jnp.asarray(offsets), jnp.arange(count), side="right") - 1
            return training[owner] if data.graphs else jnp.zeros(count, bool)

        return scalers(
            data, inside(data.node_offsets, len(data.x)), inside(data.edge_offsets, data.edges.count)
        )

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


@lru_cache(maxsize=8)
def _load(dataset: str) -> GraphSet:
    if not dataset.startswith("ogb"):
        return tudataset(dataset)
    data = ogb(dataset, one_hot=True).data
    if not isinstance(data, GraphSet):
        raise UsageError(f"{dataset} is one graph; give its name to a learner of nodes")
    return data
