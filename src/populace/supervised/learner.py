"""What every supervised learner shares: epochs of batches, early stopping, evaluation in batches."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from populace.core.errors import UsageError
from populace.core.mean import Mean, Metrics
from populace.core.settings import setting
from populace.data.arrays import restored
from populace.data.example_files import Selection
from populace.nn.modules import sequential
from populace.nn.modules.custom import check_network
from populace.optim import gradient_step as descent
from populace.optim.early_stopping import EarlyStopping, EarlyStoppingState, Never
from populace.optim.optimizers import Adam, Optimizer
from populace.optim.schedules import Constant, Schedule
from populace.supervised import evaluation
from populace.supervised.data import Data
from populace.supervised.fed import FedTask
from populace.supervised.networks import MLP, Network


class State(eqx.Module):
    """A network while it trains.

    Attributes:
        network: weights, and running statistics of normalizations.
        opt_state: what the optimizer remembers.
        order: the training rows in this epoch's order, filled up to whole batches.
        count: steps taken.
        early_stopping: whether and when the member stopped early; None where it never does.

    """

    network: Any
    opt_state: Any
    order: jax.Array
    count: jax.Array
    early_stopping: EarlyStoppingState | None


class Supervised(FedTask):
    """Learns y from x by gradient descent on a loss, in batches.

    Every epoch goes through the training rows in a fresh random order, each row once; where the batch
    does not divide their number, the last batch of an epoch is filled up with rows of weight zero.
    """

    unit: ClassVar[str] = "samples"

    network: Network = setting(MLP(), help="network, unless a network_fn is given in Python")
    batch_size: int = setting(128, low=1, help="examples per step")
    learning_rate: float = descent.learning_rate(1e-3)
    optimizer: Optimizer = descent.optimizer(Adam())
    schedule: Schedule = descent.schedule(Constant())
    weight_decay: float = descent.weight_decay()
    max_gradient_norm: float = descent.max_gradient_norm()
    early_stopping: EarlyStopping = setting(Never(), help="when a member stops before its last step")
    evaluation_batch_size: int = setting(250, low=1, help="examples evaluated at a time")

    @property
    def units_per_step(self) -> int:
        """Examples per step."""
        return self.batch_size

    @property
    def epoch_steps(self) -> int:
        """Steps per epoch."""
        return self.epochs(1)

    @property
    def validates_epochs(self) -> bool:
        """Whether early stopping looks at the validation part."""
        return self.early_stopping.enabled

    def epochs(self, count: float) -> int:
        """Return how many steps so many epochs take."""
        return round(count * -(-len(self._data.train) // self.batch_size))

    def init(self, key: jax.Array) -> State:
        """Return fresh weights; the first order of rows comes with the first `on_epoch_start`."""
        network = self.build(key)
        return State(
            network=network,
            opt_state=descent.initial_opt_state(self, network),
            order=jnp.zeros(self.epoch_steps * self.batch_size, jnp.int32),
            count=jnp.int32(0),
            early_stopping=self.early_stopping.start(),
        )

    def build(self, key: jax.Array) -> Any:
        """Return a fresh network for the data."""
        data = self._data
        if self.network_fn is not None:
            return self.network_fn(data.shape, data.outputs, key)
        return self.network.build(data.shape, data.outputs, key=key)

    def on_epoch_start(self, state: State, key: jax.Array) -> State:
        """Shuffle the rows for the next epoch; stop where the validation loss has not fallen for long."""
        state = eqx.tree_at(lambda s: s.order, state, self.new_order(key))
        if state.early_stopping is None:
            return state
        found = self._evaluated(state.network, "validation")
        score = found[self.score].value * (1 if self.mode == "max" else -1)
        seen = self.early_stopping.after(state.early_stopping, state.count, found["loss"].value, score)
        return eqx.tree_at(lambda s: s.early_stopping, state, seen)

    def new_order(self, key: jax.Array) -> jax.Array:
        """Return the training rows in a random order, filled up to whole batches."""
        rows = jnp.asarray(self._data.train)
        order = jax.random.permutation(key, rows)
        fill = self.epoch_steps * self.batch_size - len(rows)
        return jnp.concatenate([order, jnp.resize(order, (fill,))])

    def step(self, state: State, key: jax.Array) -> tuple[State, Metrics]:
        """Take one gradient step on the next batch of the epoch."""
        data, (augment_key, network_key) = self._data, jax.random.split(key)
        place = (state.count % self.epoch_steps) * self.batch_size
        rows = self._rows(state, place)
        real = (place + jnp.arange(self.batch_size) < len(data.train)).astype(jnp.float32)
        weight = real
        if data.weight is not None:
            weight = real * (jnp.asarray(data.weight)[rows] / data.mean_weight)
        x, y = evaluation.taken(self, data.x, rows), jnp.asarray(data.y)[rows]
        x, costs = self.training_inputs(x, rows, augment_key), self.loss_weights(y, weight)

        def loss(network: Any) -> Any:
            outputs, after = self.training_pass(network, x, y, network_key, real, state.count)
            # Over the number of examples, not over the sum of this batch's weights, by which examples would
            # weigh more in a batch of light ones.
            return jnp.sum(self.losses(outputs, y) * costs) / jnp.sum(real), (outputs, after)

        network, opt_state, mean, (outputs, after) = descent.gradient_step(
            self, loss, state.network, state.opt_state, state.count
        )
        network = descent.with_buffers(network, after)
        count, running = jnp.sum(real), jnp.bool(True)
        if state.early_stopping is not None:
            running = state.early_stopping.running
            old = (state.network, state.opt_state)
            network, opt_state = descent.where(running, (network, opt_state), old)
        metrics = {"loss": Mean(mean * count, count)}
        for name, total in self._training(outputs, y, weight).items():
            metrics[name] = Mean(total, jnp.sum(weight))
        metrics = jax.tree.map(lambda v: jnp.where(running, v, 0.0), metrics)
        changed = (network, opt_state, state.count + 1)
        return eqx.tree_at(lambda s: (s.network, s.opt_state, s.count), state, changed), metrics

    def model(self, state: State) -> Any:
        """Return the network."""
        return state.network

    def evaluate(self, state: Any, key: jax.Array) -> Metrics:
        """Return the metrics of a network on the part of the data that is judged by."""
        del key
        return self._evaluated(state, self.evaluation_split)

    def for_test(self, size: int) -> Self:
        """Return the learner that judges by the test part, whole; `size` does not matter."""
        del size
        return dataclasses.replace(self, evaluation_split="test")

    def for_training_part(self) -> Self | None:
        """Return the learner that judges by as many training examples as the final evaluation has held out.

        They lie evenly among all training rows. None for examples in files, and without any held out.
        """
        data = self._data
        if self.feed is not None or data.called("test") == "train":
            return None
        count = min(len(data.train), len(data.part("test")[2]))
        rows = data.train[np.linspace(0, len(data.train) - 1, count).round().astype(int)]
        return dataclasses.replace(self, evaluation_split="train", data=dataclasses.replace(data, train=rows))

    def test_description(self, size: int) -> str:
        """Return in words which examples the final evaluation looks at."""
        del size
        part, (_, _, rows) = self._data.called("test"), self._data.part("test")
        again = "" if self.independent_test else " again, since there is no test part"
        return f"the {len(rows):,} {part} examples{again}"

    independent_test: ClassVar[Any] = property(lambda self: self._data.called("test") == "test")

    def outputs(self, model: Any, x: Any) -> jax.Array | np.ndarray:
        """Return a network's outputs for raw examples (N, ...), in batches: logits, or numbers.

        Raises:
            UsageError: examples of another shape, or a row with NaN or infinity.

        """
        data = self._data
        x = x if isinstance(x, Selection) else data.keep(x)
        parts = np.array_split(np.arange(len(x)), max(1, -(-len(x) // self.evaluation_batch_size)))
        kept = (data.keep(x[i]) if isinstance(x, Selection) else x[i] for i in parts)
        outputs = [_outputs(model, data.inputs(jnp.asarray(part))) for part in kept]
        return restored(self.finish(jnp.concatenate(outputs)), data.y_origin)

    def single_input(self) -> Any:
        """Return one raw example (1, ...)."""
        return np.zeros((1, *self._data.shape), self._data.x.dtype)

    def predict_single(self, model: Any, x: Any) -> jax.Array:
        """Return a network's outputs for one raw example."""
        return self.finish(sequential.use(model, self._data.inputs(x)))

    def inference_data(self, model: Any) -> dict[str, Any]:
        """Return what examples and outputs are scaled by, and their shapes."""
        del model
        return self._data.scaling()

    def with_inference_data(self, kept: Mapping[str, Any]) -> Self:
        """Return the learner ready to predict, with data of no examples."""
        return dataclasses.replace(self, data=Data.from_scaling(kept))

    def finish(self, outputs: jax.Array) -> jax.Array:
        """Return a network's outputs in the units of the data's y; by default as they are."""
        return outputs

    def check(self) -> None:
        """Raise a `UsageError` where there is no data, or network and data do not fit together."""
        data = self._data
        if (split := self.evaluation_split) not in ("train", "validation", "test"):
            raise UsageError(f"evaluation_split must be train, validation or test, got {split!r}")
        if self.early_stopping.enabled and not len(data.validation):
            raise UsageError("early_stopping needs validation examples; the data has none")
        self._check_network()

    def _check_network(self) -> None:
        data = self._data
        check_network(self.build, sequential.use, data.shape, data.outputs, "the data")

    def _training(self, outputs: Any, y: jax.Array, weight: jax.Array) -> dict[str, jax.Array]:
        """Return sums that are worth seeing of every training batch."""
        del outputs, y, weight
        return {}

    def _rows(self, state: State, place: jax.Array) -> jax.Array:
        if self.fed is not None and self.fed.rows is not None:
            return self.fed.rows
        return jax.lax.dynamic_slice_in_dim(state.order, place, self.batch_size)

    def _evaluated(self, network: Any, which: str) -> Metrics:
        """Return the metrics on a part of the data, by what the host has read where it has."""
        if self.fed is not None and self.fed.validation is not None:
            return self.for_validation().evaluate_sums(self.fed.validation)
        return evaluation.evaluated(self, network, which)


_outputs = eqx.filter_jit(sequential.use)  # operation by operation, each would be a program of its own
