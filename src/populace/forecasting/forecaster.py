"""Forecaster: a population of networks that forecasts together."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np

from populace.core.errors import UsageError, unknown
from populace.forecasting.data.features import Features
from populace.forecasting.data.given_panel import panel_of
from populace.forecasting.data.panel import Panel
from populace.forecasting.data.windows import last_window
from populace.forecasting.evaluation.quantile_metrics import check_quantiles
from populace.forecasting.forecast import QUANTILES, Forecast, check_horizon
from populace.forecasting.model import ForecastModel

NETWORKS = ("linear", "nlinear", "dlinear", "nhits", "mlp", "lstm", "gru", "rnn", "wavenet")


@dataclass(frozen=True)
class Forecaster(ForecastModel):
    """A population of networks, trained side by side, that forecasts all series of a panel.

    Members start from different weights and see different batches; with `bootstrap_block` they see different
    windows too. Quantiles are those of each member's head, averaged over members level by level; where the
    head is a single number (`head="point"`), they are those of the members' numbers. Members that only start
    differently agree once they are trained out, if the model is linear, and their spread is then no forecast
    interval: wrap the model in [`Conformal`][populace.forecasting.Conformal], or learn quantiles.

    Attributes:
        window: steps of history.
        horizon: steps that are forecast at once.
        network: `linear`, `nlinear`, `dlinear`, `nhits`, `mlp`, `lstm`, `gru`, `rnn`, `wavenet`, or a plan
            of a network.
        head: `quantile`, `point`, `gaussian`, `student-t`, or a head.
        members: networks.
        steps: gradient steps.
        batch_size: windows per step.
        learning_rate: step size of Adam.
        center: what histories are centered by: `last`, `mean` or `none`; by default `last`, and `none` for
            `linear`.
        scale: what each window is divided by: `none`, its own `deviation` (RevIN, with center `mean`), or the
            mean `difference` of observations a season apart, as in the MASE.
        standardize: each series by the mean and deviation of its history, before anything else.
        bootstrap_block: windows per block of each member's bootstrap; 0 for none.
        validation: how many of the last steps choose each member's best weights; 0 keeps the last weights.
        seed: root of all randomness.
        strategy: how members are trained at once.
        settings: further settings of the learner, by name.

    """

    window: int = 24
    horizon: int = 12
    network: Any = "nlinear"
    head: Any = "quantile"
    members: int = 10
    steps: int = 1000
    batch_size: int = 32
    learning_rate: float = 1e-3
    center: str | None = None
    scale: str = "none"
    standardize: bool = True
    bootstrap_block: int = 0
    validation: int = 0
    seed: int = 0
    strategy: str = "vmap"
    settings: dict[str, Any] = field(default_factory=dict)
    panel: Panel | None = None
    weights: Any = None
    """Weights of all members, of a fitted model."""
    scales: tuple[np.ndarray, np.ndarray] | None = None
    """Mean and deviation of each series' history, of a fitted model."""
    features: Features = field(default_factory=Features)
    """What exogenous columns were fitted, and their scale."""
    season: int = 1
    """Steps of a season of what was fitted."""

    @property
    def name(self) -> str:
        """The network's name."""
        return self.network if isinstance(self.network, str) else type(self.network).__name__

    def fit(self, data: Any) -> Self:
        """Train the members.

        Raises:
            UsageError: data too short for the windows, or a setting that is none.

        """
        import jax

        from populace.core.population import sweep
        from populace.engine.training_loop import Engine

        panel = panel_of(data)
        found = self._scales(panel)
        features = Features.of(panel)
        inputs = standardized(features.aligned(panel), found)
        learner = (
            replace(self, season=panel.frequency.season)
            .learner()
            .with_panel(inputs, validation=self.validation)
        )
        if self.members < 1 or self.steps < 1:
            raise UsageError(f"members and steps must be at least 1, got {self.members} and {self.steps}")
        engine = Engine(sweep(learner, seeds=self.members, seed=self.seed), self.strategy)
        every = max(1, self.steps // 20) if self.validation else 0
        engine.train(self.steps, window=self.steps, evaluate_every=every)
        (group,) = engine.group_states
        model = group.best.model if self.validation else group.program.models(group.state())
        weights = [np.asarray(leaf)[: self.members] for leaf in jax.tree.leaves(model)]
        return replace(
            self,
            panel=panel,
            weights=weights,
            scales=found,
            features=features,
            season=panel.frequency.season,
        )

    def predict(self, horizon: int, quantiles: Sequence[float] = QUANTILES, *, data: Any = None) -> Forecast:
        """Forecast all series by all members.

        Raises:
            UsageError: an unfitted model, a horizon beyond the one that was learned, or a history that is
                shorter than the window or has a gap in it.

        """
        horizon, levels = check_horizon(horizon), check_quantiles(quantiles)
        panel = self._history(data)
        learner = self.learner()
        if self.weights is None:
            raise UsageError(f"{self.name} has not been fitted; call fit first")
        if horizon > self.horizon:
            raise UsageError(
                f"{self.name} was trained for {self.horizon} steps, got a horizon of {horizon}; give "
                f"horizon={horizon} and fit again"
            )
        outputs = self.member_outputs(panel, horizon)
        mean, deviation = (column[:, None] for column in self._scales_of(panel))
        point = outputs[0].mean(0) * deviation + mean
        if learner.head.spread:
            values = outputs[1](levels).mean(0)
        else:
            values = np.moveaxis(np.quantile(outputs[0], levels, axis=0), 0, -1)
        values = np.sort(values * deviation[..., None] + mean[..., None], -1)
        return Forecast(panel, point[:, :horizon], tuple(levels.tolist()), values[:, :horizon], self.name)

    def learner(self) -> Any:
        """Return the learner that the settings describe, without data."""
        from populace.forecasting.learner import SeriesForecaster

        center = self.center or ("none" if self.network == "linear" else "last")
        return SeriesForecaster(
            window=self.window, horizon=self.horizon, network=_network(self.network), head=_head(self.head),
            batch_size=self.batch_size, learning_rate=self.learning_rate, center=center, scale=self.scale,
            season=self.season,
            bootstrap_block=self.bootstrap_block,
            feature_count=self.features.size(self.window, self.horizon), **self.settings,
        )  # fmt: skip

    def member_outputs(self, panel: Panel, horizon: int) -> Any:
        """Return each member's points (members, n, steps), and a function from levels to its quantiles.

        Both are in units of each standardized series. Exogenous columns must be known for the horizon; the
        steps behind it, up to those that were fitted, are forecast with the columns' means.
        """
        import equinox as eqx
        import jax
        import jax.numpy as jnp

        from populace.forecasting.learner import forecast

        assert self.weights is not None
        learner = self.learner()
        mean, deviation = self._scales_of(panel)
        panel = self.features.aligned(panel)
        history = (last_window(panel, self.window) - mean[:, None]) / deviation[:, None]
        shapes = eqx.filter_eval_shape(learner.build, jax.random.key(0))
        arrays, rest = eqx.partition(shapes, lambda leaf: isinstance(leaf, jax.ShapeDtypeStruct))
        stacked = jax.tree.unflatten(jax.tree.structure(arrays), [jnp.asarray(w) for w in self.weights])
        inputs = (jnp.asarray(x, jnp.float32) for x in (history, self._ahead(panel, horizon)))
        outputs, level, scale = forecast(learner, stacked, rest, *inputs)
        outputs, level, scale = np.asarray(outputs, np.float64), np.asarray(level), np.asarray(scale)
        point = learner.head.point(outputs) * scale + level

        def quantiles(levels: np.ndarray) -> np.ndarray:
            return learner.head.quantiles(outputs, levels) * scale[..., None] + level[..., None]

        return point, quantiles

    def _scales(self, panel: Panel) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and deviation of each series' history, before the validation part."""
        if not self.standardize:
            return np.zeros(len(panel)), np.ones(len(panel))
        return scales(panel, self.validation)

    def _scales_of(self, panel: Panel) -> tuple[np.ndarray, np.ndarray]:
        """Return the scales that were learned; those of its history for a series that is new."""
        assert self.panel is not None
        assert self.scales is not None
        if panel.ids == self.panel.ids:
            return self.scales
        places = self.panel.places(panel.ids)
        own = replace(self, validation=0)._scales(panel)
        mean, deviation = (np.where(places < 0, new, old[places]) for new, old in zip(own, self.scales))
        return mean, deviation

    def _ahead(self, panel: Panel, horizon: int) -> np.ndarray:
        """Return the exogenous numbers of each series' forecast, (n, features)."""
        series, window = np.arange(len(panel)), self.window
        return self.features.rows(panel, series, panel.lengths, window, horizon, self.horizon)


def scales(panel: Panel, held_out: int) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and deviation of each series, (n,), without its last steps where others are known."""
    parts = [series[: len(series) - held_out] for series in panel]
    parts = [part if np.isfinite(part).any() else series for part, series in zip(parts, panel)]
    mean = np.array([np.nanmean(part) for part in parts])
    deviation = np.array([np.nanstd(part) for part in parts])
    return mean, np.where(deviation > 1e-9 * np.abs(mean), deviation, 1.0)


def standardized(panel: Panel, found: tuple[np.ndarray, np.ndarray]) -> Panel:
    """Return a panel in units of what `scales` found."""
    mean, deviation = (np.repeat(column, panel.lengths) for column in found)
    return replace(panel, values=(panel.values - mean) / deviation)


def _network(given: Any) -> Any:
    from populace.forecasting import networks
    from populace.forecasting.nhits import NHiTS

    if not isinstance(given, str):
        return given
    made: dict[str, Any] = {
        "linear": networks.LinearNetwork,
        "nlinear": networks.LinearNetwork,
        "dlinear": networks.DLinear,
        "mlp": networks.ForecastMLP,
        "wavenet": networks.WaveNet,
        "nhits": NHiTS,
    }
    if given in ("lstm", "gru", "rnn"):
        return networks.RecurrentNetwork(cell=given)
    if given not in made:
        raise unknown("network", given, NETWORKS)
    return made[given]()


def _head(given: Any) -> Any:
    from populace.forecasting import heads

    if not isinstance(given, str):
        return given
    made = {kind.kind: kind for kind in (heads.Point, heads.Quantile, heads.Gaussian, heads.StudentT)}
    if given not in made:
        raise unknown("head", given, made)
    return made[given]()
