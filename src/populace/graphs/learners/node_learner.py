"""NodeLearner: what is known of each node of a graph, from few nodes of which it is."""

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
from populace.graphs.data.graph import Graph
from populace.graphs.data.labels import PARTS, named
from populace.graphs.datasets.registry import graph_named
from populace.graphs.learners.early_stopping import RULES, EarlyStoppingState
from populace.graphs.learners.objective import Objective
from populace.graphs.models.node_networks import GCN, NodeNetworkConfig
from populace.graphs.splits.member_split import DrawnSplit, fixed, nodes_in
from populace.nn.primitives.buffer import Buffer, trainable
from populace.optim.optimisers import Adam, Constant, Optimiser, Schedule, descend


class Model(eqx.Module):
    """A network, and which part each node is in: 1 to train on, 2 to choose by, 3 to judge by, 0 none."""

    network: Any
    part: Buffer


class State(eqx.Module):
    """A model while it trains.

    Attributes:
        model: network and split.
        memory: what the optimiser remembers.
        count: epochs trained.
        watch: whether and when the member stopped early.

    """

    model: Model
    memory: Any
    count: jax.Array
    watch: EarlyStoppingState


class NodeLearner(Learner):
    """Trains a graph network on the nodes of one part of a graph, and evaluates it on others.

    One step is one epoch over the whole graph: `loss = mean over training nodes + l2 / 2 |W|^2`. The score is
    that of the validation nodes; the final evaluation is on the test nodes.

    Protocols: with `run.evaluate_every` at its steps the last epoch counts (fixed epochs); with fewer, the
    best of the evaluations by validation score. `stop` ends a member's training early: `window` when its
    validation loss rises above the mean of the last `stop_window` ones (Kipf and Welling 2017),
    `patience` when
    neither its validation loss nor its score was the best for so many epochs (Velickovic et al. 2018).
    """

    unit: ClassVar[str] = "epochs"
    trial: ClassVar[str] = ""

    graph: Graph | None = None
    judge: str = eqx.field(default="validation", static=True)

    dataset: str = setting("karate", help="karate, cora, another Planetoid set, or one of OGB's: ogbn-arxiv")
    split: str = setting(
        "public", choices=("public", "random", "per-class"),
        help="the data set's own, or drawn by each seed: so many training nodes in all, or of each class",
    )  # fmt: skip
    train_nodes: int = setting(140, low=1, help="training nodes of a random split, in all or of each class")
    validation_nodes: int = setting(500, low=0, help="validation nodes of a random split")
    test_nodes: int = setting(1000, low=0, help="test nodes of a random split; 0 for all that are left")
    normalize_features: bool = setting(True, help="divide a node's features by their sum")
    network: NodeNetworkConfig = setting(GCN(), help="the network")
    learning_rate: float = setting(0.01, above=0, help="step size")
    optimizer: Optimiser = setting(Adam(), help="rule that turns gradients into steps")
    schedule: Schedule = setting(Constant(), help="factor on the learning rate over the epochs")
    l2: float = setting(5e-4, low=0, help="penalty on squared weights, inside the loss")
    l2_layers: str = setting("first", choices=("first", "all"), help="layers whose weights are penalised")
    stop: str = setting("never", choices=RULES, help="rule of early stopping")
    stop_window: int = setting(10, low=1, help="epochs that `stop` looks back")

    def load_data(self) -> Self:
        """Return the learner with its graph, loaded and normalised once for all members."""
        if self.graph is not None:
            return self
        graph = _load(self.dataset, self.normalize_features, self.network.normalisation)
        return dataclasses.replace(self, graph=graph)

    @classmethod
    def of(cls, graph: Graph, **settings: Any) -> Self:
        """Return a learner of a graph of the user's own, which is normalised as the network asks."""
        if not isinstance(graph, Graph):
            raise UsageError(
                f"{cls.__name__}.of takes a Graph of populace.graphs, got {type(graph).__name__}; "
                "convert it first, such as with convert.from_networkx"
            )
        learner = cls(**settings)
        return dataclasses.replace(learner, graph=named(graph.normalised(learner.network.normalisation)))

    def check(self) -> None:
        """Raise a `UsageError` where graph, labels and split do not fit, once the graph is there."""
        if self.judge not in PARTS:
            raise UsageError(f"judge must be {', '.join(PARTS)}, got {self.judge!r}")
        if self.graph is None:
            return
        graph = self.graph
        if graph.x is None:
            raise UsageError(f"{graph.name} has no features; give it some, such as numpy.eye(nodes)")
        self.check_labels(graph)
        if self.split == "public":
            if graph.train is None:
                raise UsageError(
                    f"{graph.name} has no split; give it one with with_split, or set split = random"
                )
            if graph.validation is None and self.stop != "never":
                raise UsageError(f"stop = {self.stop} needs validation nodes; {graph.name} has none")
        else:
            self._drawn.check(graph)

    @abstractmethod
    def check_labels(self, graph: Graph) -> None:
        """Raise a `UsageError` where what is known of the nodes is not what this learner learns."""

    @abstractmethod
    def objective(self, part: jax.Array) -> Objective:
        """Return what the network is trained on and judged by, given the part each node is in."""

    # -- training ----------------------------------------------------------------------------------

    def init(self, key: jax.Array) -> State:
        """Return fresh weights, and the member's split."""
        graph = self._graph
        network_key, split_key = jax.random.split(key)
        part = fixed(graph) if self.split == "public" else self._drawn.draw(graph, split_key)
        network = self.network.build(graph.x.shape[1], self.objective(part).outputs, key=network_key)
        return State(
            model=Model(network, Buffer(part)),
            memory=self.optimizer.rule().init(eqx.filter(network, trainable(network))),
            count=jnp.int32(0),
            watch=EarlyStoppingState.start(self.stop, self.stop_window),
        )

    def step(self, state: State, key: jax.Array) -> tuple[State, Metrics]:
        """Train for one epoch; a member that has stopped stays as it is."""
        if self.stop == "never":
            return self._epoch(state, key)
        shapes = jax.eval_shape(lambda: self._epoch(state, key)[1])
        nothing = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)
        # Under map this is a branch: what has stopped costs nothing any more.
        return jax.lax.cond(
            state.watch.stopped_at < 0, lambda: self._epoch(state, key), lambda: (state, nothing)
        )

    def _epoch(self, state: State, key: jax.Array) -> tuple[State, Metrics]:
        network, part = state.model.network, state.model.part.value
        objective = self.objective(part)
        weights, rest = eqx.partition(network, trainable(network))

        def loss_of(weights: Any) -> Any:
            outputs = self._outputs(eqx.combine(weights, rest), key)
            y, weight = jnp.asarray(self._graph.y), (part == 1).astype(outputs.dtype)
            loss = objective.loss(outputs, y, weight)
            found = {"loss": loss, **objective.progress(outputs, y, weight)}
            return loss.value + self._penalty(weights), found

        (_, found), gradient = jax.value_and_grad(loss_of, has_aux=True)(weights)
        moved, memory = descend(
            weights, gradient, state.memory, optimizer=self.optimizer, weight_decay=0.0,
            max_gradient_norm=0.0,
            rate=self.learning_rate * self.schedule.factor(state.count),
        )  # fmt: skip
        network = eqx.combine(moved, rest)
        state = eqx.tree_at(
            lambda s: (s.model.network, s.memory, s.count), state, (network, memory, state.count + 1)
        )
        if self.stop != "never":
            judged = self._judged(state.model, 2)
            found |= {f"validation_{name}": judged[name] for name in ("loss", self.score)}
            score = judged[self.score].value * (1 if self.mode == "max" else -1)
            watch = state.watch.after(state.count, judged["loss"].value, score, self.stop, self.stop_window)
            state = eqx.tree_at(lambda s: s.watch, state, watch)
        return state, found

    def model(self, state: State) -> Model:
        """Return network and split."""
        return state.model

    def evaluate(self, state: Model, key: jax.Array) -> Metrics:
        """Return scores and loss on the validation nodes; in the final evaluation, on the test nodes."""
        del key
        return self._judged(state, PARTS.index(self.judge) + 1)

    def for_test(self, episodes: int) -> Self:
        """Return the learner whose `evaluate` judges by the test nodes."""
        del episodes
        return dataclasses.replace(self, judge="test")

    def test_description(self, episodes: int) -> str:
        """Return in words which nodes the final evaluation looks at."""
        del episodes
        if self.split == "public":
            return f"the {len(nodes_in(self._graph, 'test')):,} test nodes"
        return f"{self.test_nodes:,} test nodes drawn by each seed" if self.test_nodes else "all other nodes"

    # -- in use ------------------------------------------------------------------------------------

    def predict(self, model: Model) -> np.ndarray:
        """Return what is said of every node: probabilities (N, K), or numbers (N, K)."""
        outputs = eqx.filter_jit(self._outputs)(model.network, None)
        return np.asarray(self.objective(model.part.value).finish(outputs))

    # -- pieces ------------------------------------------------------------------------------------

    @property
    def _graph(self) -> Graph:
        if self.graph is None:
            name = type(self).__name__
            raise UsageError(f"{name} has no graph; make it with {name}.of(graph, ...)")
        return self.graph

    @property
    def _drawn(self) -> DrawnSplit:
        sizes = self.train_nodes, self.validation_nodes, self.test_nodes
        return DrawnSplit(self.split == "per-class", *sizes)

    def _outputs(self, network: Any, key: jax.Array | None) -> jax.Array:
        graph = self._graph
        x = jnp.asarray(graph.x) if isinstance(graph.x, np.ndarray) else graph.x
        return network(x, graph.arcs, graph.weight, key=key)

    def _judged(self, model: Model, which: int) -> Metrics:
        """Return scores and loss over the nodes of a part."""
        part, outputs = model.part.value, self._outputs(model.network, None)
        weight = (part == which).astype(outputs.dtype)
        return self.objective(part).judge(outputs, jnp.asarray(self._graph.y), weight)

    def _penalty(self, weights: Any) -> jax.Array:
        layers = weights.layers[:1] if self.l2_layers == "first" else weights.layers
        matrices = [w for w in jax.tree.leaves(layers) if w is not None and w.ndim > 1]
        return self.l2 / 2 * sum((jnp.sum(w**2) for w in matrices), start=jnp.zeros(()))


@lru_cache(maxsize=8)
def _load(dataset: str, normalize_features: bool, normalisation: str) -> Graph:
    return named(graph_named(dataset, normalize_features).normalised(normalisation))
