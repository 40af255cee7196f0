"""Types of fields that several JSON files of a run hold."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

Index = Annotated[int, Field(ge=0, lt=2**31)]
Count = Annotated[int, Field(ge=0, lt=2**53)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Interval = Annotated[list[Number | None], Field(min_length=3, max_length=3)]
Metrics = dict[str, Number | None]


class Part(BaseModel):
    """A table of a file; fields of later versions may be there besides."""

    model_config = ConfigDict(extra="allow", strict=True)


class Score(Part):
    """What members are ranked by."""

    name: str
    mode: Annotated[str, Field(pattern="^(max|min)$")]
    score_threshold: Number | None = None
    floor: str = ""


class Decision(Part):
    """What a controller decided."""

    step: Count
    stop: str = ""
    copied: list[Annotated[list[Index], Field(min_length=2, max_length=2)]] = Field(
        default_factory=list, alias="copy"
    )
    settings: list[Annotated[list[Any], Field(min_length=2, max_length=2)]] = Field(default_factory=list)
    stop_members: list[Index] = Field(default_factory=list)
