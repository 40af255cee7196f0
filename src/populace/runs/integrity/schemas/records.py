"""What the small JSON files of a run hold: where it ran, who owns it, and what belongs to it."""

from typing import Annotated, Any

from pydantic import ConfigDict, Field

from populace.runs.integrity.schemas.fields import Count, Decision, Index, Number, Part, Score


class Environment(Part):
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


class Population(Part):
    """`population.json`: who is trained."""

    name: str
    unit: str
    score: Score
    axes: dict[str, list[Any]]
    settings: Annotated[list[dict[str, Any]], Field(min_length=1)]
    seeds: Annotated[list[Count], Field(min_length=1)]


class Lock(Part):
    """`lock.json`: the process that trains the run."""

    host: str
    pid: Annotated[int, Field(ge=1, lt=2**31)]
    since: str


class Data(Part):
    """`data.json`: what identifies the learner's data, and its fields with functions."""

    sha256: str
    functions: list[str] = Field(default_factory=list)


class _SavedMember(Part):
    index: Index
    setting: Index
    seed: Count


class _Kind(Part):
    kind: str


class SavedMember(Part):
    """`member.json`: the settings of a saved member."""

    format: Any
    weights_sha256: str = ""
    learner: _Kind = Field(default_factory=lambda: _Kind(kind=""))
    own_network: bool = False
    inference: dict[str, Any] = Field(default_factory=dict)
    member: _SavedMember | None = None
    values: dict[str, Any] = Field(default_factory=dict)


class _Sitting(Part):
    first_step: Count
    last_step: Count | None
    started: str
    populace: str
    packages: dict[str, str]
    devices: list[str]
    strategy: list[str]


class Sittings(Part):
    """`sittings.json`: where and by what the run was trained."""

    sittings: list[_Sitting]


class _Table(Part):
    file: Annotated[str, Field(pattern=r"^(train|evaluation)-\d+-\d+\.parquet$")]
    kind: Annotated[str, Field(pattern="^(train|evaluation)$")]
    first: Count
    last: Count
    rows: Count
    bytes: Count
    sha256: str


class Manifest(Part):
    """`manifest.json`: the parts of the metric tables."""

    parts: list[_Table]


class _Control(Part):
    state: Any = None
    decisions: list[Decision] = Field(default_factory=list)
    model_config = ConfigDict(extra="forbid", strict=True)


class Checkpoint(Part):
    """`info.json`: what a checkpoint says of itself."""

    files: dict[str, str] = Field(default_factory=dict)
    arrays: dict[str, Annotated[list[Any], Field(min_length=3, max_length=3)]] = Field(default_factory=dict)
    control: _Control = Field(default_factory=_Control)
    training_seconds: Number = 0.0
    wall_s: Number = 0.0
    resumed: Count = 0
    metrics: str = ""
