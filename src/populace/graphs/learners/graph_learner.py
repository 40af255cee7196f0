"""GraphLearner: what is known of each of many graphs, in folds that seeds take turns at, or by a split."""

import dataclasses
from abc import abstractmethod
from functools import lru_cache
from typing import Any, ClassVar, Self

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from populace.core.errors import UsageError
from populace.core.learner import Learner, Metrics
from populace.core.settings import setting
from populace.graphs.data.batch import BatchShape
from populace.graphs.data.graph_set import GraphSet
from populace.graphs.data.labels import named
from populace.graphs.datasets.ogb import ogb
from populace.graphs.datasets.tudataset import tudataset
from populace.graphs.learners.objective import Objective
from populace.graphs.models.graph_networks import GraphGIN, GraphNetworkConfig
from populace.graphs.splits.cross_validation import PROTOCOLS, CrossValidation
from populace.nn.primitives.buffer import trainable
from populace.optim.optimisers import Adam, Optimiser, Schedule, Staircase, descend

AT_A_TIME = 256
"""Graphs that are evaluated at once: a part may be too large for one batch."""


class State(eqx.Module):
    """A network while it trains; `order` holds the training graphs in this epoch's order, -1 for none."""

    network: Any
    memory: Any
    order: jax.Array
    count: jax.Array


class GraphLearner(Learner):
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
    trial: ClassVar[str] = ""

    data: GraphSet | None = None
    judge: str = eqx.field(default="validation", static=True)
    fold: float = 0.0
    """The fold that is tested: a number of its own for each member, and no setting."""
    division: CrossValidation | None = None
    """Which graphs are in which fold or part; made by `load_data`."""
    rooms: tuple[BatchShape, ...] = eqx.field(default=(), static=True)
    """What a training batch, and what is evaluated at a time, fits into."""

    dataset: str = setting("MUTAG", help="name of a TUDataset or of OGB's, such as ogbg-molhiv; docs/data.md")
    protocol: str = setting(
        "nested", choices=PROTOCOLS,
        help="what the tested fold is used for; split takes the set's own parts instead",
    )  # fmt: skip
    folds: int = setting(10, low=3, help="parts that the graphs are divided into")
    network: GraphNetworkConfig = setting(GraphGIN(), help="the network")
    batch_size: int = setting(32, low=1, help="graphs per step")
    learning_rate: float = setting(0.01, above=0, help="step size")
    optimizer: Optimiser = setting(Adam(), help="rule that turns gradients into steps")
    schedule: Schedule = setting(Staircase(decay=0.5, every=300), help="factor on the learning rate")
    weight_decay: float = setting(0.0, low=0, help="decoupled decay of weights, per step and learning rate")

    def load_data(self) -> Self:
        """Return the learner with its graphs, loaded and divided once for all members."""
        if self.rooms:
            return self
        data = named(_load(self.dataset) if self.data is None else self.data)
        self.check_labels(data)
        division = CrossValidation.of(data, self.protocol, self.folds)
        for name, graphs in division.judged():
            self.check_part(data.y[graphs], f"{name} of {data.name}")
        most = min(division.most(training=False), AT_A_TIME)
        rooms = tuple(data.room(min(count, data.graphs)) for count in (self.batch_size, most))
        return dataclasses.replace(self, data=data, division=division, rooms=rooms)

    def for_seed(self, seed: int) -> Self:
        """Return the learner that tests the fold of a seed; a set's own split is the same for all."""
        if self.protocol == "split":
            return self
        return dataclasses.replace(self, fold=float(seed % self.folds))

    @abstractmethod
    def check_labels(self, data: GraphSet) -> None:
        """Raise a `UsageError` where what is known of the graphs is not what this learner learns."""

    def check_part(self, y: np.ndarray, called: str) -> None:
        """Raise a `UsageError` where graphs with these labels cannot be judged."""
        del y, called

    @property
    @abstractmethod
    def objective(self) -> Objective:
        """What the network is trained on and judged by."""

    def check(self) -> None:
        """Raise a `UsageError` where the graphs do not do, once they are there."""
        if self.data is not None:
            self.check_labels(self.data)
        if self.rooms and self.batch_size > (most := self._parts.most(training=True)):
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
        network = self.network.build(self._data.x.shape[1], self.objective.outputs, key=key)
        memory = self.optimizer.rule().init(eqx.filter(network, trainable(network)))
        return State(network, memory, jnp.zeros(self.epoch_steps * self.batch_size, jnp.int32), jnp.int32(0))

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
        batch = self._data.batch(graphs, self.rooms[0])
        weights, rest = eqx.partition(state.network, trainable(state.network))
        real, objective = batch.present.astype(jnp.float32), self.objective

        def loss_of(weights: Any) -> Any:
            outputs, network = eqx.combine(weights, rest).learn(batch, key)
            loss = objective.loss(outputs, batch.y, real)
            return loss.total / jnp.maximum(loss.weight, 1), (loss, outputs, network)

        (_, (loss, outputs, network)), gradient = jax.value_and_grad(loss_of, has_aux=True)(weights)
        moved, memory = descend(
            weights, gradient, state.memory, optimizer=self.optimizer, weight_decay=self.weight_decay,
            max_gradient_norm=0.0, rate=self.learning_rate * self.schedule.factor(state.count),
        )  # fmt: skip
        network = eqx.combine(moved, eqx.partition(network, trainable(network))[1])
        found = {"loss": loss, **objective.progress(outputs, batch.y, real)}
        return State(network, memory, state.order, state.count + 1), found

    def model(self, state: State) -> Any:
        """Return the network."""
        return state.network

    def evaluate(self, state: Any, key: jax.Array) -> Metrics:
        """Return scores and loss on the graphs that are held out; at the end, on the tested fold."""
        del key
        wanted = self._part("test" if self.judge == "test" or self.protocol == "gin" else "validation")
        chosen = jnp.argsort(~wanted, stable=True)[: self._parts.most(training=False)]
        outputs = self._outputs(state, self._data, jnp.where(wanted[chosen], chosen, -1), self.rooms[1])
        y, weight = jnp.asarray(self._data.y)[chosen], wanted[chosen].astype(jnp.float32)
        return self.objective.judge(outputs, y, weight)

    def for_test(self, episodes: int) -> Self:
        """Return the learner whose `evaluate` judges by the tested fold, or the test graphs."""
        del episodes
        return dataclasses.replace(self, judge="test")

    def test_description(self, episodes: int) -> str:
        """Return in words which graphs the final evaluation looks at."""
        del episodes
        if self.protocol == "split":
            return f"the {self._parts.sizes[2]:,} test graphs"
        fold = f"each member's tested fold of {self.folds}"
        return fold if self.protocol == "nested" else f"{fold}, by which its epoch was chosen too"

    # -- in use ------------------------------------------------------------------------------------

    def predict(self, network: Any, graphs: GraphSet | None = None) -> np.ndarray:
        """Return what a network says of every graph: probabilities (G, K), or numbers (G, K).

        Args:
            network: a snapshot, such as `run.best().model`.
            graphs: by default the learner's own, all parts.

        Raises:
            UsageError: the nodes of these graphs have other features than those it was trained on.

        """
        data = self._data if graphs is None else graphs
        if data.x.shape[1] != (width := self._data.x.shape[1]):
            raise UsageError(f"{data.name} has {data.x.shape[1]} features a node, the network takes {width}")
        room = data.room(min(AT_A_TIME, data.graphs))
        outputs = eqx.filter_jit(self._outputs)(network, data, jnp.arange(data.graphs), room)
        return np.asarray(self.objective.finish(outputs))

    # -- pieces ------------------------------------------------------------------------------------

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
            raise UsageError(f"{type(self).__name__} has no graphs yet; ready() loads and divides them")
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
