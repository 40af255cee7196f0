"""The settings of a sweep, what each makes of a learner, and whether two settings make the same one.

A setting is a dictionary of dotted path to value. Two that make the same learner would train the same members
twice, and the best of N would be the best of fewer than it says.
"""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import jax
import numpy as np

from populace.core import settings
from populace.core.errors import UsageError
from populace.core.settings import Settings
from populace.core.untrusted.shown import shown
from populace.core.values import is_array, plain

_AT_ONCE = 64
"""Points of a Sobol sequence that are made together: a power of two, or it is not balanced."""
S = TypeVar("S", bound=Settings)
Setting = dict[str, Any]


@dataclass(frozen=True)
class Uniform:
    """Values drawn evenly from [low, high]."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise UsageError(f"a uniform range needs low < high, got {self.low:g} to {self.high:g}")

    def draw(self, rng: np.random.Generator) -> float:
        """Return one value."""
        return float(rng.uniform(self.low, self.high))

    def at(self, share: float) -> float:
        """Return the value below which a share of the distribution lies, of [0, 1)."""
        return self.low + share * (self.high - self.low)


@dataclass(frozen=True)
class LogUniform(Uniform):
    """Values whose logarithm is drawn evenly: each decade is as likely as the next."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.low <= 0:
            raise UsageError(f"a log-uniform range needs low > 0, got {self.low:g}")

    def draw(self, rng: np.random.Generator) -> float:
        """Return one value."""
        return float(math.exp(rng.uniform(math.log(self.low), math.log(self.high))))

    def at(self, share: float) -> float:
        """Return the value below which a share of the distribution lies, of [0, 1)."""
        return math.exp(math.log(self.low) + share * (math.log(self.high) - math.log(self.low)))


Axes = Mapping[str, Sequence[Any] | Uniform]
SAMPLINGS = ("random", "latin-hypercube", "sobol")
"""How settings are drawn: independently, one in each of N parts of every axis, or spread over all axes."""


def check_axes(axes: Axes, samples: int | None, sampling: str = "random") -> None:
    """Raise a `UsageError` for an axis that is no list, or a range or sampling without `samples`."""
    if sampling not in SAMPLINGS:
        raise UsageError(f"sampling must be {', '.join(SAMPLINGS)}, got {shown(sampling)}")
    if sampling != SAMPLINGS[0] and samples is None:
        raise UsageError(f"sampling is {sampling}, and a grid is not sampled; say how many `samples` to draw")
    for path, values in axes.items():
        if isinstance(values, Uniform):
            if samples is None:
                raise UsageError(f"the range of '{path}' has no grid; say how many `samples` to draw")
        elif isinstance(values, str) or not isinstance(values, Sequence):
            raise UsageError(f"the sweep of '{path}' must be a list of values, got {shown(values)}")
        elif not values:
            raise UsageError(f"the sweep of '{path}' is empty; give at least one value")
    if samples is not None and samples < 1:
        raise UsageError(f"samples must be at least 1, got {samples}")


def grid(axes: Axes) -> Iterator[Setting]:
    """Return all settings of lists of values, the last axis fastest."""
    lists = [list(values) for values in axes.values()]  # pyright: ignore[reportArgumentType]
    for values in itertools.product(*lists):
        yield dict(zip(axes, values))


def draws(axes: Axes, seed: int, sampling: str = "random", samples: int = 1) -> Iterator[Setting]:
    """Return settings drawn without end: evenly from lists, from ranges as they say.

    Args:
        axes: lists and ranges.
        seed: of what is drawn.
        sampling: `random`; `latin-hypercube`, of whose first `samples` settings each lies in another of as
            many equal parts of every axis; or `sobol`, scrambled points that fill all axes together evenly,
            best where `samples` is a power of two.
        samples: size of a hypercube; where settings repeat, a next one follows.

    Source: M. McKay, R. Beckman, W. Conover (1979), Technometrics 21; I. Sobol (1967), USSR Computational
    Mathematics and Mathematical Physics 7; A. Owen (1998), ACM TOMACS 8 (the scrambling).

    """
    if sampling != "random":
        for point in _points(len(axes), seed, sampling, samples):
            yield {
                path: plain(v.at(u) if isinstance(v, Uniform) else v[int(u * len(v))])
                for u, (path, v) in zip(point, axes.items())
            }
    rng = np.random.default_rng(seed)
    while True:
        yield {
            path: plain(v.draw(rng) if isinstance(v, Uniform) else v[int(rng.integers(len(v)))])
            for path, v in axes.items()
        }


def _points(axes: int, seed: int, sampling: str, samples: int) -> Iterator[list[float]]:
    """Return points of the unit cube without end."""
    rng = np.random.default_rng(seed)
    if sampling == "sobol":
        from scipy.stats import qmc

        sobol = qmc.Sobol(axes, scramble=True, rng=rng)
        while True:
            yield from sobol.random(_AT_ONCE).tolist()
    while True:
        places = np.stack([rng.permutation(samples) for _ in range(axes)], axis=1)
        yield from ((places + rng.random(places.shape)) / samples).tolist()


def applied(module: S, setting: Setting) -> S:
    """Return the module with a setting's values in place: a kind before its parts, which it would erase.

    Raises:
        UsageError: no such setting, a wrong type, or a value outside its range.

    """
    for path in sorted(setting, key=_depth):
        module = settings.replace(module, path, setting[path])
    return module


def completed(module: Settings, chosen: Sequence[Setting]) -> list[Setting]:
    """Return the settings, each with a value for every path that any of them names, where it has such a path.

    What a setting does not name is what the module has, so that `[{}, {"learning_rate": 1e-4}]` is two
    settings of one axis.
    """
    paths = list(dict.fromkeys(path for setting in chosen for path in setting))
    return [
        {path: setting[path] for path in paths}
        if len(setting) == len(paths)
        else _completed(applied(module, setting), setting, paths)
        for setting in chosen
    ]


def written(module: Settings, setting: Setting) -> Setting:
    """Return a setting as a recipe has it, without the values that are none: TOML has no word for it.

    Raises:
        UsageError: the module has another value there, which the recipe would give the setting instead.

    """
    absent = [path for path, value in setting.items() if value is None]
    own = {path: value for path, _, value in settings.walk(module)} if absent else {}
    for path in absent:
        if own.get(path) is not None:
            raise UsageError(
                f"setting '{path}' is none in the sweep and {own[path]!r} in the learner, which no recipe "
                "can hold; make it none in the learner, and list the other value"
            )
    return {path: settings.to_plain(v) for path, v in setting.items() if v is not None}


def identity(module: Settings) -> Any:
    """Return what is equal for two modules that train alike: structure, and hyperparameters in float32.

    Arrays count by their place in memory: settings of a sweep share them.
    """
    leaves = jax.tree.leaves(module)
    with np.errstate(over="ignore"):
        return jax.tree.structure(module), tuple(
            id(x) if is_array(x) else float(np.float32(x)) if isinstance(x, float) else x for x in leaves
        )


def check_distinct(made: Sequence[Settings], chosen: Sequence[Setting]) -> None:
    """Raise a `UsageError` if two settings make the same learner; `made` is what each of them makes."""
    first: dict[Any, int] = {}
    for index, (module, setting) in enumerate(zip(made, chosen, strict=True)):
        same = first.setdefault(identity(module), index)
        if same == index:
            continue
        one, other = (
            ", ".join(f"{k} {settings.to_plain(v)!r}" for k, v in s.items()) for s in (chosen[same], setting)
        )
        numbers = any(isinstance(v, float) and v != chosen[same].get(k) for k, v in setting.items())
        raise UsageError(
            f"settings {same} and {index} of the sweep make the same learner: {one}"
            + (f"; {other}" if one != other else "")
            + ("; numbers are float32, in which these are equal" if numbers else "")
            + "; keep one of them"
        )


def distinct(module: Settings, drawn: Iterator[Setting], count: int, tries: int = 1000) -> list[Setting]:
    """Return the first `count` of an endless stream of settings that make different learners.

    Raises:
        UsageError: there seem to be fewer; `tries` in a row were known.

    """
    found: dict[Any, Setting] = {}
    misses = 0
    while len(found) < count:
        setting = next(drawn)
        before = len(found)
        found.setdefault(identity(applied(module, setting)), setting)
        misses = misses + 1 if len(found) == before else 0
        if misses >= tries:
            raise UsageError(
                f"samples is {count}, but only {len(found)} different settings can be drawn; "
                "sample fewer, or leave samples out to train the whole grid"
            )
    return list(found.values())


def _completed(module: Settings, setting: Setting, paths: Sequence[str]) -> Setting:
    known = {path: value for path, _, value in settings.walk(module)}
    full: Setting = {}
    for path in paths:
        if path in setting:
            full[path] = setting[path]
        elif any(given.startswith(f"{_kind_of(path)}.") for given in setting):
            continue  # one of its parts is named, and with it the rest
        elif path in known:
            full[path] = _short(known[path])
        elif _kind_of(path) in known:
            full[path] = known[_kind_of(path)].kind
    return full


def _short(value: Any) -> Any:
    """Return a nested setting as its kind where it is at its defaults, else as a table."""
    if not isinstance(value, Settings) or not value.kind:
        return settings.to_plain(value) if isinstance(value, Settings) else value
    table = settings.to_dict(value)
    return value.kind if table == settings.to_dict(settings.from_dict(type(value), {})) else table


def _kind_of(path: str) -> str:
    """Return the path of the nested setting that `path` names, by itself or by its `kind`."""
    return path.removesuffix(".kind")


def _depth(path: str) -> int:
    return _kind_of(path).count(".")
