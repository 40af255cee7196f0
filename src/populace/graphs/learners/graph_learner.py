"""GraphLearner: what is known of each of many graphs, in folds that seeds take turns at, or by a split."""

import dataclasses
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, Self

import equinox as eqx
import jax
import jax.numpy as jnp

from populace.core.errors import UsageError
from populace.core.mean import Metrics
from populace.core.settings import setting
from populace.graphs.data.graph_set import GraphSet
from populace.graphs.data.labels import named
from populace.graphs.datasets.ogb import ogb
from populace.graphs.datasets.tudataset import tudataset
from populace.graphs.learners import graph_set_task
from populace.graphs.learners.graph_set_task import GraphSetTask
from populace.graphs.learners.preparation import looped
from populace.graphs.learners.weighting import standardize
from populace.graphs.models.standardized import Scaler, StandardizedGraphs, learn, scalers
from populace.graphs.splits.cross_validation import CrossValidation
from populace.optim import gradient_step as descent
from populace.optim.optimizers import Adam, Optimizer
from populace.optim.schedules import Schedule, Staircase

if TYPE_CHECKING:
    pass


class State(eqx.Module):
    """A network while it trains; `order` holds the training graphs in this epoch's order, -1 for none."""

    network: Any
    opt_state: Any
    order: jax.Array
    count: jax.Array


class GraphLearner(GraphSetTask):
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

    batch_size: int = setting(32, low=1, help="graphs per step")
    learning_rate: float = descent.learning_rate(0.01)
    optimizer: Optimizer = descent.optimizer(Adam())
    schedule: Schedule = descent.schedule(Staircase(decay=0.5, every=300))
    weight_decay: float = descent.weight_decay()
    max_gradient_norm: float = descent.max_gradient_norm()
    standardize: bool = standardize()

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
        most = min(division.most(training=False), graph_set_task.AT_A_TIME)
        batch_shapes = tuple(data.batch_shape(min(count, data.graphs)) for count in (self.batch_size, most))
        return dataclasses.replace(self, data=data, division=division, batch_shapes=batch_shapes)

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

    def _scalers(self) -> tuple[Scaler, Scaler | None]:
        """Return scalers of the features of the nodes and edges of training graphs."""
        data, training = self._data, self._part("train")

        def inside(offsets: Any, count: int) -> jax.Array:
            owner = jnp.searchsorted(jnp.asarray(offsets), jnp.arange(count), side="right") - 1
            return training[owner] if data.graphs else jnp.zeros(count, bool)

        return scalers(
            data, inside(data.node_offsets, len(data.x)), inside(data.edge_offsets, data.edges.count)
        )


@lru_cache(maxsize=8)
def _load(dataset: str) -> GraphSet:
    if not dataset.startswith("ogb"):
        return tudataset(dataset)
    data = ogb(dataset, one_hot=True).data
    if not isinstance(data, GraphSet):
        raise UsageError(f"{dataset} is one graph; give its name to a learner of nodes")
    return data
