"""What every supervised learner shares: epochs of batches, early stopping, evaluation in batches."""

import dataclasses
from abc import abstractmethod
from typing import Any, ClassVar, Self

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from populace.core.errors import UsageError
from populace.core.learner import Learner, Mean, Metrics
from populace.core.settings import setting
from populace.nn.modules import sequential
from populace.nn.primitives.buffer import trainable
from populace.optim.optimisers import Adam, Constant, Optimiser, Schedule, descend
from populace.supervised.data import Data, restored
from populace.supervised.networks import MLP, Network


class State(eqx.Module):
    """A network while it trains.

    Attributes:
        network: weights, and running statistics of normalisations.
        memory: what the optimiser remembers.
        order: the training rows in this epoch's order, filled up to whole batches.
        count: steps taken.
        best_loss: lowest validation loss at the start of an epoch, for early stopping.
        patience: epochs since.
        stopped_at: step at which the member stopped early, or -1.

    """

    network: Any
    memory: Any
    order: jax.Array
    count: jax.Array
    best_loss: jax.Array
    patience: jax.Array
    stopped_at: jax.Array


class Supervised(Learner):
    """Learns y from x by gradient descent on a loss, in batches.

    Every epoch goes through the training rows in a fresh random order, each row once; where the batch
    does not divide their number, the last batch of an epoch is filled up with rows of weight zero.
    """

    unit: ClassVar[str] = "samples"

    data: Data | None = None
    plan: Any = eqx.field(default=None, static=True)
    """A network of the user's own: `plan(inputs, outputs, key)` returns an Equinox module."""
    judge: str = eqx.field(default="validation", static=True)
    """The part of the data that `evaluate` looks at; the final evaluation looks at `test`."""

    network: Network = setting(MLP(), help="the network, where no `plan` is given in Python")
    batch_size: int = setting(128, low=1, help="examples per step")
    learning_rate: float = setting(1e-3, above=0, help="step size")
    optimizer: Optimiser = setting(Adam(), help="rule that turns gradients into steps")
    schedule: Schedule = setting(Constant(), help="factor on the learning rate over the steps")
    weight_decay: float = setting(0.0, low=0, help="decoupled decay of weights, per step and learning rate")
    max_gradient_norm: float = setting(0.0, low=0, help="largest norm of a gradient; 0 for any")
    patience: int = setting(
        0, low=0, help="epochs without a better validation loss before a member stops; 0: never"
    )
    evaluation_batch_size: int = setting(250, low=1, help="examples evaluated at a time")

    # -- what a kind of supervised learning says of itself -----------------------------------------

    @abstractmethod
    def losses(self, outputs: jax.Array, y: jax.Array) -> jax.Array:
        """Return the loss of each example, shape (N,)."""

    @abstractmethod
    def measure(self, outputs: jax.Array, y: jax.Array, weight: jax.Array) -> dict[str, jax.Array]:
        """Return sums over examples, each times its weight; what `conclude` makes metrics of."""

    @abstractmethod
    def conclude(self, sums: dict[str, jax.Array], y: jax.Array) -> Metrics:
        """Return the metrics of the sums over all examples; y is the whole part that was judged."""

    def augment(self, x: jax.Array, key: jax.Array) -> jax.Array:
        """Return a training batch changed at random; by default as it is."""
        del key
        return x

    # -- the learner -------------------------------------------------------------------------------

    @property
    def units_per_step(self) -> int:
        """Examples per step."""
        return self.batch_size

    @property
    def epoch_steps(self) -> int:
        """Steps per epoch."""
        return self.epochs(1)

    def epochs(self, count: float) -> int:
        """Return how many steps so many epochs take."""
        return round(count * -(-len(self._data.train) // self.batch_size))

    def init(self, key: jax.Array) -> State:
        """Return fresh weights; the first order of rows comes with the first `on_epoch_start`."""
        network = self.build(key)
        memory = self.optimizer.rule().init(eqx.filter(network, trainable(network)))
        return State(
            network=network,
            memory=memory,
            order=jnp.zeros(self.epoch_steps * self.batch_size, jnp.int32),
            count=jnp.int32(0),
            best_loss=jnp.float32(jnp.inf),
            patience=jnp.int32(0),
            stopped_at=jnp.int32(-1),
        )

    def build(self, key: jax.Array) -> Any:
        """Return a fresh network for the data."""
        data = self._data
        if self.plan is not None:
            return self.plan(data.shape, data.outputs, key)
        return self.network.build(data.shape, data.outputs, key=key)

    def on_epoch_start(self, state: State, key: jax.Array) -> State:
        """Shuffle the rows for the next epoch; stop where the validation loss has not fallen for long."""
        rows = jnp.asarray(self._data.train)
        order = jax.random.permutation(key, rows)
        fill = self.epoch_steps * self.batch_size - len(rows)
        order = jnp.concatenate([order, jnp.resize(order, (fill,))])
        state = eqx.tree_at(lambda s: s.order, state, order)
        if not self.patience:
            return state
        loss = self._judged(state.network, "validation")["loss"].value
        better = loss < state.best_loss
        waited = jnp.where(better, 0, state.patience + 1)
        running = state.stopped_at < 0
        stopped_at = jnp.where(running & (waited >= self.patience), state.count, state.stopped_at)
        best = jnp.where(better, loss, state.best_loss)
        return eqx.tree_at(
            lambda s: (s.best_loss, s.patience, s.stopped_at), state, (best, waited, stopped_at)
        )

    def step(self, state: State, key: jax.Array) -> tuple[State, Metrics]:
        """Take one gradient step on the next batch of the epoch."""
        data, (augment_key, network_key) = self._data, jax.random.split(key)
        place = (state.count % self.epoch_steps) * self.batch_size
        rows = jax.lax.dynamic_slice_in_dim(state.order, place, self.batch_size)
        real = (place + jnp.arange(self.batch_size) < len(data.train)).astype(jnp.float32)
        x, y = jnp.asarray(data.x)[rows], jnp.asarray(data.y)[rows]
        x = self.augment(data.inputs(x), augment_key)
        weights, rest = eqx.partition(state.network, trainable(state.network))

        def loss_of(weights: Any) -> Any:
            outputs, network = sequential.learn(eqx.combine(weights, rest), x, network_key)
            loss = jnp.sum(self.losses(outputs, y) * real) / jnp.sum(real)
            return loss, (outputs, network)

        (loss, (outputs, network)), gradient = jax.value_and_grad(loss_of, has_aux=True)(weights)
        moved, memory = descend(
            weights, gradient, state.memory,
            optimizer=self.optimizer, weight_decay=self.weight_decay,
            max_gradient_norm=self.max_gradient_norm,
            rate=self.learning_rate * self.schedule.factor(state.count),
        )  # fmt: skip
        _, buffers = eqx.partition(network, trainable(network))
        network = eqx.combine(moved, buffers)
        count, running = jnp.sum(real), jnp.bool(True)
        if self.patience:
            running = state.stopped_at < 0
            network, memory = _where(running, (network, memory), (state.network, state.memory))
        metrics = {"loss": Mean(loss * count, count)}
        for name, total in self._training(outputs, y, real).items():
            metrics[name] = Mean(total, count)
        metrics = jax.tree.map(lambda v: jnp.where(running, v, 0.0), metrics)
        after = eqx.tree_at(
            lambda s: (s.network, s.memory, s.count), state, (network, memory, state.count + 1)
        )
        return after, metrics

    def model(self, state: State) -> Any:
        """Return the network."""
        return state.network

    def evaluate(self, state: Any, key: jax.Array) -> Metrics:
        """Return the metrics of a network on the part of the data that is judged by."""
        del key
        return self._judged(state, self.judge)

    def for_test(self, size: int) -> Self:
        """Return the learner that judges by the test part, whole; `size` does not matter."""
        del size
        return dataclasses.replace(self, judge="test")

    def test_description(self, size: int) -> str:
        """Return in words which examples the final evaluation looks at."""
        del size
        part, (_, _, rows) = self._data.called("test"), self._data.part("test")
        again = "" if part == "test" else " again, since there is no test part"
        return f"the {len(rows):,} {part} examples{again}"

    def predict(self, model: Any, x: Any) -> jax.Array | np.ndarray:
        """Return a network's outputs for raw examples (N, ...), in batches: logits, or numbers.

        Raises:
            UsageError: examples of another shape, or a row with NaN or infinity.

        """
        data = self._data
        x = data.keep(x)
        parts = np.array_split(x, max(1, -(-len(x) // self.evaluation_batch_size)))
        outputs = [sequential.use(model, data.inputs(jnp.asarray(part))) for part in parts]
        return restored(self.finish(jnp.concatenate(outputs)), data.y_origin)

    def finish(self, outputs: jax.Array) -> jax.Array:
        """Return a network's outputs in the units of the data's y; by default as they are."""
        return outputs

    def check(self) -> None:
        """Raise a `UsageError` where there is no data, or network and data do not fit together."""
        data = self._data
        if self.judge not in ("train", "validation", "test"):
            raise UsageError(f"judge must be train, validation or test, got {self.judge!r}")
        if self.patience and not len(data.validation):
            raise UsageError("early stopping (patience) needs validation examples; the data has none")
        network = eqx.filter_eval_shape(lambda: self.build(jax.random.key(0)))
        example = jax.ShapeDtypeStruct((1, *data.shape), jnp.float32)
        try:
            found = eqx.filter_eval_shape(sequential.use, network, example)
        except UsageError:
            raise
        except (TypeError, ValueError) as error:  # what JAX says of shapes names neither network nor data
            reason = str(error).splitlines()[0]
            raise UsageError(f"the network does not take examples of shape {data.shape}: {reason}") from error
        shape = getattr(found, "shape", None)
        if shape != (1, data.outputs):
            got = f"an output of shape {shape[1:]}" if shape else f"a {type(found).__name__}"
            raise UsageError(f"the network gives {got} per example; the data needs ({data.outputs},)")

    @property
    def _data(self) -> Data:
        if self.data is None:
            name = type(self).__name__
            raise UsageError(f"{name} has no data; make it in Python, with populace.supervised.Data")
        return self.data

    def _training(self, outputs: jax.Array, y: jax.Array, weight: jax.Array) -> dict[str, jax.Array]:
        """Return sums that are worth seeing of every training batch."""
        del outputs, y, weight
        return {}

    def _judged(self, network: Any, which: str) -> Metrics:
        """Return the metrics on a part of the data, gone through in batches."""
        data = self._data
        x, y, rows = (jnp.asarray(a) for a in data.part(which))
        size = min(self.evaluation_batch_size, len(rows))
        count = -(-len(rows) // size)
        padded = jnp.resize(rows, (count, size))
        weight = (jnp.arange(count * size) < len(rows)).astype(jnp.float32).reshape(count, size)

        def batch(rows_and_weight: tuple[jax.Array, jax.Array]) -> dict[str, jax.Array]:
            rows, weight = rows_and_weight
            outputs = sequential.use(network, data.inputs(x[rows]))
            sums = self.measure(outputs, y[rows], weight)
            return sums | {"loss": jnp.sum(self.losses(outputs, y[rows]) * weight), "count": jnp.sum(weight)}

        sums = {name: v.sum(0) for name, v in jax.lax.map(batch, (padded, weight)).items()}
        loss = Mean(sums.pop("loss"), sums["count"])
        return {"loss": loss, **self.conclude(sums, y[rows])}


def _where(condition: jax.Array, new: Any, old: Any) -> Any:
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b) if eqx.is_array(a) else a, new, old)
