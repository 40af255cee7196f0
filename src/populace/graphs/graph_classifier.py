"""GraphClassifier: the class of each of many graphs, in folds that seeds take turns at, or by a split."""

import dataclasses
from functools import lru_cache
from typing import Any, ClassVar, Self

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from populace.errors import UsageError
from populace.graphs.batch import Room
from populace.graphs.graph_networks import GraphGIN, GraphPlan
from populace.graphs.graph_set import GraphSet
from populace.graphs.labels import PARTS
from populace.graphs.splits import fold_of, part_of
from populace.graphs.tudataset import tudataset
from populace.learner import Learner, Mean, Metrics
from populace.nn.buffer import trainable
from populace.settings import setting
from populace.supervised import metrics
from populace.supervised.optimiser import Adam, Optimiser, Schedule, Staircase, descend

AT_A_TIME = 256
"""Graphs of a set's own split that are evaluated at once: its parts may be too large for one batch."""


class State(eqx.Module):
    """A network while it trains; `order` holds the training graphs in this epoch's order, -1 for none."""

    network: Any
    memory: Any
    order: jax.Array
    count: jax.Array


class GraphClassifier(Learner):
    """Classifies graphs by the softmax of a network's outputs, trained on cross-entropy.

    A step is a batch; every epoch goes through the training graphs in a fresh random order. In folds, the one
    a member is tested on is its seed modulo `folds`: ten seeds are ten folds, twenty are two rounds.

    Protocols:

    - `nested`: the fold before the tested one chooses the epoch, the other eight of ten are trained on, and
      the tested fold is looked at once, at the end.
    - `gin`: nine of ten folds are trained on, and the tested fold is evaluated all along. The paper's number
      is the highest mean over folds at one epoch, which
      [`best_epoch`][populace.graphs.protocols.best_epoch] finds. Nothing is held out: it is optimistic.
    - `split`: the set's own parts, the same for every seed: `train`, `validation` to choose the epoch by, and
      `test`, which is looked at once, at the end.
    """

    score: ClassVar[str] = "accuracy"
    better: ClassVar[Any] = "higher"
    unit: ClassVar[str] = "graphs"
    trial: ClassVar[str] = ""

    data: GraphSet | None = None
    judge: str = eqx.field(default="validation", static=True)
    fold: float = 0.0
    """The fold that is tested: a number of its own for each member, and no setting."""
    fold_of: Any = None
    """(G,) int32, the fold each graph is tested in, or the number of its part; made by `ready`."""
    fold_sizes: tuple[int, ...] = eqx.field(default=(), static=True)
    rooms: tuple[Room, ...] = eqx.field(default=(), static=True)
    """What a training batch, and what is evaluated at a time, fits into."""

    dataset: str = setting("MUTAG", help="name of a TUDataset; docs/data.md says where from")
    protocol: str = setting(
        "nested", choices=("nested", "gin", "split"),
        help="what the tested fold is used for; split takes the set's own parts instead",
    )  # fmt: skip
    folds: int = setting(10, low=3, help="parts that the graphs are divided into, class by class")
    network: GraphPlan = setting(GraphGIN(), help="the network")
    batch: int = setting(32, low=1, help="graphs per step")
    learning_rate: float = setting(0.01, above=0, help="step size")
    optimiser: Optimiser = setting(Adam(), help="rule that turns gradients into steps")
    schedule: Schedule = setting(Staircase(decay=0.5, every=300), help="factor on the learning rate")
    weight_decay: float = setting(0.0, low=0, help="decoupled decay of weights, per step and learning rate")

    def ready(self) -> Self:
        """Return the learner with its graphs, loaded and divided once for all members."""
        if self.rooms:
            return self
        data = _load(self.dataset) if self.data is None else self.data
        if data.classes and not data.names:  # the number of classes must be a constant of the program
            data = dataclasses.replace(data, names=tuple(map(str, range(data.classes))))
        if self.protocol == "split":
            fold_of = part_of(data)
            sizes = tuple(np.bincount(fold_of[fold_of >= 0], minlength=len(PARTS)).tolist())
            most = min(max(sizes[1:]), AT_A_TIME)
        else:
            fold_of = (
                _folds(data.y.tobytes(), str(data.y.dtype), self.folds) if data.classes else np.zeros(1, int)
            )
            sizes = tuple(np.bincount(fold_of, minlength=self.folds).tolist())
            most = max(sizes)
        rooms = tuple(data.room(min(count, data.graphs)) for count in (self.batch, most))
        return dataclasses.replace(self, data=data, fold_of=fold_of, fold_sizes=sizes, rooms=rooms)

    def for_seed(self, seed: int) -> Self:
        """Return the learner that tests the fold of a seed; a set's own split is the same for all."""
        if self.protocol == "split":
            return self
        return dataclasses.replace(self, fold=float(seed % self.folds))

    def check(self) -> None:
        """Raise a `UsageError` where the graphs do not do, once they are there."""
        if self.data is not None and not self.data.classes:
            raise UsageError(f"{self.data.name} has targets, not classes; GraphClassifier needs classes")
        if not self.rooms:
            return
        if self.batch > self._most(training=True):
            raise UsageError(
                f"batch {self.batch} is larger than the {self._most(training=True)} graphs to train on"
            )

    @property
    def units_per_step(self) -> int:
        """Graphs per step."""
        return self.batch

    @property
    def period(self) -> int:
        """Steps per epoch."""
        return -(-self._most(training=True) // self.batch)

    # -- training ----------------------------------------------------------------------------------

    def init(self, key: jax.Array) -> State:
        """Return fresh weights; the first order of graphs comes with the first `turn`."""
        network = self.network.build(self._data.x.shape[1], self._data.classes, key=key)
        memory = self.optimiser.rule().init(eqx.filter(network, trainable(network)))
        return State(network, memory, jnp.zeros(self.period * self.batch, jnp.int32), jnp.int32(0))

    def turn(self, state: State, key: jax.Array) -> State:
        """Shuffle the training graphs for the next epoch."""
        shuffled = jax.random.permutation(key, self._data.graphs)
        wanted = self._part("train")[shuffled]
        order = jnp.where(wanted, shuffled, -1)[jnp.argsort(~wanted, stable=True)]
        room = self.period * self.batch
        order = jnp.pad(order, (0, max(0, room - len(order))), constant_values=-1)[:room]
        return eqx.tree_at(lambda s: s.order, state, order.astype(jnp.int32))

    def step(self, state: State, key: jax.Array) -> tuple[State, Metrics]:
        """Take one gradient step on the next batch of the epoch."""
        place = (state.count % self.period) * self.batch
        graphs = jax.lax.dynamic_slice_in_dim(state.order, place, self.batch)
        batch = self._data.batch(graphs, self.rooms[0])
        weights, rest = eqx.partition(state.network, trainable(state.network))
        real = batch.present.astype(jnp.float32)
        count = jnp.sum(real)

        def loss_of(weights: Any) -> Any:
            outputs, network = eqx.combine(weights, rest).learn(batch, key)
            loss = jnp.sum(metrics.cross_entropy(outputs, batch.y) * real) / jnp.maximum(count, 1)
            return loss, (outputs, network)

        (loss, (outputs, network)), gradient = jax.value_and_grad(loss_of, has_aux=True)(weights)
        moved, memory = descend(
            weights, gradient, state.memory, optimiser=self.optimiser, weight_decay=self.weight_decay,
            clip=0.0, rate=self.learning_rate * self.schedule.factor(state.count),
        )  # fmt: skip
        network = eqx.combine(moved, eqx.partition(network, trainable(network))[1])
        hits = jnp.sum(metrics.correct(outputs, batch.y) * real)
        found = {"loss": Mean(loss * count, count), "training_accuracy": Mean(hits, count)}
        return State(network, memory, state.order, state.count + 1), found

    def snapshot(self, state: State) -> Any:
        """Return the network."""
        return state.network

    def evaluate(self, state: Any, key: jax.Array) -> Metrics:
        """Return accuracy and loss on the graphs that are held out; at the end, on the tested fold."""
        del key
        data, most, size = self._data, self._most(training=False), self.rooms[1].graphs
        wanted = self._part("test" if self.judge == "test" or self.protocol == "gin" else "validation")
        chosen = jnp.argsort(~wanted, stable=True)[:most]
        chosen = jnp.where(wanted[chosen], chosen, -1)

        def judged(graphs: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
            batch = data.batch(graphs, self.rooms[1])
            outputs, real = state(batch), batch.present.astype(jnp.float32)
            hits = jnp.sum(metrics.correct(outputs, batch.y) * real)
            return hits, jnp.sum(metrics.cross_entropy(outputs, batch.y) * real), jnp.sum(real)

        if most <= size:
            hits, loss, count = judged(chosen)
        else:
            pieces = jnp.pad(chosen, (0, -most % size), constant_values=-1).reshape(-1, size)
            hits, loss, count = (jnp.sum(part) for part in jax.lax.map(judged, pieces))
        return {"accuracy": Mean(hits, count), "loss": Mean(loss, count)}

    def examiner(self, episodes: int) -> Self:
        """Return the learner whose `evaluate` judges by the tested fold, or the test graphs."""
        del episodes
        return dataclasses.replace(self, judge="test")

    def examined(self, episodes: int) -> str:
        """Return in words which graphs the final evaluation looks at."""
        del episodes
        if self.protocol == "split":
            return f"the {self.fold_sizes[2]:,} test graphs"
        fold = f"each member's tested fold of {self.folds}"
        return fold if self.protocol == "nested" else f"{fold}, by which its epoch was chosen too"

    # -- pieces ------------------------------------------------------------------------------------

    @property
    def _data(self) -> GraphSet:
        if self.data is None:
            raise UsageError("GraphClassifier has no graphs; give it data=GraphSet.of(graphs, labels)")
        return self.data

    def _part(self, which: str) -> jax.Array:
        """Return of each graph whether it is in a part, (G,) bool."""
        fold_of = jnp.asarray(self.fold_of)
        if self.protocol == "split":
            return fold_of == PARTS.index(which)
        tested = jnp.asarray(self.fold).astype(jnp.int32)
        chooses = (tested - 1) % self.folds
        if which == "test":
            return fold_of == tested
        if which == "validation":
            return fold_of == chooses
        rest = fold_of != tested
        return rest & (fold_of != chooses) if self.protocol == "nested" else rest

    def _most(self, training: bool) -> int:
        """Return how many graphs the largest training part has, or the largest part to evaluate."""
        sizes = np.asarray(self.fold_sizes)
        if self.protocol == "split":
            return int(sizes[0] if training else sizes[1:].max())
        if not training:
            return int(sizes.max())
        held = sizes + np.roll(sizes, 1) if self.protocol == "nested" else sizes
        return int(sizes.sum() - held.min())


@lru_cache(maxsize=8)
def _load(dataset: str) -> GraphSet:
    return tudataset(dataset)


@lru_cache(maxsize=32)
def _folds(labels: bytes, kind: str, folds: int) -> np.ndarray:
    return fold_of(np.frombuffer(labels, kind), folds)
