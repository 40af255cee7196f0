"""The learner behind forecasters: one network for all series, trained on windows drawn at random."""

import dataclasses
from typing import Any, ClassVar, Self

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from populace.core.errors import UsageError
from populace.core.learner import Learner
from populace.core.mean import Mean, Metrics
from populace.core.settings import setting
from populace.forecasting.data.panel import Panel
from populace.forecasting.data.windows import CENTERS, SCALES, centered, say_short, windows
from populace.forecasting.heads import Head, Point
from populace.forecasting.networks import ForecastNetwork, LinearNetwork, with_features
from populace.nn.primitives.windows import cut
from populace.optim import gradient_step as descent
from populace.optim.optimizers import Adam, Optimizer
from populace.optim.schedules import Constant, Schedule


class SeriesData(eqx.Module):
    """Observations in units of each series, and where its windows begin.

    Attributes:
        values: (total,) float32, standardized per series by what is learned from.
        train: (N,) places where training windows begin, series by series.
        validation: (M,) those of the windows whose targets lie in the validation part.
        exogenous: (total, columns) of the past, of the future, and static ones, (total, 0) if there are none.

    """

    values: np.ndarray
    train: np.ndarray
    validation: np.ndarray
    exogenous: tuple[np.ndarray, np.ndarray, np.ndarray]

    @classmethod
    def of(cls, panel: Panel, window: int, horizon: int, *, validation: int = 0) -> "SeriesData":
        """Return the data of a panel that is standardized already.

        Args:
            panel: standardized series.
            window: steps of history.
            horizon: steps of the target.
            validation: how many of the last steps of each series are the targets of validation alone.

        Raises:
            UsageError: no training window, or no validation window where some were asked for.

        """
        whole = windows(panel, window + horizon)
        target_end = whole.begins + window + horizon - panel.offsets[:-1][whole.series]
        held = panel.lengths[whole.series] - validation
        train = whole.begins[target_end <= held]
        tested = whole.begins[(target_end - horizon >= held) & (validation > 0)]
        if not len(train) or (validation and not len(tested)):
            longest = int(np.argmax(panel.lengths))
            kept = f" and a validation part of {validation}" if validation else ""
            raise UsageError(
                f"a window of {window}, a horizon of {horizon}{kept} leave no window in the longest series, "
                f"{panel.ids[longest]!r}, of {panel.lengths[longest]} observations; give shorter ones"
            )
        say_short(panel, whole.series[target_end <= held], window + horizon + validation, 6)
        values = np.nan_to_num(panel.values).astype(np.float32)
        return cls(values, train.astype(np.int32), tested.astype(np.int32), _exogenous(panel))


def _exogenous(panel: Panel) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return exogenous columns step by step, each (total, columns)."""
    series, given = np.repeat(np.arange(len(panel)), panel.lengths), panel.exogenous
    steps = np.arange(len(series)) - panel.offsets[:-1][series]
    future = given.steps(series, steps, 1)[:, 0] if given.future else np.zeros((len(series), 0))
    past, static = (
        np.stack(list(columns.values()), -1) if columns else np.zeros((count, 0))
        for columns, count in ((given.past, len(series)), (given.static, len(panel)))
    )
    past, future, static = (np.nan_to_num(part).astype(np.float32) for part in (past, future, static[series]))
    return past, future, static


class State(eqx.Module):
    """A network while it trains.

    Attributes:
        network: weights.
        opt_state: what the optimizer remembers.
        count: steps taken.
        blocks: the member's own draw of blocks of windows, with replacement; None without the bootstrap.

    """

    network: Any
    opt_state: Any
    count: jax.Array
    blocks: jax.Array | None


class SeriesForecaster(Learner):
    """Learns to forecast `horizon` steps from `window` steps, all series by one network.

    A step draws a batch of windows at random, with replacement. Histories are centered by their last
    observation or their mean, and may be divided by their deviation; targets likewise, by the history's.

    With `bootstrap_block` each member draws its own windows once, in blocks of so many neighbours, with
    replacement (H. R. Kuensch 1989, The jackknife and the bootstrap for general stationary observations):
    members then differ by what they have seen, and not by their start alone.
    """

    unit: ClassVar[str] = "windows"
    score: ClassVar[str] = "loss"
    mode: ClassVar[Any] = "min"

    data: SeriesData | None = None

    window: int = setting(24, low=1, help="steps of history that the network sees")
    horizon: int = setting(12, low=1, help="steps that are forecast at once")
    center: str = setting("last", choices=CENTERS, help="what a history is centered by")
    scale: str = setting("none", choices=SCALES, help="what a history is divided by, and its target")
    season: int = setting(1, low=1, help="steps of a season, for the scale of differences")
    network: ForecastNetwork = setting(LinearNetwork(), help="network")
    head: Head = setting(Point(), help="what is said of each step, and the loss")
    batch_size: int = setting(32, low=1, help="windows per step")
    feature_count: int = setting(0, low=0, help="exogenous numbers of a window; known by the data")
    feature_hidden: int = setting(0, low=0, help="hidden units that read them with the history; 0: linear")
    bootstrap_block: int = setting(0, low=0, help="windows per block of a member's bootstrap; 0 for none")
    learning_rate: float = descent.learning_rate(1e-3)
    optimizer: Optimizer = descent.optimizer(Adam())
    schedule: Schedule = descent.schedule(Constant())
    weight_decay: float | None = descent.weight_decay(None)
    max_gradient_norm: float | None = descent.max_gradient_norm(None)
    evaluation_batch_size: int = setting(512, low=1, help="windows evaluated at a time")

    @property
    def units_per_step(self) -> int:
        """Windows per step."""
        return self.batch_size

    @property
    def independent_test(self) -> bool:
        """No: a backtest measures on what neither training nor selection has seen."""
        return False

    def init(self, key: jax.Array) -> State:
        """Return fresh weights, and the member's draw of windows."""
        network = self.build(key)
        blocks = None
        if self.bootstrap_block:
            count = -(-len(self._data.train) // self.bootstrap_block)
            blocks = jax.random.randint(jax.random.fold_in(key, 1), (count,), 0, count)
        return State(network, descent.initial_opt_state(self, network), jnp.int32(0), blocks)

    def build(self, key: jax.Array) -> Any:
        """Return a fresh network."""
        body = self.network.build(self.window, self.horizon, self.head.size, key=key)
        if not self.feature_count:
            return body
        outputs = self.horizon * self.head.size
        key = jax.random.fold_in(key, 2)
        return with_features(body, self.window, self.feature_count, outputs, self.feature_hidden, key)

    def step(self, state: State, key: jax.Array) -> tuple[State, Metrics]:
        """Take one gradient step on windows drawn at random."""
        drawn = jnp.asarray(self._data.train)[self._drawn(state, key)]
        inputs, target, _ = self._windows(drawn)

        def loss(network: Any) -> Any:
            # In one row, as `cut` makes targets: XLA takes twice as long for rows as short as a horizon.
            outputs = self.outputs(network, inputs).reshape(-1, self.head.size)
            return jnp.mean(self.head.loss(outputs, target.reshape(-1))), None

        network, opt_state, mean, _ = descent.gradient_step(
            self, loss, state.network, state.opt_state, state.count
        )
        changed = State(network, opt_state, state.count + 1, state.blocks)
        return changed, {"loss": Mean(mean * self.batch_size, self.batch_size)}

    def _drawn(self, state: State, key: jax.Array) -> jax.Array:
        """Return which training windows a step takes, (B,), with replacement."""
        # A remainder of 32 bits prefers no window by more than N / 2^32, and costs a third of `randint`.
        count = len(self._data.train)
        drawn = (jax.random.bits(key, (self.batch_size,)) % np.uint32(count)).astype(jnp.int32)
        if state.blocks is None:
            return drawn
        size = self.bootstrap_block
        return jnp.minimum(state.blocks[drawn // size] * size + drawn % size, count - 1)

    def outputs(self, network: Any, inputs: jax.Array) -> jax.Array:
        """Return a network's outputs (B, horizon, size) for centered histories."""
        return jax.vmap(network)(inputs).reshape(*inputs.shape[:-1], self.horizon, self.head.size)

    def normalized(self, history: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Return centered and scaled histories (B, window), their levels and scales, (B, 1)."""
        return centered(history, self.center, self.scale, self.season)

    def model(self, state: State) -> Any:
        """Return the network."""
        return state.network

    def evaluate(self, state: Any, key: jax.Array) -> Metrics:
        """Return loss, MAE and MSE in units of each series, on validation windows, else on training ones."""
        del key
        data = self._data
        begins = jnp.asarray(data.validation if len(data.validation) else data.train)
        size = min(self.evaluation_batch_size, len(begins))
        count = -(-len(begins) // size)
        padded = jnp.resize(begins, (count, size))
        weight = (jnp.arange(count * size) < len(begins)).astype(jnp.float32).reshape(count, size)

        def batch(chosen: tuple[jax.Array, jax.Array]) -> dict[str, jax.Array]:
            places, weight = chosen
            inputs, target, scale = self._windows(places)
            outputs = self.outputs(state, inputs)
            error = (self.head.point(outputs) - target) * scale
            rows = {
                "loss": self.head.loss(outputs, target),
                "MAE": jnp.abs(error),
                "MSE": error**2,
            }
            return {name: jnp.sum(row.mean(1) * weight) for name, row in rows.items()}

        sums = jax.lax.map(batch, (padded, weight))
        return {name: Mean(total.sum(), len(begins)) for name, total in sums.items()}

    def for_test(self, size: int) -> Self:
        """Return the learner itself: the validation windows are judged by."""
        del size
        return self

    def test_description(self, size: int) -> str:
        """Return in words what is judged by."""
        del size
        part = "validation" if len(self._data.validation) else "training"
        return f"the {part} windows again; a backtest measures on later observations"

    def check(self) -> None:
        """Raise a `UsageError` where there are no data, or they were cut for other windows."""
        self._data  # noqa: B018
        if self.bootstrap_block > len(self._data.train):
            raise UsageError(
                f"bootstrap_block is {self.bootstrap_block}, and there are {len(self._data.train)} training "
                "windows; give a shorter block"
            )

    def with_panel(self, panel: Panel, *, validation: int = 0) -> Self:
        """Return the learner with the windows of a standardized panel."""
        data = SeriesData.of(panel, self.window, self.horizon, validation=validation)
        past, future, static = (columns.shape[1] for columns in data.exogenous)
        features = self.window * past + self.horizon * future + static
        return dataclasses.replace(self, data=data, feature_count=features)

    def _windows(self, begins: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Return inputs (B, window + features), targets as `normalized` (B, horizon), and scales (B, 1)."""
        direct = self.scale == "none" and self.center in ("last", "none")
        inputs, target = cut(
            jnp.asarray(self._data.values), begins, self.window, self.horizon,
            less_last=direct and self.center == "last",
        )  # fmt: skip
        scale = jnp.ones_like(target[:, :1])
        if not direct:
            inputs, level, scale = self.normalized(inputs)
            target = (target - level) / scale
        places = begins[:, None] + jnp.arange(self.window + self.horizon)
        before, after = places[:, : self.window], places[:, self.window :]
        for columns, where in zip(self._data.exogenous, (before, after, before[:, :1])):
            if columns.shape[1]:
                extra = jnp.asarray(columns)[where].reshape(len(begins), -1)
                inputs = jnp.concatenate([inputs, extra], 1)
        return inputs, target, scale

    @property
    def _data(self) -> SeriesData:
        if self.data is None:
            raise UsageError("SeriesForecaster has no data; give it some by with_panel, or use Forecaster")
        return self.data


@eqx.filter_jit
def forecast(
    learner: SeriesForecaster, stacked: Any, rest: Any, history: jax.Array, features: jax.Array
) -> Any:
    """Return what all members say of histories (n, window): (members, n, horizon, size), levels and scales.

    Args:
        learner: without data.
        stacked: the arrays of all members' networks, members in front.
        rest: what of a network is no array.
        history: in units of each standardized series.
        features: (n, feature_count) standardized exogenous numbers.

    """
    inputs, level, scale = learner.normalized(history)
    inputs = jnp.concatenate([inputs, features], 1)
    outputs = jax.vmap(lambda one: learner.outputs(eqx.combine(one, rest), inputs))(stacked)
    return outputs, level, scale
