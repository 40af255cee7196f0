"""What the JSON files of a run must hold to be read: a file that parses is not yet one of a run.

What is written is here, all of it: a field that a reader uses and no schema names would be believed as it is.
Fields of later versions may be there besides. Indices must lie within the file that states them.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from populace.core import files
from populace.core.untrusted.shown import line, shortened
from populace.runs.integrity import sealed as seals

Index = Annotated[int, Field(ge=0, lt=2**31)]
Count = Annotated[int, Field(ge=0, lt=2**53)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Interval = Annotated[list[Number | None], Field(min_length=3, max_length=3)]
Metrics = dict[str, Number | None]
_TOGETHER = 1000
"""Members that are checked at a time: as objects they are several times as large as in the file."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True)


class _Examples(_Part):
    size: Index
    over_examples: Interval
    over_seeds_and_examples: Interval | None


class _Summary(_Part):
    n: Index
    diverged: Index = 0
    iqm: Interval
    median: Interval | None = None
    mean: Interval | None = None
    headline: Annotated[str, Field(pattern="^(iqm|mean)$")] = "iqm"
    scores: list[Number | None]
    success_rate: list[Number | None] | None = None
    examples: _Examples | None = None


class _Task(_Part):
    name: str
    identity: str


class _Setting(_Part):
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


class _Last(_Part):
    score: Number | None


class _Chosen(_Last):
    step: Annotated[int, Field(ge=-1, lt=2**53)] = -1


class _Measured(_Last):
    size: Count | None = None
    metrics: Metrics = Field(default_factory=dict)


class _Played(_Measured):
    backend: str


class _Copy(_Part):
    step: Count
    source: Index


class _Member(_Part):
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


class _Score(_Part):
    name: str
    mode: Annotated[str, Field(pattern="^(max|min)$")]
    score_threshold: Number | None = None
    floor: str = ""


class _Best(_Part):
    setting: Index | None
    member: Index | None
    median_member: Index | None
    rival: Index | None = None
    validation: _Summary | None
    test: _Summary | None
    external: _Summary | None


class _Timing(_Part):
    wall_s: Number
    train_s: Number
    units_per_s: Number
    resumed: Count


class _Strategy(_Part):
    members: Count
    strategy: str
    width: Count = 1
    devices: Count = 1
    why: str = ""
    seconds_per_step: Metrics = Field(default_factory=dict)


class _Confirmed(_Part):
    setting: Index
    values: dict[str, Any]
    diverged: Index = 0
    floor: Metrics = Field(default_factory=dict)
    validation: _Summary | None = None
    test: _Summary | None


class _Confirmation(_Part):
    folder: str = ""
    wall_s: Number = 0.0
    seeds: list[Count]
    settings: list[_Confirmed]


class _Decision(_Part):
    step: Count
    stop: str = ""
    copied: list[Annotated[list[Index], Field(min_length=2, max_length=2)]] = Field(
        default_factory=list, alias="copy"
    )
    settings: list[Annotated[list[Any], Field(min_length=2, max_length=2)]] = Field(default_factory=list)
    stop_members: list[Index] = Field(default_factory=list)


class _Populations(_Part):
    of: Annotated[str, Field(pattern="^(seed|all)$")]
    best: Annotated[list[Index], Field(min_length=1)]
    validation: _Summary
    test: _Summary | None


class _StoppedEarly(_Part):
    step: Count
    reason: str


class Results(_Part):
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
    score: _Score
    axes: dict[str, list[Any]]
    settings: Annotated[list[_Setting], Field(min_length=1)]
    members: Annotated[list[_Member], Field(min_length=1)]
    best: _Best | None
    best_by_task: list[Index] = Field(default_factory=list)
    decisions: list[_Decision]
    eliminated: bool = False
    populations: _Populations | None = None
    strategy: list[_Strategy]
    timing: _Timing
    confirmation: _Confirmation | None = None
    stopped_early: _StoppedEarly | None = None
    test_description: str = ""
    caveats: list[str] = Field(default_factory=list)
    together: list[list[str]] = Field(default_factory=list)


class Environment(_Part):
    """`environment.json`: versions, machine and devices."""

    packages: dict[str, str] = Field(default_factory=dict)
    devices: list[str] = Field(default_factory=list)
    cores: Count = 0
    started: str = ""
    populace: str = ""
    python: str = ""
    platform: str = ""
    cpu: str = ""
    backend: str = ""
    command: str = ""
    commit: str | None = None


class Lock(_Part):
    """`lock.json`: the process that trains the run."""

    host: str
    pid: Annotated[int, Field(ge=1, lt=2**31)]
    since: str


class Data(_Part):
    """`data.json`: what identifies the learner's data, and its fields with functions."""

    sha256: str
    functions: list[str] = Field(default_factory=list)


class _SavedMember(_Part):
    index: Index
    setting: Index
    seed: Count


class _Kind(_Part):
    kind: str


class SavedMember(_Part):
    """`member.json`: the settings of a saved member."""

    format: Any
    weights_sha256: str = ""
    learner: _Kind = Field(default_factory=lambda: _Kind(kind=""))
    own_network: bool = False
    inference: dict[str, Any] = Field(default_factory=dict)
    member: _SavedMember | None = None
    values: dict[str, Any] = Field(default_factory=dict)


class _Sitting(_Part):
    first_step: Count
    last_step: Count | None
    started: str
    populace: str
    packages: dict[str, str]
    devices: list[str]
    strategy: list[str]


class Sittings(_Part):
    """`sittings.json`: where and by what the run was trained."""

    sittings: list[_Sitting]


class _Table(_Part):
    file: Annotated[str, Field(pattern=r"^(train|evaluation)-\d+-\d+\.parquet$")]
    kind: Annotated[str, Field(pattern="^(train|evaluation)$")]
    first: Count
    last: Count
    rows: Count
    bytes: Count
    sha256: str


class Manifest(_Part):
    """`manifest.json`: the parts of the metric tables."""

    parts: list[_Table]


class _Control(_Part):
    state: Any = None
    decisions: list[_Decision] = Field(default_factory=list)
    model_config = ConfigDict(extra="forbid", strict=True)


class Checkpoint(_Part):
    """`info.json`: what a checkpoint says of itself."""

    files: dict[str, str] = Field(default_factory=dict)
    arrays: dict[str, Annotated[list[Any], Field(min_length=3, max_length=3)]] = Field(default_factory=dict)
    control: _Control = Field(default_factory=_Control)
    training_seconds: Number = 0.0
    wall_s: Number = 0.0
    resumed: Count = 0
    metrics: str = ""


SCHEMAS: Mapping[str, type[_Part]] = {
    "results.json": Results, "environment.json": Environment, "lock.json": Lock, "data.json": Data,
    "sittings.json": Sittings, "manifest.json": Manifest, "info.json": Checkpoint,
}  # fmt: skip


def read(path: Path, *, sealed: bool = False) -> dict[str, Any]:
    """Return what a JSON file of a run holds.

    Args:
        path: the file.
        sealed: whether it ends with its checksum.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no JSON, or is not what a file of its name holds; the message is one line.

    """
    found = seals.opened(files.read(path)) if sealed else seals.loads(files.read(path))
    what = SCHEMAS.get(path.name, dict[str, Any])
    members = found.get("members") if what is Results and isinstance(found, dict) else None
    if isinstance(members, list) and len(members) > _TOGETHER:
        checked = _checked(what, found | {"members": members[:_TOGETHER]})
        for at in range(_TOGETHER, len(members), _TOGETHER):
            _checked(list[_Member], members[at : at + _TOGETHER], "members", at)
    else:
        checked = _checked(what, found)
    if isinstance(checked, Results):
        _check_indices(checked, found["members"])
    return found


def _checked(what: Any, found: Any, where: str = "", at: int = 0) -> Any:
    """Return what was found as its schema has it; `where` it stands, if it is a list from entry `at` on.

    Raises:
        ValueError: it is something else.

    """
    try:
        return _adapter(what).validate_python(found)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = [*first["loc"]]
        if where:
            place = [where, at + int(place[0]), *place[1:]]
        told = ".".join(map(str, place)) or "the file"
        raise ValueError(f"{shortened(told)}: {line(first['msg'][:1].lower() + first['msg'][1:])}") from None


@cache
def _adapter(what: Any) -> TypeAdapter[Any]:
    return TypeAdapter(what)


def _check_indices(results: Results, members: list[dict[str, Any]]) -> None:
    """Check what names others; `members` are all of them, each of which is as its schema has it."""
    settings, count = len(results.settings), len(members)
    for i, setting in enumerate(results.settings):
        if setting.setting != i or max(setting.members) >= count:
            raise ValueError(f"settings.{i} names a setting or members that the file does not have")
        for summary in (setting.validation, setting.test, setting.external):
            if summary is not None and len(summary.scores) != len(setting.members):
                raise ValueError(f"settings.{i} has {len(summary.scores)} scores of its members")
    for i, member in enumerate(members):
        if member["member"] != i or member["setting"] >= settings:
            raise ValueError(f"members.{i} names a member or a setting that the file does not have")
    best = results.best
    if best is None:  # all members diverged
        best = _Best.model_construct(setting=None, member=None, median_member=None, rival=None)
    chosen = (best.setting, best.rival, *results.best_by_task)
    if any(s is not None and s >= settings for s in chosen) or any(
        m is not None and m >= count for m in (best.member, best.median_member)
    ):
        raise ValueError("best names a setting or a member that the file does not have")
