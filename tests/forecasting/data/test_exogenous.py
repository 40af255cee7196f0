"""Exogenous columns: read by their roles, cut without looking ahead, used by models, refused in one line."""

from typing import Any

import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.forecasting import Forecaster, Linear, backtest, read
from populace.forecasting.data.features import Features

RNG = np.random.default_rng(0)
LENGTH, AHEAD = 80, 4
HOLIDAY = (RNG.random(LENGTH + AHEAD) < 0.3).astype(float)
RAIN = RNG.normal(size=LENGTH + AHEAD)


def table(**changes: Any) -> dict[str, Any]:
    """Two series: y rises by 5 on a holiday, and by 2 where it rained the day before, and is higher in b."""
    y = 5 * HOLIDAY + 2 * np.r_[0.0, RAIN[:-1]]
    steps = np.arange(LENGTH + AHEAD)
    known = steps < LENGTH
    columns = {
        "unique_id": ["a"] * len(steps) + ["b"] * len(steps),
        "ds": [*steps, *steps],
        "y": np.r_[np.where(known, y, np.nan), np.where(known, y + 10, np.nan)],
        "rain": np.r_[np.where(known, RAIN, np.nan), np.where(known, RAIN, np.nan)],
        "holiday": np.r_[HOLIDAY, HOLIDAY],
        "town": ["x"] * len(steps) + ["z"] * len(steps),
    }
    return columns | changes


ROLES: dict[str, Any] = {"past": "rain", "future": ["holiday"], "static": "town"}
TRUTH = 5 * HOLIDAY[LENGTH] + 2 * RAIN[LENGTH - 1]


def test_columns_have_their_roles_and_rows_behind_the_end_tell_of_the_future():
    panel = read(table(), **ROLES)
    assert panel.lengths.tolist() == [LENGTH, LENGTH]
    found = panel.exogenous
    assert found.past["rain"].tolist() == [*RAIN[:LENGTH], *RAIN[:LENGTH]]
    assert found.known.tolist() == [LENGTH + AHEAD] * 2
    assert found.future["holiday"].tolist() == [*HOLIDAY, *HOLIDAY]
    assert {name: column.tolist() for name, column in found.static.items()} == {
        "town=x": [1, 0],
        "town=z": [0, 1],
    }


def test_cuts_keep_what_is_known_ahead_and_drop_the_rest():
    panel = read(table(), **ROLES)
    cut = panel.until(-10).last(20).select([1])
    assert cut.exogenous.past["rain"].tolist() == RAIN[LENGTH - 30 : LENGTH - 10].tolist()
    steps = cut.exogenous.steps(np.array([0]), np.array([20]), 3)[0, :, 0]
    assert steps.tolist() == HOLIDAY[LENGTH - 10 : LENGTH - 7].tolist()
    assert cut.exogenous.static["town=z"].tolist() == [1]


def test_numbers_of_a_category_become_columns_of_their_own():
    codes = [1, 2, 3, 2] * 42
    panel = read(table(kind=codes), future="kind", categorical="kind")
    assert list(panel.exogenous.future) == ["kind=1", "kind=2", "kind=3"]
    assert panel.exogenous.future["kind=2"][:4].tolist() == [0, 1, 0, 1]


def test_a_linear_model_finds_what_columns_do():
    panel = read(table(), **ROLES)
    for recursive in (False, True):
        found = Linear(window=3, horizon=1, penalty=1e-9, center="none", recursive=recursive).fit(panel)
        assert np.allclose(found.predict(1).point[:, 0], [TRUTH, TRUTH + 10], atol=1e-4)
    plain = Linear(window=3, penalty=1e-9, center="none").fit(read(table(), future="holiday")).predict(1)
    assert np.abs(plain.point[:, 0] - [TRUTH, TRUTH + 10]).max() > 0.1


def test_forecasts_are_fed_back_beside_columns_that_are_known_ahead():
    panel = read(table(y=np.tile(np.where(np.arange(84) < LENGTH, 5 * HOLIDAY, np.nan), 2)), future="holiday")
    found = Linear(window=2, penalty=1e-9, center="none", recursive=True).fit(panel).predict(4)
    assert np.allclose(found.point, 5 * HOLIDAY[LENGTH:], atol=1e-4)
    assert np.allclose(
        Linear(window=2, horizon=3, penalty=1e-9, center="none").fit(panel).predict(4).point,
        found.point,
        atol=1e-4,
    )


def test_networks_learn_from_columns():
    panel = read(table(), **ROLES)
    settings: dict[str, Any] = {"window": 3, "horizon": 1, "members": 1, "steps": 600, "learning_rate": 2e-2}
    for kind, hidden in (("linear", 0), ("linear", 16)):
        hidden_units = {"feature_hidden": hidden}
        model = Forecaster(network=kind, head="point", **settings, settings=hidden_units).fit(panel)
        error = np.abs(model.predict(1).point[:, 0] - [TRUTH, TRUTH + 10])
        assert error.max() < 0.5, hidden


def test_nothing_depends_on_past_columns_behind_the_cutoff():
    changed = np.where(np.arange(LENGTH + AHEAD) >= LENGTH - 2, 99.0, RAIN)
    changed[LENGTH:] = np.nan
    model = Linear(window=3, horizon=2)
    values = [
        backtest(model, read(given, **ROLES), 2, windows=2).values
        for given in (table(), table(rain=np.r_[changed, changed]))
    ]
    assert np.array_equal(values[0], values[1])


@pytest.mark.parametrize(
    ("changes", "roles", "message"),
    [
        (
            {"rain": np.r_[np.nan, RAIN[1:], RAIN]},
            ROLES,
            "row 0 of the table: exogenous column 'rain' is missing",
        ),
        ({"town": [*"xy"] * 84}, ROLES, "row 1 of the table: static column 'town' changes within series 'a'"),
        ({}, ROLES | {"past": ["rain", "holiday"]}, "column 'holiday' is named more than once"),
        ({}, ROLES | {"past": "snow"}, "unknown column 'snow'"),
        ({}, {"categorical": "town"}, "categorical column 'town' is none of past, future or static"),
    ],
)
def test_bad_columns_get_one_line(changes: dict[str, Any], roles: dict[str, Any], message: str):
    with pytest.raises(UsageError, match=message):
        read(table(**changes), **roles)


def test_what_a_horizon_needs_and_what_was_fitted_is_said():
    panel = read(table(), **ROLES)
    fitted = Linear(window=3, horizon=6).fit(panel)
    assert fitted.predict(4).point.shape == (2, 4)
    with pytest.raises(
        UsageError, match="'holiday' is known 4 steps ahead of series 'a', and the horizon is 6"
    ):
        fitted.predict(6)
    with pytest.raises(UsageError, match="past columns are not known behind the 6 steps"):
        fitted.predict(7)
    with pytest.raises(UsageError, match="fitted with the past column 'rain', which is not there"):
        fitted.predict(2, data=read(table(), future="holiday", static="town"))
    with pytest.raises(UsageError, match="category 'w' of the static column 'town' was not there"):
        fitted.predict(2, data=read(table(town=["x"] * 84 + ["w"] * 84), **ROLES))
    assert Features.of(panel).size(3, 6) == 3 + 6 + 2
