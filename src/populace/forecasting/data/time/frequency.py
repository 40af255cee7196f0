"""The distance between two observations: whole numbers, spans of time, days, or calendar months."""

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np

from populace.core.errors import UsageError

Kind = Literal["integer", "time", "day", "business day", "month"]

_DAY = np.timedelta64(86_400_000_000, "us")
_UNITS: dict[str, tuple[Kind, int]] = {
    "i": ("integer", 1),
    "us": ("time", 1),
    "ms": ("time", 1_000),
    "s": ("time", 1_000_000),
    "min": ("time", 60_000_000),
    "m": ("time", 60_000_000),
    "t": ("time", 60_000_000),
    "h": ("time", 3_600_000_000),
    "d": ("day", 1),
    "w": ("day", 7),
    "b": ("business day", 1),
    "mo": ("month", 1),
    "ms*": ("month", 1),
    "me": ("month", 1),
    "q": ("month", 3),
    "qs": ("month", 3),
    "qe": ("month", 3),
    "y": ("month", 12),
    "ys": ("month", 12),
    "ye": ("month", 12),
    "a": ("month", 12),
}
_SEASONS = {"1h": 24, "1d": 7, "1b": 5, "1w": 52, "1mo": 12, "1q": 4, "1y": 1, "30min": 48, "15min": 96}


@dataclass(frozen=True)
class Frequency:
    """A step of a regular series.

    Steps of integers and of time are of one length; time is counted in UTC, so that a day on which clocks
    change has 23 or 25 hours. Days, weeks and months are those of the calendar, by the local clock: a month
    after 31 January is the last day of February, and the month after it 31 March, since the day of the
    month that a series is anchored at is kept.

    Attributes:
        kind: what is counted.
        count: how many of it: microseconds for `time`.

    """

    kind: Kind
    count: int

    @classmethod
    def parse(cls, text: "str | int | Frequency") -> "Frequency":
        """Return the frequency that a text names: `1h`, `15min`, `d`, `w`, `b`, `mo`, `q`, `y`; or a number.

        pandas' names are understood as well (`MS`, `ME`, `QE`, `YE`, `W-SUN`, `T`). Where a month begins is
        learned from the stamps.

        Raises:
            UsageError: no frequency has that name.

        """
        if isinstance(text, Frequency):
            return text
        if isinstance(text, int) and not isinstance(text, bool):
            if text < 1:
                raise UsageError(f"a frequency must be at least 1, got {text}")
            return cls("integer", text)
        found = re.fullmatch(r"\s*(\d{0,9})\s*([A-Za-z]{0,3})(-[A-Za-z]{3})?\s*", str(text))
        unit = found[2] if found else ""
        name = "ms*" if unit == "MS" else "mo" if unit == "M" else unit.lower() or "i"
        if not found or name not in _UNITS or (unit == "" and not found[1]) or found[1] == "0":
            known = "a whole number, or 1s, 15min, 1h, 1d, 1w, 1b (business days), 1mo, 1q, 1y"
            raise UsageError(f"unknown frequency {text!r:.40}; expected {known}")
        kind, size = _UNITS[name]
        return cls(kind, size * int(found[1] or 1))

    @property
    def calendar(self) -> bool:
        """Whether steps are counted on the local calendar instead of in UTC."""
        return self.kind in ("day", "business day", "month")

    @property
    def season(self) -> int:
        """The usual seasonal period: 24 hours, 7 days, 12 months, 4 quarters; 1 where there is none."""
        return _SEASONS.get(str(self), 1)

    def advance(self, start: np.ndarray, steps: np.ndarray, anchor: np.ndarray) -> np.ndarray:
        """Return the stamps so many steps behind a start, elementwise.

        Args:
            start: int64, or datetime64[us] on the clock that `calendar` says.
            steps: int64, may be negative.
            anchor: the day of the month that each series is anchored at; read for months alone.

        """
        if self.kind == "integer":
            return start + steps * self.count
        if self.kind == "time":
            return start + (steps * self.count).astype("timedelta64[us]")
        if self.kind == "day":
            return start + steps * self.count * _DAY
        if self.kind == "business day":
            day, clock = _split(start)
            return np.busday_offset(day, steps * self.count, roll="forward").astype("datetime64[us]") + clock
        day, clock = _split(start)
        month = day.astype("datetime64[M]") + (steps * self.count).astype("timedelta64[M]")
        inside = np.minimum(anchor, month_length(month)) - 1
        return (month.astype("datetime64[D]") + inside.astype("timedelta64[D]")).astype(
            "datetime64[us]"
        ) + clock

    def index(
        self, start: np.ndarray, stamps: np.ndarray, anchor: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return how many steps each stamp is behind its start, and whether it is a whole number of them."""
        if self.kind == "integer":
            steps = (stamps - start) // self.count
        elif self.kind == "time":
            steps = (stamps - start).astype(np.int64) // self.count
        elif self.kind == "day":
            steps = (stamps - start).astype(np.int64) // (self.count * _DAY.astype(np.int64))
        elif self.kind == "business day":
            steps = np.busday_count(_split(start)[0], _split(stamps)[0]) // self.count
        else:
            months = [_split(s)[0].astype("datetime64[M]").astype(np.int64) for s in (start, stamps)]
            steps = (months[1] - months[0]) // self.count
        return steps, self.advance(start, steps, anchor) == stamps

    def __str__(self) -> str:
        count = self.count
        if self.kind == "integer":
            return str(count)
        if self.kind == "time":
            for name in ("h", "min", "s", "ms"):
                if count % _UNITS[name][1] == 0:
                    return f"{count // _UNITS[name][1]}{name}"
            return f"{count}us"
        if self.kind == "month":
            size, name = (12, "y") if count % 12 == 0 else (3, "q") if count % 3 == 0 else (1, "mo")
            return f"{count // size}{name}"
        if self.kind == "day" and count % 7 == 0:
            return f"{count // 7}w"
        return f"{count}{'d' if self.kind == 'day' else 'b'}"


def month_length(month: np.ndarray) -> np.ndarray:
    """Return how many days months have, given as datetime64[M]."""
    following = (month + np.timedelta64(1, "M")).astype("datetime64[D]")
    return (following - month.astype("datetime64[D]")).astype(np.int64)


def day_of_month(stamps: np.ndarray) -> np.ndarray:
    """Return the day of the month, from 1, of datetime64 stamps."""
    day = stamps.astype("datetime64[D]")
    return (day - day.astype("datetime64[M]").astype("datetime64[D]")).astype(np.int64) + 1


def _split(stamps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the days, and the time of day."""
    day = stamps.astype("datetime64[D]")
    return day, stamps - day.astype("datetime64[us]")
