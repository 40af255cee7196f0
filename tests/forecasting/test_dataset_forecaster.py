"""The learner of recipes: its parts, what it is scored on, and the recipes themselves."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from populace import recipes
from populace.core.errors import UsageError
from populace.forecasting import Panel, datasets
from populace.forecasting.dataset_forecaster import DatasetForecaster
from populace.runs.recipe.parsing import parse
from tests import harness
from tests.places import ROOT, SHARED_DATA

NAMES = ["air-passengers", "etth1-linear", "forecast-ensemble", "m4-hourly"]
SERIES = [np.arange(60.0), np.random.default_rng(0).normal(size=50)]


@pytest.fixture
def learner(monkeypatch: pytest.MonkeyPatch) -> DatasetForecaster:
    monkeypatch.setitem(datasets._READERS, "air-passengers", lambda: Panel.of(SERIES))
    return DatasetForecaster(window=4, horizon=2, validation=6, test=10, batch_size=8)


def test_parts_lie_one_behind_the_other_and_scales_know_the_first_alone(learner: DatasetForecaster):
    data, test = learner.load_data().data, learner.for_test(0).data
    assert data is not None
    assert test is not None
    first, mean, deviation = SERIES[0], np.arange(44.0).mean(), np.arange(44.0).std()
    targets = [data.values[b + 4 : b + 6] * deviation + mean for b in data.train if b < 40]
    assert np.allclose(np.unique(np.round(targets, 3)), first[4:44])
    held = [data.values[b + 4 : b + 6] * deviation + mean for b in data.validation if b < 50]
    assert np.allclose(np.unique(np.round(held, 3)), first[44:50])
    scored = [test.values[b + 4 : b + 6] * deviation + mean for b in test.validation if b < 60]
    assert np.allclose(np.unique(np.round(scored, 3)), first[50:60])
    assert len(data.values) == len(test.values) - 20


def test_invariants(learner: DatasetForecaster, tmp_path: Path):
    harness.check_learner(learner.load_data(), {"learning_rate": [1e-2, 1e-3]}, 20, tmp_path)


def test_too_little_is_refused(learner: DatasetForecaster):
    with pytest.raises(
        UsageError, match="a test part of 40 leave 4, fewer than a window of 4 and a horizon of 2"
    ):
        DatasetForecaster(window=4, horizon=2, validation=6, test=40).load_data()
    with pytest.raises(UsageError, match="unknown data set 'weather'"):
        datasets.dataset("weather")


@pytest.mark.parametrize("name", NAMES)
def test_recipes_are_read(name: str):
    recipe = parse(recipes.read(name), name)
    assert recipe.name == name


@pytest.mark.skipif(
    not (SHARED_DATA / "timeseries").is_dir(), reason="../shared/data/timeseries is not there"
)
def test_data_sets_are_found_on_disk(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("POPULACE_DATA", str(SHARED_DATA))
    sizes: dict[str, Any] = {name: datasets.dataset(name) for name in datasets.DATASETS}
    found = {name: (len(panel), len(panel.values)) for name, panel in sizes.items()}
    assert found["air-passengers"] == (1, 144)
    assert found["etth1"] == (7, 7 * 17_420)
    assert found["exchange-rates"] == (8, 8 * 7588)
    assert found["m4-hourly"] == (414, 353_500 + 414 * 48)


def test_the_page_of_data_has_the_addresses_and_checksums_of_the_loaders():
    source, page = Path(datasets.__file__).read_text(), (ROOT / "docs" / "data.md").read_text()
    sums = re.findall(r'"([0-9a-f]{64})"', source)
    assert len(sums) == 5
    assert all(f"`{one}`" in page for one in sums)
    files = re.findall(r'"([\w.-]+\.csv)",\n', source)
    assert len(files) == 5
    assert all(
        re.search(rf"^\| `{re.escape(name)}` \| `\w+/.*{re.escape(name)}` \|", page, re.M) for name in files
    )
