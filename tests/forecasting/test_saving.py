"""Models that are saved, loaded, and updated with what came since."""

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from populace.core.errors import RunError, UsageError
from populace.forecasting import (
    ETS,
    Conformal,
    Forecaster,
    Linear,
    Naive,
    Panel,
    SeasonalNaive,
    load,
    read,
)
from populace.forecasting.networks import ForecastMLP

RNG = np.random.default_rng(0)
SERIES = [RNG.normal(size=60).cumsum(), RNG.normal(size=50).cumsum()]


def table(first: int, last: int, *, holiday: bool = True) -> dict[str, Any]:
    stamps = [date(2024, 1, 1 + i) if i < 31 else date(2024, 2, i - 30) for i in range(first, last)]
    columns = {"ds": stamps, "y": [float(i % 5) if i < last - 2 else np.nan for i in range(first, last)]}
    return columns | ({"holiday": [float(i % 7 == 0) for i in range(first, last)]} if holiday else {})


@pytest.mark.parametrize(
    "model",
    [
        SeasonalNaive(season=3),
        ETS(),
        Linear(window=4, horizon=2, recursive=True),
        Conformal(Linear(window=4, horizon=2), windows=5, horizon=2),
        Forecaster(
            window=6, horizon=2, members=2, steps=5, network=ForecastMLP(hidden_sizes=(3,)), validation=8
        ),
    ],
    ids=lambda model: model.name,
)
def test_a_model_is_the_same_after_loading(model: Any, tmp_path: Path):
    fitted = model.fit(SERIES)
    again = load(fitted.save(tmp_path / "model.npz"))
    assert type(again) is type(fitted)
    assert np.array_equal(again.predict(2).values, fitted.predict(2).values)


def test_stamps_columns_and_names_come_back(tmp_path: Path):
    panel = read(table(0, 40), future="holiday")
    fitted = Linear(window=4, horizon=2).fit(panel)
    again = load(fitted.save(tmp_path / "model.npz"))
    assert again.predict(2).arrow().equals(fitted.predict(2).arrow())


def test_files_that_are_no_models_are_refused(tmp_path: Path):
    path = Naive().fit(SERIES).save(tmp_path / "model.npz")
    with pytest.raises(UsageError, match="there is no file"):
        load(tmp_path / "none.npz")
    (tmp_path / "cut.npz").write_bytes(path.read_bytes()[:200])
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    np.savez(
        tmp_path / "foreign.npz", model=np.asarray('{"format": 1, "model": {"kind": "Popen", "fields": {}}}')
    )
    np.savez(tmp_path / "newer.npz", model=np.asarray('{"format": 9, "model": null}'))
    np.savez_compressed(tmp_path / "packed.npz", model=np.zeros(1000))
    for name in ("cut", "other", "foreign", "newer", "packed"):
        with pytest.raises(RunError, match=rf"{name}.npz is no saved forecaster: .+") as caught:
            load(tmp_path / f"{name}.npz")
        assert "\n" not in str(caught.value)
    with pytest.raises(UsageError, match="a function cannot be saved"):
        Forecaster(network=lambda: 0).save(tmp_path / "own.npz")


def test_new_observations_are_forecast_behind():
    fitted = Linear(window=4, horizon=3).fit([SERIES[0][:50], SERIES[1]])
    for new in ([SERIES[0], SERIES[1]], [SERIES[0]]):
        updated = fitted.update(new)
        assert np.array_equal(updated.weights, fitted.weights)
        assert np.allclose(updated.predict(3).point, fitted.predict(3, data=SERIES).point)
    refit = fitted.update(SERIES, refit=True)
    assert np.allclose(refit.predict(3).point, Linear(window=4, horizon=3).fit(SERIES).predict(3).point)


def test_only_what_is_new_may_be_given_with_its_stamps():
    whole, begun = read(table(0, 40), future="holiday"), read(table(0, 32), future="holiday")
    model = Linear(window=4, horizon=2).fit(begun)
    new = read(table(30, 40), future="holiday")
    updated = model.update(new)
    assert updated.panel is not None
    assert np.array_equal(updated.panel.values, whole.values)
    assert updated.predict(2).arrow().column("ds").to_pylist() == [date(2024, 2, 8), date(2024, 2, 9)]
    assert np.allclose(updated.predict(2).point, model.predict(2, data=whole).point)
    for first, last, message in (
        (33, 40, "misses 3 steps before 2024-02-03"),
        (0, 40, None),
    ):
        if message is None:
            assert np.array_equal(
                model.update(read(table(first, last), future="holiday")).panel.values, whole.values
            )
        else:
            with pytest.raises(UsageError, match=message):
                model.update(read(table(first, last), future="holiday"))
    with pytest.raises(UsageError, match="have the exogenous columns"):
        model.update(read(table(0, 40, holiday=False), missing="mask"))


def test_changed_and_new_series_are_named():
    fitted = Linear(window=4, horizon=3).fit(SERIES)
    with pytest.raises(UsageError, match="observations of series 0 that are known have changed"):
        fitted.update([SERIES[0] + 1, SERIES[1]])
    with pytest.raises(UsageError, match="series 2 was not fitted; give refit=True"):
        fitted.update([*SERIES, np.arange(30.0)])
    assert len(fitted.update([*SERIES, np.arange(30.0)], refit=True).predict(1).point) == 3
    with pytest.raises(UsageError, match="has not been fitted"):
        Naive().update(SERIES)
    with pytest.raises(UsageError, match="is no step of 1 behind its start"):
        Naive().fit({"ds": [5, 6], "y": [1.0, 2]}).update({"ds": [3, 4], "y": [1.0, 2]})


def test_cross_validation_is_a_backtest():
    found = Linear(window=4, horizon=3).cross_validation(Panel.of(SERIES), windows=2)
    assert found.point.shape == (2, 2, 3)
    with pytest.raises(UsageError, match="give cross_validation a horizon"):
        Naive().cross_validation(SERIES)
