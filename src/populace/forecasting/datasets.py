"""Series that papers measure on, by name; found on disk, else downloaded once and checked."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np

from populace.core.errors import unknown
from populace.data.download import Remote, damaged, fetch
from populace.forecasting.data.panel import Panel
from populace.forecasting.data.read import read

_GITHUB = "https://raw.githubusercontent.com/"
_FAMILY = "timeseries"  # a folder that may hold the files of several data sets, or their folders


def dataset(name: str) -> Panel:
    """Return the series of a data set.

    `air-passengers` (144 months), `etth1` (7 channels of 17,420 hours), `exchange-rates` (8 of 7,588 days,
    without dates), `m4-hourly` (414 series of 748 to 1,008 hours, the 48 of the test part with them).

    Raises:
        UsageError: none has that name.
        RunError: it is neither on disk nor to be had, or is damaged.

    """
    if name not in _READERS:
        raise unknown("data set", name, _READERS)
    return _READERS[name]()


@cache
def _air_passengers() -> Panel:
    (path,) = _fetch(
        "air-passengers",
        _remote(
            "AirPassengers.csv",
            "selva86/datasets/master/AirPassengers.csv",
            "f2c862a9f593454ffc2e561294af64ee76fa2b91fca806d9925327b57fc2a40b",
            2320,
        ),
    )
    return read(path)


@cache
def _etth1() -> Panel:
    (path,) = _fetch(
        "etth1",
        _remote(
            "ETTh1.csv",
            "zhouhaoyi/ETDataset/main/ETT-small/ETTh1.csv",
            "f18de3ad269cef59bb07b5438d79bb3042d3be49bdeecf01c1cd6d29695ee066",
            2_589_657,
        ),
    )
    return read(path)


@cache
def _exchange_rates() -> Panel:
    (path,) = _fetch(
        "exchange-rates",
        _remote(
            "exchange_rate.csv",
            "unit8co/darts/master/datasets/exchange_rate.csv",
            "f790284d51ac8c3918d4c9754a4779744c5de287b492e9267ed6a2aa60fb70c5",
            516_795,
        ),
    )
    return read(path, time=False)


@cache
def _m4_hourly() -> Panel:
    address = "Mcompetitions/M4-methods/master/Dataset/"
    paths = _fetch(
        "m4-hourly",
        _remote(
            "Hourly-train.csv",
            f"{address}Train/Hourly-train.csv",
            "ea59b7783573c49077a835ab6465c7d66f1474783360f310988a9a737fbca62f",
            2_347_115,
        ),
        _remote(
            "Hourly-test.csv",
            f"{address}Test/Hourly-test.csv",
            "71a57fccb15e534d973626ada4fb87febf789e9317715b7cc6dd3b5f90db6f42",
            132_820,
        ),
    )
    parts = [_rows(path) for path in paths]
    if [len(part) for part in parts] != [414, 414]:
        raise damaged(paths[0], "and its test part have other than 414 series")
    return Panel.of([np.concatenate(pair) for pair in zip(*parts)], frequency="1h")


def _rows(path: Path) -> list[np.ndarray]:
    """Return the series of a file of the M4 competition, one per row behind its name."""
    try:
        rows = [row.split(",")[1:] for row in path.read_text().splitlines()[1:]]
        return [np.array([float(cell.strip('"')) for cell in row if cell.strip('"')]) for row in rows]
    except (ValueError, UnicodeDecodeError, OSError):
        raise damaged(path, "is no table of numbers") from None


def _fetch(name: str, *files: Remote) -> tuple[Path, ...]:
    return fetch(name, files, others=(f"{_FAMILY}/{name}", _FAMILY))


def _remote(name: str, address: str, sha256: str, size: int) -> Remote:
    return Remote(name, (_GITHUB + address,), sha256, size)


_READERS: dict[str, Callable[[], Panel]] = {
    "air-passengers": _air_passengers,
    "etth1": _etth1,
    "exchange-rates": _exchange_rates,
    "m4-hourly": _m4_hourly,
}
DATASETS = tuple(_READERS)
"""The names."""
