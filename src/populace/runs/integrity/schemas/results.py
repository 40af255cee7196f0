"""What `results.json` holds, and that its indices lie within it."""

from typing import Annotated, Any

from pydantic import Field

from populace.runs.integrity.schemas.fields import (
    Count,
    Decision,
    Index,
    Interval,
    Metrics,
    Number,
    Part,
    Score,
)


class _Examples(Part):
    size: Index
    over_examples: Interval
    over_seeds_and_examples: Interval | None


class _Summary(Part):
    n: Index
    diverged: Index = 0
    iqm: Interval
    median: Interval | None = None
    mean: Interval | None = None
    headline: Annotated[str, Field(pattern="^(iqm|mean)$")] = "iqm"
    scores: list[Number | None]
    success_rate: list[Number | None] | None = None
    examples: _Examples | None = None


class _Task(Part):
    name: str
    identity: str


class _Setting(Part):
    setting: Index
    values: dict[str, Any]
    members: Annotated[list[Index], Field(min_length=1)]
    units_per_step: Count | None = None
    diverged: Index
    floor: Metrics = Field(default_factory=dict)
    task: _Task | None = None
    validation: _Summary
    test: _Summary | None
    external: _Summary | None


class _Last(Part):
    score: Number | None


class _Chosen(_Last):
    step: Annotated[int, Field(ge=-1, lt=2**53)] = -1


class _Measured(_Last):
    size: Count | None = None
    metrics: Metrics = Field(default_factory=dict)


class _Played(_Measured):
    backend: str


class _Copy(Part):
    step: Count
    source: Index


class Member(Part):
    """One member, as the file lists it."""

    member: Index
    setting: Index
    seed: Count
    diverged_at: Count | None
    stopped_at: Count | None = None
    lineage: list[_Copy] = Field(default_factory=list)
    validation: _Chosen
    last: _Last | None = None
    test: _Measured | None
    external: _Played | None


class _Best(Part):
    setting: Index | None
    member: Index | None
    median_member: Index | None
    rival: Index | None = None
    validation: _Summary | None
    test: _Summary | None
    external: _Summary | None


class _Timing(Part):
    wall_s: Number
    train_s: Number
    units_per_s: Number
    resumed: Count


class _Strategy(Part):
    members: Count
    strategy: str
    width: Count = 1
    devices: Count = 1
    why: str = ""
    seconds_per_step: Metrics = Field(default_factory=dict)


class _Confirmed(Part):
    setting: Index
    values: dict[str, Any]
    diverged: Index = 0
    floor: Metrics = Field(default_factory=dict)
    validation: _Summary | None = None
    test: _Summary | None


class _Confirmation(Part):
    folder: str = ""
    wall_s: Number = 0.0
    seeds: list[Count]
    settings: list[_Confirmed]


class _Segment(Part):
    step: Count
    member: Index
    settings: dict[str, Number]


class _Populations(Part):
    of: Annotated[str, Field(pattern="^(seed|all)$")]
    best: Annotated[list[Index], Field(min_length=1)]
    winner: Index = 0
    history: list[_Segment] = Field(default_factory=list)
    validation: _Summary
    test: _Summary | None


class _Prediction(Part):
    seconds: Number
    bytes: Count


class _Costs(Part):
    setting: Index
    parameters: Count
    train_s: Number | None
    prediction: _Prediction | None
    training_scores: list[Number] | None


class _StoppedEarly(Part):
    step: Count
    reason: str


class Results(Part):
    """`results.json`, as docs/run-folder.md describes it."""

    name: str
    about: str = ""
    status: str
    unit: str
    units_per_step: Count
    evaluation_unit: str | None = None
    evaluation_cost: Number | None = None
    checkpoint_selection: str = ""
    independent_test: bool | None = True
    start_weights: bool = False
    populace: str = ""
    command: str = ""
    learner: str = ""
    format: Count = 0
    sha256: str = ""
    steps: Count
    steps_total: Count
    score: Score
    axes: dict[str, list[Any]]
    settings: Annotated[list[_Setting], Field(min_length=1)]
    members: Annotated[list[Member], Field(min_length=1)]
    best: _Best | None
    best_by_task: list[Index] = Field(default_factory=list)
    costs: list[_Costs] | None = None
    decisions: list[Decision]
    eliminated: bool = False
    populations: _Populations | None = None
    strategy: list[_Strategy]
    timing: _Timing
    confirmation: _Confirmation | None = None
    stopped_early: _StoppedEarly | None = None
    test_description: str = ""
    caveats: list[str] = Field(default_factory=list)
    together: list[list[str]] = Field(default_factory=list)


def check_indices(results: Results, members: list[dict[str, Any]]) -> None:
    """Check what names others; `members` are all of them, each of which is as its schema has it."""
    settings, count = len(results.settings), len(members)
    for i, setting in enumerate(results.settings):
        if setting.setting != i or max(setting.members) >= count:
            raise ValueError(f"settings.{i} names a setting or members that the file does not have")
        for summary in (setting.validation, setting.test, setting.external):
            if summary is not None and len(summary.scores) != len(setting.members):
                raise ValueError(f"settings.{i} has {len(summary.scores)} scores of its members")
    for i, costs in enumerate(results.costs or []):
        own = costs.training_scores
        if costs.setting != i or i >= settings or (own and len(own) != len(results.settings[i].members)):
            raise ValueError(f"costs.{i} is of a setting or of members that the file does not have")
    for i, member in enumerate(members):
        if member["member"] != i or member["setting"] >= settings:
            raise ValueError(f"members.{i} names a member or a setting that the file does not have")
    if (found := results.populations) is not None:
        way = [segment.member for segment in found.history]
        if max(*found.best, found.winner, *way) >= count:
            raise ValueError("populations names a member that the file does not have")
    best = results.best
    if best is None:  # all members diverged
        best = _Best.model_construct(setting=None, member=None, median_member=None, rival=None)
    chosen = (best.setting, best.rival, *results.best_by_task)
    if any(s is not None and s >= settings for s in chosen) or any(
        m is not None and m >= count for m in (best.member, best.median_member)
    ):
        raise ValueError("best names a setting or a member that the file does not have")
