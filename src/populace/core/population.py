"""Population: many learners of one structure as one pytree with a member axis.

    sweep(learner, {"learning_rate": [1e-3, 3e-4], "exploration.decay": [0.95, 0.995]}, seeds=8)

Only the leaves that differ carry the member axis. Values that change structure (a width, another
environment) split the population into groups, one program each.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from populace.core import swept
from populace.core.errors import UsageError
from populace.core.formatting import Overview, count, format_value, shortened
from populace.core.learner import Learner
from populace.core.numerics.precision import precision
from populace.core.swept import Axes, Setting
from populace.core.untrusted.shown import shown
from populace.core.values import listed, plain

MOST_MEMBERS = 10_000_000
"""Members of a population; more are a slip of the pen."""


@dataclass(frozen=True)
class Member:
    """Who a member is: its index in the population, its setting's index, and its seed."""

    index: int
    setting: int
    seed: int


@dataclass(frozen=True)
class Group:
    """Members of one structure: `learner` has a leading member axis on the leaves `varied` marks.

    `groups` is how many groups the population has: they share the machine's memory.
    """

    learner: Learner
    varied: Any
    members: tuple[Member, ...]
    groups: int = 1

    @cached_property
    def indices(self) -> np.ndarray:
        """The members' indices in the population, slot by slot."""
        return np.asarray([member.index for member in self.members])


@dataclass(frozen=True, repr=False)
class Population(Overview):
    """Settings times seeds of one learner; made by [`sweep`][populace.core.population.sweep].

    Attributes:
        learner: the learner all members share but for their settings.
        settings: one dictionary of dotted path to value per setting.
        seeds: the seeds each setting is trained with.
        seed: root of all randomness; member keys are `fold_in(key(seed), seeds[i])`, so that every
            setting meets the same seeds, and a member alone is the member in its population.

    """

    learner: Learner
    settings: tuple[Setting, ...]
    seeds: tuple[int, ...]
    seed: int = 0

    def _overview(self) -> tuple[str, dict[str, object]]:
        counts = count(len(self.settings), "setting"), count(len(self.seeds), "seed")
        return f"Population of {count(len(self), 'member')} of {type(self.learner).__name__}", {
            "members": f"{counts[0]} with {counts[1]} each",
            **{path: shortened(map(format_value, values)) for path, values in self.axes.items()},
            "seeds": shortened(map(str, self.seeds)),
        }

    @cached_property
    def members(self) -> tuple[Member, ...]:
        """All members, setting by setting."""
        pairs = itertools.product(range(len(self.settings)), self.seeds)
        return tuple(Member(i, s, seed) for i, (s, seed) in enumerate(pairs))

    def members_of(self, setting: int) -> range:
        """Return the indices of a setting's members, without a look at the others."""
        return range(setting * len(self.seeds), (setting + 1) * len(self.seeds))

    def by_seed(self, values: np.ndarray) -> np.ndarray:
        """Return one value per member as (settings, seeds)."""
        return values.reshape(len(self.settings), len(self.seeds))

    @property
    def axes(self) -> dict[str, list[Any]]:
        """What differs: path to its distinct values, in the order they first come."""
        found: dict[str, dict[Any, Any]] = {}
        for setting in self.settings:
            for path, value in setting.items():
                key = value if isinstance(value, int | float | str) else repr(value)  # tables have no hash
                found.setdefault(path, {}).setdefault(key, value)
        return {path: list(values.values()) for path, values in found.items()}

    def check_steps(self, steps: int) -> None:
        """Raise a `UsageError` if a member cannot count so many iterations."""
        for i, setting in enumerate(self.settings):
            if i and all(isinstance(value, float) for value in setting.values()):
                continue  # numbers that a program takes as arguments change no count
            learner = self.plain_learner_of(i)
            if steps > learner.max_steps:
                each = learner.units_per_step
                raise UsageError(
                    f"steps {steps:,} are too many: with {each:,} {learner.unit} each, a member counts at "
                    f"most {learner.max_steps:,}; lower steps"
                )

    def plain_learner_of(self, setting: int) -> Learner:
        """Return the learner with one setting's values in place, its data not yet loaded."""
        if setting not in self._plain:
            self._plain[setting] = swept.applied(self.learner, self.settings[setting])
        return self._plain[setting]

    @cached_property
    def _plain(self) -> dict[int, Learner]:
        """Learners that were made already: checks and groups ask for each of thousands."""
        return {}

    def learner_of(self, setting: int) -> Learner:
        """Return the learner with one setting's values in place, ready, as it would be by itself."""
        plain = self.plain_learner_of(setting)
        learner = plain.load_data()
        if learner is not plain:
            learner.check()
        return learner

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """The members by structure, each group stacked for one program."""
        by_structure: dict[Any, list[tuple[Learner, list[Member]]]] = {}
        for setting in range(len(self.settings)):
            shared, before, key = self.learner_of(setting), None, None
            same = type(shared).for_seed is Learner.for_seed  # a call of it costs more than the rest
            for index in self.members_of(setting):
                member = self.members[index]
                learner = shared if same else shared.for_seed(member.seed)
                if learner is not before:  # mostly all seeds have the same one
                    key = (jax.tree.structure(learner), tuple(_shape(x) for x in jax.tree.leaves(learner)))
                    by_structure.setdefault(key, []).append((learner, []))
                    before = learner
                by_structure[key][-1][1].append(member)
        return tuple(_stack(alike, len(by_structure)) for alike in by_structure.values())

    @cached_property
    def units_per_step(self) -> tuple[int, ...]:
        """How many units one step of each member works through; a swept batch size makes them differ."""
        found = np.empty(len(self), int)
        for group in self.groups:
            found[group.indices] = group.learner.units_per_step
        return tuple(found.tolist())

    def only(self, member: Member) -> "Population":
        """Return the population of that one member: it trains to the same end by itself."""
        chosen = (self.settings[member.setting],)
        return Population(self.learner, chosen, (member.seed,), self.seed)

    def __len__(self) -> int:
        return len(self.members)


def sweep(
    learner: Learner,
    axes: Axes | Sequence[Setting] | None = None,
    *,
    seeds: int | Sequence[int] = 1,
    samples: int | None = None,
    sampling: str = "random",
    seed: int = 0,
) -> Population:
    """Return the population of a learner's settings and seeds.

    Args:
        learner: settings that are not swept stay as they are here.
        axes: dotted path to values: their grid; or a list of settings. What one of a list does not name, and
            another does, is what the learner has. A value may be
            [`Uniform`][populace.core.swept.Uniform] or
            [`LogUniform`][populace.core.swept.LogUniform], which needs `samples`.
        seeds: how many seeds (0 to n - 1) for each setting, or which.
        samples: draw so many different settings instead of the whole grid; lists are drawn from evenly.
        sampling: how they are drawn, `random`, `latin-hypercube` or `sobol`; see
            `populace.core.swept.draws`.
        seed: root of all randomness, of the samples too.

    Raises:
        UsageError: an unknown path, a value of the wrong type or outside its range, an empty axis,
            no seeds, a range without `samples`, or two settings that make the same learner.

    """
    population = outlined(learner, axes, seeds=seeds, samples=samples, sampling=sampling, seed=seed)
    made = [population.plain_learner_of(index) for index in range(len(population.settings))]
    for one in made:
        one.check()
    swept.check_distinct(made, population.settings)
    return population


def outlined(
    learner: Learner,
    axes: Axes | Sequence[Setting] | None = None,
    *,
    seeds: int | Sequence[int] = 1,
    samples: int | None = None,
    sampling: str = "random",
    seed: int = 0,
) -> Population:
    """Return the population that `sweep` returns, its learners not checked: no environment is made."""
    samples, seed = plain(samples), plain(seed)
    _check_size(axes, seeds, samples)
    if isinstance(axes, Mapping):
        axes = {path: listed(values) for path, values in axes.items()}
        swept.check_axes(axes, samples, sampling)
        chosen = (
            list(swept.grid(axes))
            if samples is None
            else swept.distinct(learner, swept.draws(axes, seed, sampling, samples), samples)
        )
    elif axes is None:
        chosen = [{}]
    else:
        if not axes:
            raise UsageError("the list of settings is empty; give at least one")
        chosen = [dict(setting) for setting in axes]
    chosen = [{path: plain(value) for path, value in setting.items()} for setting in chosen]
    chosen = swept.completed(learner, chosen)
    return Population(learner, tuple(chosen), _seeds(seeds), seed)


def _seeds(seeds: int | Sequence[int]) -> tuple[int, ...]:
    seeds = listed(seeds)
    if not isinstance(seeds, int | Sequence):
        raise UsageError(f"seeds must be a whole number or a list of them, got {shown(seeds)}")
    found = tuple(range(seeds)) if isinstance(seeds, int) else tuple(seeds)
    if not found:
        raise UsageError(f"seeds must be at least 1, got {shown(seeds)}")
    if len(set(found)) < len(found):
        raise UsageError(f"seeds must differ from one another, got {list(found)}")
    if any(isinstance(s, bool) or not isinstance(s, int) or not 0 <= s < 2**31 for s in found):
        raise UsageError(f"a seed must be a whole number from 0 to 2147483647, got {list(found)}")
    return found


def _check_size(axes: Any, seeds: Any, samples: Any) -> None:
    """Raise a `UsageError` for more members than a population has, before any of them is made."""
    settings = samples
    if settings is None and isinstance(axes, Mapping):
        settings = math.prod(len(v) for v in axes.values() if isinstance(v, Sequence))
    each = plain(seeds) if isinstance(plain(seeds), int) else 1
    if isinstance(settings, int | None) and (settings or 1) * each > MOST_MEMBERS:
        raise UsageError(
            f"a population has at most {MOST_MEMBERS:,} members, got {shown((settings or 1) * each)}; "
            "lower seeds, or train fewer settings"
        )


def _shape(leaf: Any) -> Any:
    if isinstance(leaf, float):
        return "hyperparameter"
    return (leaf.shape, leaf.dtype) if isinstance(leaf, jax.Array | np.ndarray) else leaf


def _stack(alike: list[tuple[Learner, list[Member]]], groups: int) -> Group:
    """Stack the leaves that differ, of learners with their members; hyperparameters become float32 arrays.

    They are never constants of the program: XLA folds constants, which rounds differently, and a
    member would not be bit-identical to itself in another population.
    """
    structure = jax.tree.structure(alike[0][0])
    columns = list(zip(*(jax.tree.leaves(learner) for learner, _ in alike)))
    counts = [len(members) for _, members in alike]
    leaves, varied = [], []
    with precision(alike[0][0].x64):
        for column in columns:
            first = column[0]
            array = isinstance(first, jax.Array | np.ndarray)
            same = all(x is first or (not array and x == first) for x in column)
            varied.append(not same)
            if isinstance(first, float):
                leaves.append(jnp.asarray(first if same else np.repeat(column, counts), jnp.float32))
            else:
                # Data may be NumPy's: whoever makes a learner need not have started JAX.
                first = jnp.asarray(first) if isinstance(first, np.ndarray) else first
                stacked = first if same else np.stack([np.asarray(x) for x in column])
                leaves.append(first if same else jnp.asarray(np.repeat(stacked, counts, axis=0)))
    members = tuple(itertools.chain.from_iterable(members for _, members in alike))
    return Group(structure.unflatten(leaves), structure.unflatten(varied), members, groups)
