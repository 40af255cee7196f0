"""Columns beside the observations: known for the past, known ahead, or the same for a whole series."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from populace.core.errors import UsageError

_MOST_LEVELS = 1000


@dataclass(frozen=True)
class Roles:
    """Which columns of a table are exogenous, by name.

    Attributes:
        past: known up to the last observation, such as a measured temperature.
        future: known ahead as well, such as holidays or prices.
        static: one value per series, such as a region.
        categorical: those of them whose numbers are categories; text always is.

    """

    past: tuple[str, ...] = ()
    future: tuple[str, ...] = ()
    static: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()

    @classmethod
    def of(cls, *given: str | Sequence[str]) -> "Roles":
        """Return the roles of one column each, or several.

        Raises:
            UsageError: a column of two roles, or a categorical one of none.

        """
        found = cls(*((one,) if isinstance(one, str) else tuple(one) for one in given))
        names = found.names
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise UsageError(
                f"column '{twice[0]}' is named more than once as past, future or static; name it once"
            )
        stray = [name for name in found.categorical if name not in names]
        if stray:
            raise UsageError(
                f"categorical column '{stray[0]}' is none of past, future or static; name it there"
            )
        return found

    @property
    def names(self) -> tuple[str, ...]:
        """All exogenous columns."""
        return self.past + self.future + self.static


@dataclass(frozen=True)
class Exogenous:
    """Exogenous columns of a panel's series; a category is a column of zeros and ones, `weather=rain`.

    Attributes:
        past: by name, (total,) one number per step of the panel.
        future: by name, (m,) the same, and behind each series as many steps as are known ahead.
        static: by name, (n,) one number per series.
        begins: (n,) where the first step of each series lies in columns of the future.
        known: (n,) how many steps of each series, from its first, those columns have.

    """

    past: Mapping[str, np.ndarray] = field(default_factory=dict)
    future: Mapping[str, np.ndarray] = field(default_factory=dict)
    static: Mapping[str, np.ndarray] = field(default_factory=dict)
    begins: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    known: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))

    def __bool__(self) -> bool:
        return bool(self.past or self.future or self.static)

    def select(self, chosen: np.ndarray, take: np.ndarray) -> "Exogenous":
        """Return the columns of some series, `take` being the places of their steps in the panel."""
        return replace(
            self.cut(take),
            static={name: column[chosen] for name, column in self.static.items()},
            begins=self.begins[chosen] if self.future else self.begins,
            known=self.known[chosen] if self.future else self.known,
        )

    def cut(self, take: np.ndarray, dropped: np.ndarray | int = 0) -> "Exogenous":
        """Return the columns of some steps: what is known ahead stays known."""
        return replace(
            self,
            past={name: column[take] for name, column in self.past.items()},
            begins=self.begins + dropped if self.future else self.begins,
            known=self.known - dropped if self.future else self.known,
        )

    def steps(self, series: np.ndarray, first: np.ndarray, count: int) -> np.ndarray:
        """Return the columns of the future of so many steps of series, (N, count, F).

        Args:
            series: (N,) places of series.
            first: (N,) the first of the steps, counted from the start of the series.
            count: how many.

        """
        places = (self.begins[series] + first)[:, None] + np.arange(count)
        return np.stack([column[places] for column in self.future.values()], -1)


def dummies(name: str, values: Sequence[Any] | np.ndarray) -> dict[str, np.ndarray]:
    """Return a column of zeros and ones for each category, (N,) each, named `column=category`.

    Raises:
        UsageError: more than a thousand categories.

    """
    texts = np.asarray([_text(value) for value in values])
    levels, places = np.unique(texts, return_inverse=True)
    if len(levels) > _MOST_LEVELS:
        raise UsageError(
            f"categorical column '{name}' has {len(levels):,} categories; expected at most {_MOST_LEVELS:,}"
        )
    return {f"{name}={level}": (places == i).astype(np.float64) for i, level in enumerate(levels)}


def _text(value: Any) -> str:
    whole = isinstance(value, float) and value.is_integer()
    return str(int(value)) if whole else str(value)
