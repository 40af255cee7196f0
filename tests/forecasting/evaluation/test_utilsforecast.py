"""Metrics against those of utilsforecast, to 1e-10, where that is installed."""

from typing import Any

import numpy as np
import pytest

from populace import forecasting

losses: Any = pytest.importorskip("utilsforecast.losses", reason="utilsforecast is not installed")
pandas: Any = pytest.importorskip("pandas")

RNG = np.random.default_rng(0)
SERIES, STEPS, SEASON = 5, 12, 4
HISTORY = RNG.gamma(2, 10, (SERIES, 40))
ACTUAL = RNG.gamma(2, 10, (SERIES, STEPS))
POINT = ACTUAL + RNG.normal(0, 5, ACTUAL.shape)
LEVELS = np.array([0.1, 0.5, 0.9])
VALUES = POINT[..., None] + np.array([-8.0, 0, 8])
NAMES = ["low", "model", "high"]


def frame(y: np.ndarray) -> Any:
    steps = np.tile(np.arange(y.shape[1]), len(y))
    return pandas.DataFrame(
        {"unique_id": np.repeat(np.arange(len(y)), y.shape[1]), "ds": steps, "y": y.reshape(-1)}
    )


TABLE = frame(ACTUAL).assign(**{name: VALUES[..., i].reshape(-1) for i, name in enumerate(NAMES)})
TABLE = TABLE.rename(columns={"low": "model-lo-80", "high": "model-hi-80"})
COLUMNS = {"model": ["model-lo-80", "model", "model-hi-80"]}


def scale(*, squared: bool = False) -> np.ndarray:
    return np.array([forecasting.naive_scale(h, SEASON, squared=squared) for h in HISTORY])


@pytest.mark.parametrize("name", ["mae", "mse", "rmse", "mape", "smape", "mase", "rmsse"])
def test_point_metrics(name: str):
    more = {"mase": (scale(),), "rmsse": (scale(squared=True),)}.get(name, ())
    mine = getattr(forecasting, name)(ACTUAL, POINT, *more)
    settings = {"seasonality": SEASON, "train_df": frame(HISTORY)} if more else {}
    theirs = getattr(losses, name)(TABLE, ["model"], **settings)["model"].to_numpy()
    share = {"mape": 100, "smape": 200}.get(name, 1)  # theirs are shares, the second of half the range
    assert np.allclose(mine, share * theirs, rtol=0, atol=1e-10)


def test_quantile_metrics():
    for level, name in zip(LEVELS, TABLE.columns[3:]):
        theirs = losses.quantile_loss(TABLE, {"model": name}, q=level)["model"]
        mine = forecasting.pinball(ACTUAL, TABLE[name].to_numpy().reshape(ACTUAL.shape), level)
        assert np.allclose(mine, theirs, rtol=0, atol=1e-10)
    theirs = losses.mqloss(TABLE, COLUMNS, quantiles=LEVELS)["model"]
    assert np.allclose(forecasting.mean_pinball(ACTUAL, VALUES, LEVELS), theirs, rtol=0, atol=1e-10)
    ends = VALUES[..., 0], VALUES[..., 2]
    theirs = losses.coverage(TABLE, ["model"], level=80)["model"]
    assert np.allclose(forecasting.coverage(ACTUAL, *ends), theirs, rtol=0, atol=1e-10)
    if hasattr(losses, "winkler_score"):  # versions that need narwhals 2 have it
        theirs = losses.winkler_score(TABLE, ["model"], level=80)["model"]
        assert np.allclose(forecasting.winkler(ACTUAL, *ends, 0.8), theirs, rtol=0, atol=1e-10)
    one = losses.scaled_crps(TABLE[TABLE["unique_id"] == 0], COLUMNS, quantiles=LEVELS)["model"]
    assert np.allclose(forecasting.wql(ACTUAL[:1], VALUES[:1], LEVELS), one, rtol=0, atol=1e-10)
