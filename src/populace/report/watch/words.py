"""How far a run is, in words."""

import time
from typing import Any, Protocol

from populace.report import number_format
from populace.report.runs import Reading
from populace.report.text import tables


class StatusLike(Protocol):
    """What a run folder says of itself."""

    @property
    def state(self) -> str:
        """`running`, `finished`, `stopped`, `interrupted` or `damaged`."""
        ...

    @property
    def step(self) -> int:
        """Iterations completed."""
        ...

    @property
    def steps(self) -> int:
        """Iterations asked for."""
        ...

    @property
    def owner(self) -> str:
        """Who trains it."""
        ...


class ProgressLike(Protocol):
    """How far a run is; `populace.runs.integrity.status.Progress` is one."""

    @property
    def status(self) -> StatusLike:
        """Its state and steps."""
        ...

    @property
    def seconds(self) -> float | None:
        """Seconds until the newest checkpoint."""
        ...

    @property
    def checkpoint_at(self) -> float | None:
        """When that was, in seconds since 1970."""
        ...

    @property
    def remaining(self) -> float | None:
        """Seconds that are left."""
        ...

    @property
    def confirmation(self) -> "ProgressLike | None":
        """The same of its confirmation."""
        ...


def sentence(found: ProgressLike) -> str:
    """Return how far a run is in one sentence."""
    if found.confirmation is not None:
        return (
            f"The settings are trained; the winner is confirmed on new seeds: {_steps(found.confirmation)}."
        )
    words = {
        "running": "", "finished": "Finished: ", "stopped": "Stopped: ", "damaged": "Damaged: ",
        "interrupted": "Interrupted, nobody trains it: ",
    }  # fmt: skip
    return f"{words.get(found.status.state, '')}{_steps(found)}."


def _steps(found: ProgressLike) -> str:
    now = found.status
    text = f"{number_format.whole(now.step)} of {number_format.whole(now.steps)} steps"
    if now.steps and now.step < now.steps:
        text += f" ({100 * now.step / now.steps:.0f} %)"
    if found.remaining is not None and now.step < now.steps:
        text += f", about {number_format.duration(found.remaining)} to go"
    return text


def facts(found: ProgressLike, reading: Reading | None) -> list[tuple[str, str]]:
    """Return key figures of a run that trains; of one without a reading only what its folder says."""
    now, members = found.status, reading.members if reading else []
    ended = (reading.results.get("ended") or None) if reading else None
    rows: list[tuple[str, Any]] = [
        ("state", now.state),
        ("trained by", now.owner.partition(", since")[0] or None),
        ("members", number_format.whole(len(members)) if members else None),
        ("settings", number_format.whole(len(reading.settings)) if reading else None),
        ("ended early", number_format.count(ended, "member") if ended else None),
        ("time so far", number_format.duration(found.seconds) if found.seconds else None),
        ("steps per second", _speed(found)),
        ("newest checkpoint", _ago(found.checkpoint_at) if now.state == "running" else None),
    ]
    return tables.pairs(rows)


def _speed(found: ProgressLike) -> str | None:
    return number_format.rough(found.status.step / found.seconds) if found.seconds else None


def _ago(at: float | None) -> str:
    return "none yet" if at is None else f"{number_format.duration(max(0.0, round(time.time() - at)))} ago"


def answer(reading: Reading | None) -> str:
    """Return which setting leads, in a sentence."""
    if reading is None or reading.winner is None or reading.results["status"] in ("finished", "stopped"):
        return ""
    found = reading.believed(reading.winner)
    several = len(reading.settings) > 1
    leads = f"{reading.label(reading.winner)} leads with" if several else "It has reached"
    score = f"{reading.score} {number_format.interval(found, named=True)}"
    return (
        f"{leads} {score}, by the best evaluation of each member so far. That is what settings are "
        "selected by, so it is too optimistic; the final evaluation comes last."
    )
