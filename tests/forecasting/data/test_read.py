"""From a table to a panel: order, zones, gaps, and what is refused, with file, row and column."""

import importlib
import importlib.util
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from populace.core.errors import PopulaceError, RunError, UsageError
from populace.forecasting import Panel, read
from tests.places import SHARED_DATA

FOLDER = SHARED_DATA / "timeseries"


def csv(folder: Path, *lines: str) -> Path:
    path = folder / "data.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_rows_in_any_order_of_several_series(tmp_path: Path):
    rows = "b,2020-01-02,5", "a,2020-01-03,3", "a,2020-01-01,1", "b,2020-01-01,4", "a,2020-01-02,2"
    panel = read(csv(tmp_path, "unique_id,ds,y", *rows))
    assert panel.ids == ("b", "a")
    assert [series.tolist() for series in panel] == [[4, 5], [1, 2, 3]]
    assert str(panel.frequency) == "1d"
    assert panel.clock.written(panel.ends(2)[1]) == [date(2020, 1, 4), date(2020, 1, 5)]


def test_frames_of_all_kinds_give_the_same_panel():
    import pyarrow as pa

    first, second = datetime(2020, 1, 1), datetime(2020, 1, 2)
    columns = {"unique_id": ["a", "a", "b"], "ds": [first, second, first], "y": [1, 2, 3]}
    frames: list[Any] = [columns, pa.table(columns)]
    for name in ("pandas", "polars"):
        if importlib.util.find_spec(name):
            frames.append(importlib.import_module(name).DataFrame(columns))
    for frame in frames:
        panel = read(frame)
        assert panel.ids == ("a", "b")
        assert panel.values.tolist() == [1, 2, 3]
        assert panel.starts.astype(str).tolist() == ["2020-01-01T00:00:00.000000"] * 2


def test_a_wide_table_is_a_series_per_column(tmp_path: Path):
    panel = read(csv(tmp_path, "year,x,z", "2000,1,4", "2001,2,5"))
    assert panel.ids == ("x", "z")
    assert panel.values.tolist() == [1, 2, 4, 5]
    assert panel.clock.written(panel.ends(1)[0]) == [2002]
    ordered = read(csv(tmp_path, "x,z", "1,4", "2,5"), time=False)
    assert ordered.values.tolist() == [1, 2, 4, 5]


def test_a_day_on_which_clocks_change_has_23_hours_and_no_gap():
    zone = ZoneInfo("Europe/Paris")
    utc = [datetime(2024, 3, 30, 23, tzinfo=UTC).timestamp() + 3600 * i for i in range(30)]
    local = [datetime.fromtimestamp(t, zone) for t in utc]
    panel = read({"ds": local, "y": np.arange(30.0)})
    assert str(panel.frequency) == "1h"
    assert np.isfinite(panel.values).all()
    day = [t for t in panel.clock.written(panel.stamps(0)) if t.date() == date(2024, 3, 31)]
    assert len(day) == 23
    days = [datetime(2024, 3, d, tzinfo=zone) for d in (29, 30, 31)]
    panel = read({"ds": days, "y": [1.0, 2, 3]})
    assert str(panel.frequency) == "1d"
    assert panel.clock.written(panel.ends(2)[0]) == [
        datetime(2024, 4, 1, tzinfo=zone),
        datetime(2024, 4, 2, tzinfo=zone),
    ]


def test_offsets_that_change_need_the_name_of_the_zone(tmp_path: Path):
    rows = "2024-03-31T00:00+01:00,1", "2024-03-31T01:00+01:00,2", "2024-03-31T03:00+02:00,3"
    path = csv(tmp_path, "ds,y", *rows)
    with pytest.raises(UsageError, match=r"data.csv, line 4: 'ds' has \+02:00, the first row \+01:00"):
        read(path)
    panel = read(path, time_zone="Europe/Paris")
    assert panel.values.tolist() == [1, 2, 3]
    assert panel.clock.written(panel.ends(1)[0])[0].isoformat() == "2024-03-31T04:00:00+02:00"


def test_what_is_missing_is_masked_on_request(tmp_path: Path):
    path = csv(tmp_path, "ds,y", "2020-01-01,1", "2020-01-02,", "2020-01-03,3")
    with pytest.raises(UsageError, match=r"line 3: series 'y' has no observation at 2020-01-02 \(missing"):
        read(path)
    assert np.array_equal(read(path, missing="mask").values, [1, np.nan, 3], equal_nan=True)
    path = csv(tmp_path, "ds,y", "2020-01-01,1", "2020-01-02,2", "2020-01-05,5")
    with pytest.raises(UsageError, match=r"no observation after 2020-01-02 until 2020-01-05 \(gaps in all"):
        read(path)
    assert np.array_equal(read(path, missing="mask").values, [1, 2, np.nan, np.nan, 5], equal_nan=True)


FIRST = "2020-01-01,1"
REFUSED = [
    (("ds,y", FIRST, FIRST), r"line 3: series 'y' has 2020-01-01 twice \(also data.csv, line 2\)"),
    (("ds,y", FIRST, "2020-01-02,dog"), r"data.csv, line 3: 'y' is 'dog'; expected a number"),
    (("ds,y", FIRST, "2020-01-02,inf"), r"data.csv, line 3: 'y' is infinite"),
    (("ds,y", FIRST, "31/01/2020,2"), r"data.csv, line 3: 'ds' is '31/01/2020'; expected a stamp"),
    (("ds,y", FIRST, ",2"), r"data.csv, line 3: 'ds' is missing"),
    (("ds,y", FIRST, "2020-01-02,"), r"data.csv, line 3: series 'y' has no observation at 2020-01-02"),
    (("unique_id,ds,y", "a,2020-01-01,1", ",2020-01-02,1"), r"data.csv, line 3: 'unique_id' is missing"),
    (("unique_id,ds,u,v", "a,2020-01-01,1,2"), r"may be forecast by 'u', 'v'; name the column in target"),
    (("a,b", "1,2"), r"has no column of stamps named 'ds' \(columns: 'a', 'b'\)"),
    (("ds,y",), r"data.csv has no rows"),
    (("ds,ds", "1,2"), r"two columns 'ds'"),
    (("ds,y", FIRST), r"no series has two observations"),
]


@pytest.mark.parametrize(("lines", "message"), REFUSED)
def test_bad_tables_get_one_line(tmp_path: Path, lines: tuple[str, ...], message: str):
    with pytest.raises(PopulaceError, match=message) as caught:
        read(csv(tmp_path, *lines))
    assert "\n" not in str(caught.value)


def test_bad_arguments_get_one_line(tmp_path: Path):
    path = csv(tmp_path, "ds,y", "2020-01-01,1", "2020-01-02,2", "2020-01-04,2")
    for arguments, message in (
        ({"time": "dates"}, "unknown column 'dates' in data.csv"),
        ({"target": "z"}, "unknown column 'z'"),
        ({"missing": "drop"}, "'refuse' or 'mask'"),
        (
            {"frequency": "2d", "missing": "mask"},
            "2020-01-02 of series 'y' is not a whole number of steps of",
        ),
        ({"frequency": 1, "missing": "mask"}, "the frequency 1 does not fit stamps that are dates"),
        ({"time_zone": "Mars/Base"}, "unknown time zone 'Mars/Base'"),
    ):
        with pytest.raises(UsageError, match=message):
            read(path, **arguments)
    with pytest.raises(UsageError, match="there is no file"):
        read(tmp_path / "none.csv")
    with pytest.raises(UsageError, match="expected a data frame"):
        read(3)
    with pytest.raises(UsageError, match="would fill"):
        read({"ds": [0, 1, 10**12], "y": [1, 2, 3]}, missing="mask")


def test_panels_are_cut_without_looking_behind():
    panel = Panel.of([[1, 2, 3, 4], [5, 6, 7]])
    cut = panel.until(-2)
    assert [s.tolist() for s in cut] == [[1, 2], [5]]
    assert cut.ends(2).tolist() == [[2, 3], [1, 2]]
    last = panel.last(2)
    assert [s.tolist() for s in last] == [[3, 4], [6, 7]]
    assert last.starts.tolist() == [2, 1]
    assert [s.tolist() for s in panel.select([1])] == [[5, 6, 7]]
    with pytest.raises(UsageError, match="series 1 has 3 observations"):
        panel.until(-3)


@pytest.mark.skipif(not FOLDER.is_dir(), reason="../shared/data/timeseries is not there")
def test_published_series_are_read_as_they_are():
    air = read(FOLDER / "AirPassengers.csv")
    assert (len(air.values), str(air.frequency), air.values[0]) == (144, "1mo", 112)
    ett = read(FOLDER / "ETTh1.csv")
    assert (len(ett), ett.lengths[0], str(ett.frequency)) == (7, 17420, "1h")
    cold = read(FOLDER / "daily-min-temperatures.csv", missing="mask")
    assert np.isnan(cold.values).sum() == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ds,y\n2024-01-01,1\n2024-01-02,2,3\n", "t.csv cannot be read: line 3: Expected 2 columns, got 3"),
        ("ds;y\n2024-01-01;1\n", "has one column; columns seem to be separated by semicolons"),
        ("ds;y\n2024-01-01;1,5\n", "separated by semicolons; expected commas"),
        ("ds\ty\n2024-01-01\t1\n", "separated by tabs; expected commas"),
        ("", "Empty CSV file"),
    ],
)
def test_files_that_are_no_tables_of_commas_are_refused(tmp_path: Path, text: str, message: str):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(RunError) as refused:
        read(tmp_path / "t.csv")
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_an_hour_that_clocks_skipped_is_no_gap_once_the_zone_is_named():
    given = {"ds": [f"2024-03-31 {hour:02}:00" for hour in (0, 1, 3, 4, 5)], "y": [1.0, 2, 3, 4, 5]}
    with pytest.raises(UsageError, match="if clocks changed there, name the zone in time_zone"):
        read(given)
    assert len(read(given, time_zone="Europe/Paris")[0]) == 5
    given["ds"][2:] = [f"2024-03-31 {hour:02}:00" for hour in (5, 6, 7)]
    with pytest.raises(UsageError, match=r"training and metrics$"):
        read(given)
