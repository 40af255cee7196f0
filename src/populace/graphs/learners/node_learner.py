"""NodeLearner: what is known of each node of a graph, from few nodes of which it is."""

import dataclasses
from typing import TYPE_CHECKING, Any, ClassVar, Self

import equinox as eqx
import jax
import jax.numpy as jnp

from populace.core.errors import UsageError
from populace.core.mean import Metrics
from populace.core.settings import setting
from populace.graphs.data.features import SparseFeatures
from populace.graphs.data.labels import PARTS
from populace.graphs.learners.node_task import Model, NodeTask
from populace.graphs.learners.weighting import standardize
from populace.graphs.models.node_network import on_graph
from populace.graphs.models.standardized import StandardizedNodes, scalers
from populace.graphs.splits.member_split import fixed
from populace.nn.primitives.buffer import Buffer, trainable
from populace.optim import gradient_step as descent
from populace.optim.early_stopping import EarlyStopping, EarlyStoppingState, Never
from populace.optim.optimizers import Adam, Optimizer
from populace.optim.schedules import Constant, Schedule

if TYPE_CHECKING:
    pass


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


class NodeLearner(NodeTask):
    """Trains a graph network on the nodes of one part of a graph, and evaluates it on others.

    One step is one epoch over the whole graph: `loss = mean over training nodes + l2 / 2 |W|^2`. The score is
    that of the validation nodes; the final evaluation is on the test nodes.

    Protocols: with `run.evaluate_every` at its steps the last epoch counts (fixed epochs); with fewer, the
    best of the evaluations by validation score. `early_stopping` ends a member's training before, by its
    validation nodes.
    """

    unit: ClassVar[str] = "epochs"

    learning_rate: float = descent.learning_rate(0.01)
    optimizer: Optimizer = descent.optimizer(Adam())
    schedule: Schedule = descent.schedule(Constant())
    weight_decay: float = descent.weight_decay()
    max_gradient_norm: float = descent.max_gradient_norm()
    l2: float = setting(5e-4, low=0, help="penalty on squared weights, inside the loss")
    l2_layers: str = setting("first", choices=("first", "all"), help="layers whose weights are penalized")
    early_stopping: EarlyStopping = setting(Never(), help="when a member stops before its last step")
    standardize: bool = standardize()

    def check(self) -> None:
        """Raise a `UsageError` as a task does, and where its data do not allow what training is asked for."""
        super().check()
        graph = self.graph
        if graph is None:
            return
        if self.standardize and isinstance(graph.x, SparseFeatures):
            raise UsageError(
                f"{graph.name} has sparse features, which would not stay sparse; set standardize = false"
            )
        if self.split == "public" and graph.validation is None and self.early_stopping.enabled:
            raise UsageError(f"early_stopping needs validation nodes; {graph.name} has none")

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
