"""Options: how a run is run, the table `[run]` of a recipe."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from populace.core.errors import UsageError, unknown
from populace.core.untrusted.shown import shown
from populace.core.values import listed
from populace.engine import strategy

_ROWS = 2_000_000
"""Of the training table, where a recipe does not say how often members are logged."""


class Options(BaseModel):
    """How a run is run: the table `[run]` of a recipe."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    steps: Annotated[int, Field(ge=1, lt=2**30, description="iterations of each member")] = 10_000
    seeds: Annotated[
        Annotated[int, Field(ge=1)] | list[int],
        Field(description="seeds per setting: how many, or which"),
    ] = 1
    seed: Annotated[int, Field(ge=0, lt=2**31, description="root of all randomness")] = 0
    samples: Annotated[
        int | None,
        Field(ge=1, description="draw so many different settings from [sweep] instead of its grid"),
    ] = None
    sampling: Annotated[
        Literal["random", "latin-hypercube", "sobol"],
        Field(description="how samples are drawn: independently, evenly on each axis, or on all together"),
    ] = "random"
    strategy: Annotated[
        str | list[str], Field(description="auto, vmap, map, or a number of members at a time")
    ] = "auto"
    devices: Annotated[int, Field(ge=0, description="devices to use; 0 means all")] = 0
    log_every: Annotated[
        int,
        Field(
            ge=0,
            description="iterations per row of the training table; 0: a 200th of steps, with more than "
            "10,000 members so many that it has 2 million rows",
        ),
    ] = 0
    evaluate_every: Annotated[
        int, Field(ge=0, description="iterations between evaluations; 0: a 20th of steps")
    ] = 0
    checkpoint_every: Annotated[
        float, Field(gt=0, description="seconds between checkpoints, at the least")
    ] = 30.0
    checkpoint_selection: Annotated[
        Literal["best", "last"],
        Field(description="model kept of each member: of its best evaluation, or of the last one"),
    ] = "best"
    checkpoints_kept: Annotated[int, Field(ge=1, description="newest checkpoints kept")] = 3
    final_evaluation_size: Annotated[
        int,
        Field(ge=1, description="size of each member's final evaluation, such as a number of episodes"),
    ] = 200

    confirm: Annotated[
        int,
        Field(ge=0, description="new seeds on which the winning setting and its nearest rival train again"),
    ] = 0
    start_from: Annotated[
        str,
        Field(description="weights that all members start from: a .safetensors file or a saved member"),
    ] = ""

    def window(self, members: int) -> int:
        """Return the iterations between two looks at the metrics of so many members."""
        return self.log_every or max(1, self.steps // max(1, min(200, _ROWS // members)))

    @property
    def evaluation_window(self) -> int:
        """Iterations between two evaluations."""
        return self.evaluate_every or max(1, self.steps // 20)


def options(values: Mapping[str, Any]) -> Options:
    """Return checked options.

    Raises:
        UsageError: an unknown key (with the nearest known one), a wrong type or value.

    """
    for key in values:
        if key not in Options.model_fields:
            raise unknown("key", key, Options.model_fields, where=" in [run]")
    values = {key: listed(value) for key, value in values.items()}
    if "strategy" in values:
        named = values["strategy"]
        each = isinstance(named, list | tuple)
        values["strategy"] = [strategy.check(n) for n in named] if each else strategy.check(named)
    try:
        return Options(**values)
    except ValidationError as error:
        first = error.errors()[0]
        key = str(first["loc"][0])
        raise UsageError(f"{key}: {first['msg'].lower()}, got {shown(values[key])}") from None
