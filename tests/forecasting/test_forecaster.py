"""Populations of forecasters: the invariants, known answers, members that are alone, and clear refusals."""

from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from populace.core.errors import UsageError
from populace.core.population import sweep
from populace.forecasting import Forecaster, Panel
from populace.forecasting.learner import SeriesData, SeriesForecaster, State
from tests import harness

STEPS = np.arange(240)
WAVES = [np.sin(STEPS / 3) * 5 + 50, np.cos(STEPS / 3)[:200] * 500]


def learner(**settings: object) -> SeriesForecaster:
    noise = np.random.default_rng(0).normal(size=(2, 80)).cumsum(1)
    return SeriesForecaster(window=6, horizon=2, batch_size=8, **settings).with_panel(  # pyright: ignore[reportArgumentType]
        Panel.of(list(noise / 10)), validation=10
    )


def test_invariants(tmp_path: Path):
    harness.check_learner(learner(bootstrap_block=5), {"learning_rate": [1e-2, 1e-3]}, 20, tmp_path)


def test_waves_are_continued_by_every_series_in_its_own_unit():
    model = Forecaster(window=24, horizon=12, members=3, steps=1500, learning_rate=5e-3, batch_size=64)
    fitted = model.fit(WAVES)
    found = fitted.predict(12)
    ahead = [np.sin(np.arange(240, 252) / 3) * 5 + 50, np.cos(np.arange(200, 212) / 3) * 500]
    for point, expected, size in zip(found.point, ahead, (5, 500)):
        assert np.abs(point - expected).max() < 0.1 * size
    assert np.all(np.diff(found.values, axis=-1) >= 0)
    # what was learned serves later history too, and one series as well as both
    later = fitted.predict(12, data=[WAVES[0][:150], WAVES[1][:150]]).point
    assert np.abs(later[0] - WAVES[0][150:162]).max() < 0.5
    alone = replace(Panel.of([WAVES[1][:150]]), ids=(1,))
    assert np.allclose(fitted.predict(5, data=alone).point, later[1:, :5], rtol=1e-4)


def test_members_bootstrap_blocks_of_windows():
    data = learner().data
    assert data is not None
    engine = harness.only_trained(sweep(learner(bootstrap_block=20), seeds=3), 1)
    states = harness.states(engine)
    blocks = [
        next(leaf for leaf in states[member] if leaf.shape == (len(data.train) // 20 + 1,))
        for member in states
    ]
    assert all(block.max() <= len(data.train) // 20 for block in blocks)
    assert len({tuple(block.tolist()) for block in blocks}) == 3


def test_every_training_window_is_drawn_as_often_as_any_other():
    given = learner()
    assert given.data is not None
    count = len(given.data.train)
    draw = jax.jit(jax.vmap(lambda key: given._drawn(State(None, None, jnp.int32(0), None), key)))
    drawn = np.bincount(np.asarray(draw(jax.random.split(jax.random.key(0), 5000))).ravel(), minlength=count)
    assert len(drawn) == count
    assert stats.chisquare(drawn).pvalue > 1e-3


def test_windows_are_those_that_begin_where_they_say():
    given = learner()
    assert given.data is not None
    values, begins = given.data.values, given.data.train
    inputs, target, scale = (
        np.asarray(part) for part in jax.jit(lambda b: given._windows(b))(jnp.asarray(begins))
    )
    expected = np.stack([values[b : b + 8] - values[b + 5] for b in begins])
    assert np.allclose(inputs, expected[:, :6], atol=1e-6)
    assert np.allclose(target, expected[:, 6:], atol=1e-6)
    assert np.all(scale == 1)


def test_validation_windows_have_targets_that_training_never_sees():
    panel = Panel.of([np.arange(20.0), np.arange(100.0, 112.0)])
    data = SeriesData.of(panel, 4, 2, validation=5)
    targets = {int(v) for begin in data.train for v in data.values[begin + 4 : begin + 6]}
    assert targets == {*range(4, 15), *range(104, 107)}
    held = {int(v) for begin in data.validation for v in data.values[begin + 4 : begin + 6]}
    assert held == {*range(15, 20), *range(107, 112)}
    with pytest.raises(
        UsageError, match="a window of 12, a horizon of 2 and a validation part of 8 leave no"
    ):
        SeriesData.of(panel, 12, 2, validation=8)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"network": "transformer"}, "unknown network 'transformer'"),
        ({"head": "gauss"}, "unknown head 'gauss'; did you mean 'gaussian'"),
        ({"members": 0}, "members and steps must be at least 1"),
        ({"window": 0}, "window must be >= 1"),
        ({"window": 400}, "leave no window in the longest series, 0, of 240 observations"),
    ],
)
def test_settings_are_checked_before_training(settings: dict, message: str):
    with pytest.raises(UsageError, match=message):
        Forecaster(**settings).fit(WAVES)


def test_what_cannot_be_forecast_is_refused():
    with pytest.raises(UsageError, match="nlinear has not been fitted"):
        Forecaster().predict(3)
