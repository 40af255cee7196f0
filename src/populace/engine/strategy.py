"""Strategy: how many members a device works on at once, and how `auto` finds out.

`vmap` fills the vector units with small networks, `map` keeps one large network in the cache, and
a chunk of k members lies between. Which is quickest depends on the machine, so it is measured.
"""

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated

import jax
from pydantic import Field, TypeAdapter

from populace.core.errors import UsageError
from populace.core.files import cache_dir, write
from populace.core.population import Group
from populace.core.untrusted.shown import shown
from populace.engine.placement import Placement
from populace.engine.programs.program import Program

NAMES = ("auto", "vmap", "map")
_CHUNK = 8
_TRIAL_SECONDS = 0.25


@dataclass(frozen=True)
class BatchingChoice:
    """What was chosen for a group: the strategy's name, members per batch, and why."""

    strategy: str
    width: Annotated[int, Field(ge=1)]
    why: str
    seconds_per_step: dict[str, float]
    """Seconds per step of the whole group, for every strategy that was timed."""


_MEMORY = TypeAdapter(dict[str, BatchingChoice])


def check(name: str | int) -> str:
    """Return the name of a strategy if it is one: `auto`, `vmap`, `map`, or a number of members.

    A number may be given as one; its name is its digits.

    Raises:
        UsageError: it is none of these.

    """
    text = str(name) if isinstance(name, int) and not isinstance(name, bool) else name
    if isinstance(text, str) and (text in NAMES or (text.isdecimal() and int(text) > 0)):
        return text
    raise UsageError(f"strategy must be auto, vmap, map or a number of members at a time, got {shown(name)}")


def choose(
    name: str, group: Group, root: int, placement: Placement, phase: Callable[[str], None]
) -> tuple[BatchingChoice, Program]:
    """Return the choice for a group and its program; `phase` is told where strategies are timed.

    The choice that `auto` makes is remembered in the cache folder for this machine and shape, so
    that the same command chooses the same way, and gives the same bits, again.
    """
    share = -(-len(group.members) // len(placement.devices))
    if name != "auto":
        width = {"vmap": share, "map": 1}.get(name) or min(int(name), share)
        choice = BatchingChoice(name, width, "as asked", {})
        return choice, Program(group, root, placement, width)
    if share == 1:
        choice = BatchingChoice("map", 1, "one member per device leaves no choice", {})
        return choice, Program(group, root, placement, 1)
    memory, key = cache_dir() / "strategies.json", _fingerprint(group, placement)
    known = _recall(memory)
    if key in known:
        choice = replace(known[key], why=known[key].why + ", measured before")
        return choice, Program(group, root, placement, choice.width)
    phase("timing strategies")
    choice, program = _measure(group, root, placement)
    _remember(memory, known | {key: choice})
    return choice, program


def _measure(group: Group, root: int, placement: Placement) -> tuple[BatchingChoice, Program]:
    share = -(-len(group.members) // len(placement.devices))
    candidates = {"vmap": share, "map": 1}
    if share > 2 * _CHUNK:
        candidates[str(_CHUNK)] = _CHUNK
    programs, seconds = {}, {}
    for name, width in candidates.items():
        programs[name] = Program(group, root, placement, width)
        seconds[name] = _seconds_per_step(programs[name])
    best = min(seconds, key=seconds.__getitem__)
    times = ", ".join(f"{name} {s * 1e3:.3g} ms" for name, s in seconds.items())
    why = f"quickest per step of {len(group.members)} members: {times}"
    return BatchingChoice(best, candidates[best], why, seconds), programs[best]


def _seconds_per_step(program: Program) -> float:
    """Time a throwaway population until the figure rests on a quarter of a second."""
    carry, steps, done = program.begin(), 1, 0
    while True:
        start = time.perf_counter()
        carry, _ = program.advance(carry, done + steps)
        jax.block_until_ready(carry.step)
        seconds = time.perf_counter() - start
        compiled = done > 0
        done += steps
        if compiled and (seconds > _TRIAL_SECONDS or steps >= 4096):
            program.release()
            return seconds / steps
        steps *= 4 if compiled else 1


def _fingerprint(group: Group, placement: Placement) -> str:
    leaves = [(getattr(x, "shape", ()), str(getattr(x, "dtype", x))) for x in jax.tree.leaves(group.learner)]
    device = placement.devices[0]
    parts = (
        str(jax.tree.structure(group.learner)), leaves, len(group.members),
        len(placement.devices), device.platform, device.device_kind, jax.__version__,
        *(["streamed"] if group.learner.feed is not None else []),
    )  # fmt: skip
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def _recall(memory: Path) -> dict[str, BatchingChoice]:
    try:
        return _MEMORY.validate_python(json.loads(memory.read_text("utf-8")))
    except (OSError, ValueError, RecursionError):  # absent or damaged: it is only a memory, measure again
        return {}


def _remember(memory: Path, known: dict[str, BatchingChoice]) -> None:
    try:
        memory.parent.mkdir(parents=True, exist_ok=True)
        write(memory, json.dumps({key: asdict(choice) for key, choice in known.items()}, indent=1))
    except OSError:  # a read-only home costs the memory, not the run
        return
