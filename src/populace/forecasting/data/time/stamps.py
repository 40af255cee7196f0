"""Stamps of observations: from a column to numbers that can be counted, and back."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import narwhals as nw
import numpy as np

from populace.core.errors import UsageError
from populace.forecasting.data.table import Table

_OFFSET = r"(?:Z|z|[+-]\d\d:?\d\d)$"


@dataclass(frozen=True)
class Clock:
    """How stamps are written: what a forecast's stamps must look like again.

    Attributes:
        kind: whole numbers, dates, or dates with the time of day.
        zone: the time zone's name, such as `Europe/Paris` or `+01:00`; empty if none was given.

    """

    kind: str
    zone: str = ""

    @property
    def tzinfo(self) -> tzinfo:
        """The time zone; UTC where none was given."""
        return _zone(self.zone) if self.zone else UTC

    def local(self, utc: np.ndarray) -> np.ndarray:
        """Return what the local clock shows, from stamps in UTC."""
        if not self.zone or utc.dtype.kind != "M":
            return utc
        return _mapped(utc, lambda t: t.replace(tzinfo=UTC).astimezone(self.tzinfo).replace(tzinfo=None))

    def utc(self, local: np.ndarray) -> np.ndarray:
        """Return stamps in UTC from what the local clock shows.

        An hour that comes twice is the first; one that is skipped is as late after the change.
        """
        if not self.zone or local.dtype.kind != "M":
            return local
        return _mapped(local, lambda t: t.replace(tzinfo=self.tzinfo).astimezone(UTC).replace(tzinfo=None))

    def written(self, utc: np.ndarray) -> list[Any]:
        """Return stamps in UTC as they were given: `int`, `date`, or `datetime` in the zone."""
        if self.kind == "integer":
            return [int(t) for t in utc]
        times = utc.astype("datetime64[us]").astype(object)
        if self.kind == "date":
            return [t.date() for t in times]
        if not self.zone:
            return list(times)
        return [t.replace(tzinfo=UTC).astimezone(self.tzinfo) for t in times]

    def shown(self, utc: Any) -> str:
        """Return one stamp as text, for a message."""
        value = self.written(np.asarray([utc]))[0]
        return value.isoformat(sep=" ") if isinstance(value, datetime) else str(value)


INTEGERS = Clock("integer")


def stamps(table: Table, name: str, zone: str = "") -> tuple[np.ndarray, Clock]:
    """Return the stamps of a column, int64 or datetime64[us] in UTC, and how they were written.

    Args:
        table: the observations.
        name: the column: whole numbers, dates, times, or text as in ISO 8601 (`2016-07-01 13:00`).
        zone: the time zone of stamps that have none, or have several offsets to UTC.

    Raises:
        UsageError: a missing stamp, text that is no stamp, stamps of several zones; with the row.

    """
    column = table.column(name)
    missing = np.flatnonzero(column.is_null().to_numpy())
    if missing.size:
        raise UsageError(f"{table.row(int(missing[0]))}: '{name}' is missing; expected a stamp in every row")
    kind = column.dtype
    if kind.is_integer():
        return column.to_numpy().astype(np.int64), Clock("integer")
    if kind.is_float():
        values = column.to_numpy()
        bad = np.flatnonzero(values != np.floor(values))
        if bad.size:
            raise UsageError(
                f"{table.row(int(bad[0]))}: '{name}' is {values[bad[0]]:g}; expected whole numbers, dates "
                "or times"
            )
        return values.astype(np.int64), Clock("integer")
    if kind == nw.Date:
        return np.asarray(column.to_list(), "datetime64[D]").astype("datetime64[us]"), Clock("date")
    if kind == nw.Datetime:
        own = getattr(kind, "time_zone", None) or ""
        naive = column.dt.convert_time_zone("UTC").dt.replace_time_zone(None) if own else column
        found = naive.to_numpy().astype("datetime64[us]")
        return _in_zone(found, own, zone)
    values = column.to_list()
    if all(isinstance(value, date) for value in values):
        return _objects(table, name, values, zone)
    return _text(table, name, [str(value) for value in values], zone)


def _in_zone(found: np.ndarray, own: str, zone: str) -> tuple[np.ndarray, Clock]:
    """Return naive stamps read in the zone that was named, others shown in it."""
    clock = Clock("datetime", zone or own)
    if zone:
        _zone(zone)
    return (found if own or not zone else clock.utc(found)), clock


def _objects(table: Table, name: str, values: list[Any], zone: str) -> tuple[np.ndarray, Clock]:
    if not any(isinstance(value, datetime) for value in values):
        return np.asarray(values, "datetime64[D]").astype("datetime64[us]"), Clock("date")
    offsets = [str(getattr(value, "tzinfo", None)) for value in values]
    _refuse_mixed(table, name, offsets, zone)
    if offsets[0] == "None":
        return _in_zone(np.asarray(values, "datetime64[us]"), "", zone)
    utc = [value.astimezone(UTC).replace(tzinfo=None) for value in values]
    return _in_zone(np.asarray(utc, "datetime64[us]"), offsets[0], zone)


def _text(table: Table, name: str, values: list[str], zone: str) -> tuple[np.ndarray, Clock]:
    """Return the stamps in text; each is read once, however often it occurs."""
    distinct, places = np.unique(np.asarray(values), return_inverse=True)
    texts = [str(value).strip() for value in distinct]
    offsets = [m[0] if (m := re.search(_OFFSET, text[10:])) else "None" for text in texts]
    if len(set(offsets)) > 1:
        _refuse_mixed(table, name, [offsets[place] for place in places], zone)
    utc = []
    for text, offset, place in zip(texts, offsets, range(len(texts))):
        try:
            time = datetime.fromisoformat(text)
        except ValueError:
            row = int(np.flatnonzero(places == place)[0])
            raise UsageError(
                f"{table.row(row)}: '{name}' is {text!r:.40}; expected a stamp as 2016-07-31 or 2016-07-31 "
                "13:00"
            ) from None
        utc.append(time if offset == "None" else time.astimezone(UTC).replace(tzinfo=None))
    found = np.asarray(utc, "datetime64[us]")[places.reshape(-1)]
    if offsets[0] != "None":
        own = "UTC" if offsets[0] in "Zz" or int(re.sub(r"\D", "", offsets[0]) or 0) == 0 else offsets[0]
        return _in_zone(found, own, zone)
    if all(len(text) <= 10 for text in texts) and not zone:
        return found, Clock("date")
    return _in_zone(found, "", zone)


def _refuse_mixed(table: Table, name: str, offsets: list[str], zone: str) -> None:
    """Refuse stamps with a zone beside stamps without, and several zones where none is named."""
    other = next((i for i, offset in enumerate(offsets) if offset != offsets[0]), None)
    if other is None or (zone and "None" not in offsets):
        return
    seen = [offset.replace("None", "no zone") for offset in (offsets[0], offsets[other])]
    raise UsageError(
        f"{table.row(other)}: '{name}' has {seen[1]}, the first row {seen[0]}; expected one time zone, or "
        "its name in time_zone (--time-zone) for stamps that all have an offset"
    )


def _zone(name: str) -> tzinfo:
    """Return a time zone by its name or its offset to UTC."""
    offset = re.fullmatch(r"(?:UTC)?([+-])(\d\d):?(\d\d)", name)
    if offset:
        span = timedelta(hours=int(offset[2]), minutes=int(offset[3]))
        return timezone(-span if offset[1] == "-" else span)
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UsageError(f"unknown time zone {name!r:.40}; expected one as Europe/Paris or +01:00") from None


def _mapped(times: np.ndarray, change: Any) -> np.ndarray:
    """Return each time changed; those that occur often are changed once."""
    distinct, places = np.unique(times, return_inverse=True)
    changed = [change(time) for time in distinct.astype("datetime64[us]").astype(object)]
    return np.asarray(changed, "datetime64[us]")[places.reshape(times.shape)]
