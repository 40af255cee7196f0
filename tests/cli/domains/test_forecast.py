"""The command forecast: what it prints and writes, and one line for what is wrong."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import Outcome

Cli = Callable[..., Outcome]
FAST = ("--horizon", "3", "--members", "2", "--steps", "20", "--window", "6", "--windows", "2")


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "sales.csv"
    dates = [f"{2001 + i // 12}-{1 + i % 12:02}-01" for i in range(36)]
    rows = [f"{name},{date},{10 * (i % 4) + i}" for name in "ab" for i, date in enumerate(dates)]
    path.write_text("\n".join(["unique_id,ds,y", *rows]) + "\n")
    return path


def test_series_of_a_file_are_forecast_and_models_compared(cli: Cli, table: Path, tmp_path: Path):
    out = tmp_path / "out"
    done = cli("forecast", table, *FAST, "--out", out)
    assert "2 series of 36 observations, every 1mo" in done.out
    assert "chosen by the windows before the last" in done.out
    with (out / "forecast.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6
    assert [row["ds"] for row in rows[:3]] == ["2004-01-01", "2004-02-01", "2004-03-01"]
    result = json.loads((out / "backtest.json").read_text())
    assert {"naive", "seasonal-naive", "drift", "theta", "ets", "ridge", "nlinear"} == set(result["backtest"])
    name = result["chosen"]
    values = np.array([[float(row[f"{name}-q{q}"]) for q in (5, 50, 95)] for row in rows])
    assert np.all(np.diff(values) >= 0)
    assert (out / "forecast.parquet").is_file()
    page = (out / "report.html").read_text()
    assert (
        f"{name} did best of 7 models in the window before the last" in page or "the baseline itself" in page
    )
    assert "report.html" in done.out
    assert result["intervals"][name]["wql"][0] == pytest.approx(result["backtest"][name]["WQL"])


def test_a_model_that_is_asked_for_is_taken(cli: Cli, table: Path, tmp_path: Path):
    words = "--out", tmp_path / "out", "--model", "drift", "--json", "--quantiles", "0.5"
    done = cli("forecast", table, *FAST, *words)
    result = json.loads(done.out)
    assert result["chosen"] == "drift"
    assert "nlinear" not in result["backtest"]


def test_short_series_are_named_and_the_others_forecast(cli: Cli, table: Path, tmp_path: Path):
    dates = [f"{2001 + i // 12}-{1 + i % 12:02}-01" for i in range(12)]
    with table.open("a") as file:
        file.writelines(f"long,{date},1{i}\n" for i, date in enumerate(dates))
        file.writelines(f"short,{date},{i}\n" for i, date in enumerate(dates[:11]))
    out = tmp_path / "out"
    done = cli("forecast", table, *FAST, "--model", "ridge", "--out", out)
    assert "left out 1 series of fewer than 12 observations" in done.out
    assert "'short' (11)" in done.out
    result = json.loads((out / "backtest.json").read_text())
    assert result["series"] == 3
    assert result["left out"] == {"short": 11}
    assert "Left out: 1 series of fewer than 12 observations" in (out / "report.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--model", "prophet"), "unknown model 'prophet'"),
        (("--quantiles", "5,95"), "quantiles must lie between 0 and 1"),
        (("--quantiles", "a"), "quantiles must be numbers between 0 and 1"),
        (("--target", "z"), "unknown column 'z' in sales.csv"),
        (("--frequency", "often"), "unknown frequency 'often'"),
        (("--horizon", "30"), "has 36 observations, and 2 windows need at least 61"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(cli: Cli, table: Path, arguments: tuple[str, ...], message: str):
    refused = cli("forecast", table, *FAST, *arguments).refused(2)
    assert message in refused
