"""Windows: stretches of steps that the devices are given to work through, one ahead of the host."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from populace.engine.group_state import GroupState
from populace.engine.hosts import fetch
from populace.engine.programs.carry import Progress


@dataclass
class Pending:
    """A dispatched window: where it ends, and what each group will tell of it."""

    end: int
    progress: list[Progress]

    def marks(self) -> list[np.ndarray]:
        """Return `step` and `diverged_at` of each group, (slots, 2), as soon as the window is done."""
        return [fetch(progress.marks) for progress in self.progress]


def ends(at: int, steps: int, window: int, evaluate_every: int) -> Iterator[int]:
    """Yield where windows end: at multiples of `window` and of `evaluate_every`, and at the end.

    Args:
        at: steps taken before.
        steps: where training ends.
        window: iterations of a window.
        evaluate_every: iterations between evaluations, 0 for none.

    """
    while at < steps:
        following = [steps, (at // window + 1) * window]
        if evaluate_every:
            following.append((at // evaluate_every + 1) * evaluate_every)
        at = min(following)
        yield at


def dispatch(running: Sequence[GroupState], end: int) -> Pending:
    """Give the devices the steps until `end`, and wait for nothing."""
    pending = Pending(end, [])
    for group_state in running:
        group_state.carry, progress = group_state.program.advance(group_state.carry, end)
        pending.progress.append(progress)
    return pending


def catch_up(running: Sequence[GroupState], pending: Pending) -> None:
    """Set diverged members aside and bring their batches to the end of a window."""
    for i, group_state in enumerate(running):
        while int(fetch(group_state.carry.step).min()) < pending.end:
            group_state.freeze_diverged()
            group_state.carry, more = group_state.program.advance(group_state.carry, pending.end)
            sums = pending.progress[i].sums
            pending.progress[i] = more._replace(sums={n: sums[n] + more.sums[n] for n in sums})
