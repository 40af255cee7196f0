"""NodeLearner: what is known of each node of a graph, from few nodes of which it is."""

import dataclasses
from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from populace.core.errors import UsageError
from populace.core.learner import Metrics
from populace.core.settings import setting
from populace.graphs.data.features import SparseFeatures
from populace.graphs.data.graph import Graph
from populace.graphs.data.labels import PARTS, named
from populace.graphs.datasets.registry import normalized_graph
from populace.graphs.learners import inference
from populace.graphs.learners.graph_task import GraphTask
from populace.graphs.learners.objective import Objective, Regression
from populace.graphs.learners.preparation import prepared
from populace.graphs.learners.weighting import standardize
from populace.graphs.models.node_network import on_graph
from populace.graphs.models.node_networks import GCN, NodeNetworkConfig
from populace.graphs.models.standardized import StandardizedNodes, scalers
from populace.graphs.splits.member_split import RandomSplit, fixed, nodes_in
from populace.nn.primitives.buffer import Buffer, trainable
from populace.optim import gradient_step as descent
from populace.optim.early_stopping import EarlyStopping, EarlyStoppingState, Never
from populace.optim.optimizers import Adam, Optimizer
from populace.optim.schedules import Constant, Schedule

if TYPE_CHECKING:
    from populace.graphs.plots.explain import Explanation


class Model(eqx.Module):
    """A network, and which part each node is in: 1 train, 2 validation, 3 test, 0 none."""

    network: Any
    part: Buffer


class State(eqx.Module):
    """A model while it trains.

    Attributes:
        model: network and split.
        opt_state: what the optimizer remembers.
        count: epochs trained.
        early_stopping: whether and when the member stopped early; None where it never does.

    """

    model: Model
    opt_state: Any
    count: jax.Array
    early_stopping: EarlyStoppingState | None


class NodeLearner(GraphTask):
    """Trains a graph network on the nodes of one part of a graph, and evaluates it on others.

    One step is one epoch over the whole graph: `loss = mean over training nodes + l2 / 2 |W|^2`. The score is
    that of the validation nodes; the final evaluation is on the test nodes.

    Protocols: with `run.evaluate_every` at its steps the last epoch counts (fixed epochs); with fewer, the
    best of the evaluations by validation score. `early_stopping` ends a member's training before, by its
    validation nodes.
    """

    unit: ClassVar[str] = "epochs"

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
    learning_rate: float = descent.learning_rate(0.01)
    optimizer: Optimizer = descent.optimizer(Adam())
    schedule: Schedule = descent.schedule(Constant())
    weight_decay: float = descent.weight_decay()
    max_gradient_norm: float = descent.max_gradient_norm()
    l2: float = setting(5e-4, low=0, help="penalty on squared weights, inside the loss")
    l2_layers: str = setting("first", choices=("first", "all"), help="layers whose weights are penalized")
    early_stopping: EarlyStopping = setting(Never(), help="when a member stops before its last step")
    standardize: bool = standardize()

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
        if self.standardize and isinstance(graph.x, SparseFeatures):
            raise UsageError(
                f"{graph.name} has sparse features, which would not stay sparse; set standardize = false"
            )
        self.check_labels(graph)
        self.check_weights(graph, "node")
        if self.split == "public":
            if graph.train is None:
                raise UsageError(
                    f"{graph.name} has no split; give it one with with_split, or set split = random"
                )
            if graph.validation is None and self.early_stopping.enabled:
                raise UsageError(f"early_stopping needs validation nodes; {graph.name} has none")
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

    # -- training ----------------------------------------------------------------------------------

    def init(self, key: jax.Array) -> State:
        """Return fresh weights, and the member's split."""
        graph = self._graph
        network_key, split_key = jax.random.split(key)
        part = fixed(graph) if self.split == "public" else self._drawn.draw(graph, split_key)
        network = self.build(graph, self.objective(part).outputs, network_key)
        if self.standardize:
            training = part == 1
            into = training[jnp.asarray(graph.edges.targets)]
            network = StandardizedNodes(network, *scalers(graph, training, into))
        return State(
            model=Model(network, Buffer(part)),
            opt_state=descent.initial_opt_state(self, network),
            count=jnp.int32(0),
            early_stopping=self.early_stopping.start(),
        )

    def step(self, state: State, key: jax.Array) -> tuple[State, Metrics]:
        """Train for one epoch; a member that has stopped stays as it is."""
        if state.early_stopping is None:
            return self._epoch(state, key)
        arrays, rest = eqx.partition(state, eqx.is_array)

        def epoch() -> tuple[Any, Metrics]:
            after, found = self._epoch(state, key)
            return eqx.filter(after, eqx.is_array), found

        nothing = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), jax.eval_shape(lambda: epoch()[1]))
        # Under map this is a branch: what has stopped costs nothing any more.
        arrays, found = jax.lax.cond(state.early_stopping.running, epoch, lambda: (arrays, nothing))
        return eqx.combine(arrays, rest), found

    def _epoch(self, state: State, key: jax.Array) -> tuple[State, Metrics]:
        part = state.model.part.value
        objective = self.objective(part)

        def loss(network: Any) -> Any:
            outputs = self._outputs(network, key)
            y, weight = jnp.asarray(self._graph.y), (part == 1).astype(outputs.dtype)
            loss = objective.loss(outputs, y, self.training_weight(y, part == 1))
            found = {"loss": loss, **objective.progress(outputs, y, weight)}
            return loss.value + self._penalty(network), found

        network, opt_state, _, found = descent.gradient_step(
            self, loss, state.model.network, state.opt_state, state.count
        )
        state = eqx.tree_at(
            lambda s: (s.model.network, s.opt_state, s.count), state, (network, opt_state, state.count + 1)
        )
        if state.early_stopping is not None:
            validation = self._evaluated(state.model, 2)
            found |= {f"validation_{name}": validation[name] for name in ("loss", self.score)}
            score = validation[self.score].value * (1 if self.mode == "max" else -1)
            seen = self.early_stopping.after(
                state.early_stopping, state.count, validation["loss"].value, score
            )
            state = eqx.tree_at(lambda s: s.early_stopping, state, seen)
        return state, found

    def model(self, state: State) -> Model:
        """Return network and split."""
        return state.model

    def evaluate(self, state: Model, key: jax.Array) -> Metrics:
        """Return scores and loss on the validation nodes; in the final evaluation, on the test nodes."""
        del key
        return self._evaluated(state, PARTS.index(self.evaluation_split) + 1)

    def for_training_part(self) -> Self | None:
        """Return the learner that judges by the training nodes."""
        return dataclasses.replace(self, evaluation_split="train")

    def single_input(self) -> Any:
        """Return the features of all nodes: a network sees them at once."""
        return self._graph.x

    def predict_single(self, model: Model, x: Any) -> jax.Array:
        """Return the outputs for all nodes of the graph."""
        return on_graph(model.network, x, self._graph, None)

    def test_description(self, size: int) -> str:
        """Return in words which nodes the final evaluation looks at."""
        del size
        if self.split == "public":
            return f"the {len(nodes_in(self._graph, 'test')):,} test nodes"
        return f"{self.test_nodes:,} test nodes drawn by each seed" if self.test_nodes else "all other nodes"

    # -- in use ------------------------------------------------------------------------------------

    def finished(self, model: Model, data: Graph | None) -> np.ndarray:
        """Return what is said of every node: probabilities (N, K), or numbers (N, K)."""
        outputs = eqx.filter_jit(self._on(data)._outputs)(model.network, None)
        return np.asarray(self.objective_of(model).finish(outputs))

    def explain(
        self, model: Model, index: int | str, data: Graph | None = None, *, output: int | None = None
    ) -> "Explanation":
        """Return what an output for one node hangs on: by default the likeliest class, or the first number.

        Args:
            model: such as `run.best().model`.
            index: of the node, or its name.
            data: the graph it is in, as `of` takes it; by default the learner's own.
            output: the class, the label, or the number to explain.

        Raises:
            UsageError: a node or an output that is not there, and what `predict` refuses.

        """
        from populace.graphs.plots import explain

        if output is None and isinstance(self.objective_of(model), Regression):
            output = 0
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

    # -- pieces ------------------------------------------------------------------------------------

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

    def _evaluated(self, model: Model, which: int) -> Metrics:
        """Return scores and loss over the nodes of a part."""
        part, outputs = model.part.value, self._outputs(model.network, None)
        weight = (part == which).astype(outputs.dtype)
        return self.objective(part).evaluate(outputs, jnp.asarray(self._graph.y), weight)

    def _penalty(self, network: Any) -> jax.Array:
        weights = eqx.filter(network, trainable(network))
        if self.l2_layers == "first":
            if not hasattr(network, "layers"):
                raise UsageError(
                    f"l2_layers = first needs a network with `layers`; {type(network).__name__} has none, "
                    "so set l2_layers = all"
                )
            weights = weights.layers[:1]
        matrices = [w for w in jax.tree.leaves(weights) if w.ndim > 1]
        return self.l2 / 2 * sum((jnp.sum(w**2) for w in matrices), start=jnp.zeros(()))
