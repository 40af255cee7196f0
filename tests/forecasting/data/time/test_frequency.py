"""Steps of time, days and months, and what they are inferred from."""

import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.forecasting.data.time.frequency import Frequency
from populace.forecasting.data.time.infer_frequency import anchors, infer_frequency


def days(*texts: str) -> np.ndarray:
    return np.array(texts, "datetime64[us]")


def inferred(*series: np.ndarray) -> str:
    whole = np.concatenate(series)
    first = np.cumsum([0, *(len(s) for s in series)])[:-1]
    return str(infer_frequency(whole, whole, first))


def test_a_month_keeps_the_day_that_it_is_anchored_at():
    start, steps = days("2024-01-31"), np.arange(5)
    found = Frequency.parse("1mo").advance(start.repeat(5), steps, np.full(5, 31))
    expected = days("2024-01-31", "2024-02-29", "2024-03-31", "2024-04-30", "2024-05-31")
    assert found.tolist() == expected.tolist()
    back = Frequency.parse("1mo").advance(start, np.array([-2]), np.array([31]))
    assert back == days("2023-11-30")
    # anchored at the 30th, although the series begins in a short month
    stamps = days("2023-02-28", "2023-03-30", "2023-04-30")
    assert anchors(stamps, np.array([0])) == [30]
    steps, regular = Frequency.parse("mo").index(stamps[:1].repeat(3), stamps, np.full(3, 30))
    assert steps.tolist() == [0, 1, 2]
    assert regular.all()


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        *[("H", "1h"), ("h", "1h"), ("60min", "1h"), ("15T", "15min"), ("D", "1d"), ("7d", "1w")],
        *[("W-SUN", "1w"), ("MS", "1mo"), ("ME", "1mo"), ("M", "1mo"), ("3mo", "1q"), ("QS", "1q")],
        *[
            ("12ME", "1y"),
            ("YE", "1y"),
            ("B", "1b"),
            ("ms", "1ms"),
            ("5", "5"),
            ("2us", "2us"),
            ("36h", "36h"),
        ],
    ],
)
def test_names_of_frequencies(text: str, canonical: str):
    found = Frequency.parse(text)
    assert str(found) == canonical
    assert Frequency.parse(str(found)) == found


@pytest.mark.parametrize("text", ["", "0d", "fortnight", "-1h", "1.5h", "x" * 99, 0, True, None])
def test_what_is_no_frequency_is_refused(text: object):
    with pytest.raises(UsageError, match=r"frequency"):
        Frequency.parse(text)  # pyright: ignore[reportArgumentType]


def test_inference():
    hours = days("2020-01-01") + np.arange(60) * np.timedelta64(1, "h")
    assert inferred(hours) == "1h"
    assert inferred(hours[::24][:2], hours[5:30]) == "1h"
    assert inferred(np.delete(hours, [5, 6, 20])) == "1h"
    assert inferred(hours[::24]) == "1d"
    every = days("2020-01-01") + np.arange(30) * np.timedelta64(1, "D")
    weekdays = every[np.is_busday(every.astype("datetime64[D]"))]
    assert inferred(weekdays) == "1b"
    assert inferred(every[::7]) == "1w"
    assert inferred(days("2024-01-31", "2024-02-29", "2024-03-31")) == "1mo"
    assert inferred(days("2020-02-29", "2021-02-28", "2024-02-29")) == "1y"
    assert inferred(days("2020-01-01", "2020-04-01", "2020-10-01", "2021-01-01")) == "1q"
    assert inferred(days("2020-01-01", "2020-01-29", "2020-02-26")) == "4w"
    assert inferred(np.array([3, 5, 7, 11])) == "2"


def test_what_cannot_be_inferred_says_what_was_seen():
    with pytest.raises(UsageError, match=r"between neighbours lie 1h \(2 times\), 90min \(1 times\)"):
        inferred(days("2020-01-01 00:00", "2020-01-01 01:00", "2020-01-01 02:00", "2020-01-01 03:30"))
    with pytest.raises(UsageError, match="no series has two observations"):
        inferred(days("2020-01-01"), days("2021-01-01"))
