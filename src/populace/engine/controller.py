"""Controller: decides between windows how a population goes on.

It may stop the run or single members, copy one member over another, and change settings. Successive
halving and population-based training are controllers; so is stopping at a target score.
"""

import json
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

import numpy as np

from populace.core.errors import UsageError
from populace.core.population import Population
from populace.core.settings import Settings
from populace.engine.callbacks import Evaluation


@dataclass(frozen=True)
class Decision:
    """What a controller decides after an evaluation; members are given by their index.

    Copies come first (all at once: a member that is copied and overwritten gives its old state), then
    settings, then stops.

    Attributes:
        copy: member -> the member whose state replaces its own. It takes over what has been learned,
            not the settings, nor the random key: the two go different ways from there. A stopped or
            diverged member is revived by it.
        settings: member -> dotted path -> new value. The setting must be a `float` with an axis in the
            sweep, so that it is an argument of the compiled program.
        stop_members: members that train no further; they keep the best model they had.
        stop: why the whole run ends here; empty where it goes on.

    """

    copy: Mapping[int, int] = field(default_factory=dict)
    settings: Mapping[int, Mapping[str, float]] = field(default_factory=dict)
    stop_members: tuple[int, ...] = ()
    stop: str = ""

    def to_dict(self, step: int) -> dict[str, Any]:
        """Return the decision as JSON has it: what was decided, and at which step."""
        decided = {
            "copy": [[int(to), int(source)] for to, source in self.copy.items()],
            "settings": [
                [int(member), {path: float(v) for path, v in values.items()}]
                for member, values in self.settings.items()
            ],
            "stop_members": [int(member) for member in self.stop_members],
            "stop": self.stop,
        }
        return {"step": step} | {name: value for name, value in decided.items() if value}

    @classmethod
    def from_dict(cls, entry: Mapping[str, Any]) -> Self:
        """Return the decision that `to_dict` wrote."""
        return cls(
            {int(to): int(source) for to, source in entry.get("copy", [])},
            {int(member): dict(values) for member, values in entry.get("settings", [])},
            tuple(int(m) for m in entry.get("stop_members", [])),
            str(entry.get("stop", "")),
        )

    def but_diverged(self, diverged_at: np.ndarray) -> Self:
        """Return the decision without stops of members that have diverged: they have stopped already."""
        stops = [m for m in self.stop_members if diverged_at[m] < 0 or m in self.copy]
        return replace(self, stop_members=tuple(stops))

    def check(self, members: int) -> None:
        """Raise a `UsageError` for a member that does not exist."""
        named = {*self.copy, *self.copy.values(), *self.settings, *self.stop_members}
        for member in sorted(named):
            if not 0 <= member < members:
                raise UsageError(
                    f"the controller names member {member}; there are members 0 to {members - 1}"
                )


class Controller(Settings):
    """A rule that decides after each evaluation; its fields are settings, as a learner's are.

    It decides at evaluations and not at the windows between them, since how often a run is logged must
    not change it. Decisions depend on the arguments alone; what is to be remembered goes into the
    state, which JSON must be able to hold: it is part of every checkpoint.
    """

    eliminates: ClassVar[bool] = False
    """Whether members that it stops have lost: settings that were stopped as a whole then rank behind those
    that trained on, whatever they had scored."""

    @property
    def exchange(self) -> str:
        """Who takes over states from whom: `seed`, the members of one seed; `all`; or, empty, nobody."""
        return ""

    def planned(self, population: Population, steps: int, evaluate_every: int) -> Self:
        """Return the controller as it will decide in such a run, with what was left open filled in.

        Raises:
            UsageError: the population or the run is not one that this controller can decide for.

        """
        del population, steps, evaluate_every
        return self

    def init(self, population: Population) -> Any:
        """Return the state before the first evaluation; also the place to refuse a population.

        Raises:
            UsageError: the population is not one that this controller can decide for.

        """
        del population
        return None

    @abstractmethod
    def decide(
        self, state: Any, evaluation: Evaluation, population: Population
    ) -> tuple[Any, Decision | None]:
        """Return the next state, and what is to be done; None where all goes on as it is.

        Args:
            state: what `init` or the call before returned.
            evaluation: metrics per member; NaN for members that have diverged or were stopped.
            population: who trains, with the settings they began with.

        """


@dataclass
class Control:
    """What a controller has decided so far, as checkpoints keep it.

    Attributes:
        state: the controller's own.
        decisions: every decision, in the form of `Decision.to_dict`.

    """

    state: Any = None
    decisions: list[dict[str, Any]] = field(default_factory=list)

    def after(self, state: Any, decision: "dict[str, Any] | None") -> "Control":
        """Return what is known after one more evaluation.

        Raises:
            UsageError: JSON cannot hold the state.

        """
        try:
            json.dumps(state)
        except (TypeError, ValueError) as error:
            raise UsageError(f"the state of a controller must be what JSON can hold: {error}") from None
        return Control(state, self.decisions if decision is None else [*self.decisions, decision])

    @property
    def stop(self) -> str:
        """Why the whole run has ended; empty while it goes on."""
        return self.decisions[-1].get("stop", "") if self.decisions else ""

    def stopped_at(self) -> dict[int, int]:
        """Return the members that train no further, and the step at which each was stopped."""
        found: dict[int, int] = {}
        for entry in self.decisions:
            decision = Decision.from_dict(entry)
            for member in decision.copy:
                found.pop(member, None)
            for member in decision.stop_members:
                found.setdefault(member, int(entry["step"]))
        return found

    def settings(self) -> dict[int, dict[str, float]]:
        """Return the settings that were changed, with their latest values, by member."""
        found: dict[int, dict[str, float]] = {}
        for entry in self.decisions:
            for member, values in Decision.from_dict(entry).settings.items():
                found[member] = found.get(member, {}) | dict(values)
        return found


def lineage(decisions: Sequence[Mapping[str, Any]], member: int) -> list[dict[str, int]]:
    """Return where a member's state came from, latest first: at `step` it was copied from member `source`.

    The entry after that is about the state of `source` before that step, and so on to the start.
    """
    found = []
    for entry in reversed(decisions):
        source = dict(map(tuple, entry.get("copy", []))).get(member)
        if source is not None:
            found.append({"step": entry["step"], "source": source})
            member = source
    return found


@dataclass(frozen=True)
class Segment:
    """A part of a state's history: from `step` on it was `member`'s, trained with these settings."""

    step: int
    member: int
    settings: Mapping[str, Any]


def history(
    decisions: Sequence[Mapping[str, Any]],
    settings: Sequence[Mapping[str, Any]],
    member: int,
    step: int,
) -> tuple[Segment, ...]:
    """Return whose states with which settings led to that of a member, the start first.

    Args:
        decisions: of the whole run, oldest first.
        settings: that each member began with.
        member: by its index.
        step: of the state; it is the one that was evaluated there, before a decision of the same step.

    """
    values = [dict(own) for own in settings]
    found: list[tuple[Segment, ...]] = [(Segment(0, m, own),) for m, own in enumerate(values)]
    for entry in decisions:
        if entry["step"] >= step:
            break
        decision = Decision.from_dict(entry)
        copied = {to: found[source] for to, source in decision.copy.items()}  # all at once
        for one, changed in decision.settings.items():
            values[one] = values[one] | dict(changed)
        for one in sorted({*decision.copy, *decision.settings}):
            found[one] = (*copied.get(one, found[one]), Segment(entry["step"], one, values[one]))
    return found[member]


def exchanging(population: Population, exchange: str) -> list[np.ndarray]:
    """Return the members of each population that exchanges states, as `Controller.exchange` says who does."""
    everybody = np.arange(len(population))
    return list(population.by_seed(everybody).T) if exchange == "seed" else [everybody]


def training_members(decisions: Sequence[Mapping[str, Any]], members: Sequence[int]) -> list[int]:
    """Return the members of a group that its program holds after these decisions.

    Whenever half or more of those that it holds have been stopped, it is made anew without them; not sooner,
    since every new size is compiled. This follows from the decisions alone, so that a run which resumes has
    the program that it would have had. A group that was stopped as a whole stays as it was last.
    """
    held, stopped = list(members), set[int]()
    for entry in decisions:
        decision = Decision.from_dict(entry)
        stopped = (stopped - set(decision.copy)) | set(decision.stop_members)
        training = [member for member in members if member not in stopped]
        if not set(training) <= set(held):  # one of the others was revived
            held = list(members)
        if training and 2 * len(training) <= len(held):
            held = training
    return held
