"""Incidents: what happens to environments outside the program, told to the person and counted."""

import logging
from collections import Counter
from dataclasses import dataclass

_LINES = 8  # of one kind that are told one by one; after them the 16th, the 32nd, and so on

log = logging.getLogger("populace")


@dataclass(frozen=True)
class Where:
    """Where in an episode something happened: what is needed to see it again."""

    step: int
    seed: int

    def __str__(self) -> str:
        return f", in step {self.step} of the episode with seed {self.seed}"


class Incidents:
    """The incidents of one environment.

    Args:
        name: of the environment.
        processes: how many hold it.

    """

    def __init__(self, name: str, processes: int) -> None:
        self.name, self.processes = name, processes
        self.counts: Counter[str] = Counter()

    def introduce(self, seconds: float) -> None:
        """Say what to expect: a step takes so many seconds."""
        count = self.processes
        log.info(
            "environment '%s' is played in %d process%s: at most %s steps/s, however quick the learner",
            self.name, count, "" if count == 1 else "es", f"{count / max(seconds, 1e-9):,.0f}",
        )  # fmt: skip

    def undetermined(self, why: str) -> None:
        """Say, once, that the environment is not deterministic."""
        self.counts["drift"] += 1
        if self.counts["drift"] == 1:
            log.warning(
                "environment '%s' is not deterministic: %s; a run that is resumed goes on in other episodes",
                self.name, why,
            )  # fmt: skip

    def failed(self, slot: int, what: str, where: Where | str, then: str) -> None:
        """Say what an environment did, and what was done about it."""
        self._tell("failure", slot, f"{what}{where}; {then}")

    def not_a_number(self, slot: int, field: str, where: Where) -> None:
        """Say that a reward or an observation is NaN."""
        self._tell("nan", slot, f"the {field} is NaN{where}")

    def _tell(self, kind: str, slot: int, what: str) -> None:
        """Say it every time at first, and ever more seldom later."""
        self.counts[kind] += 1
        count = self.counts[kind]
        if count > _LINES and count & (count - 1):
            return
        often = f" ({count} such incidents so far)" if count > _LINES else ""
        process = slot % self.processes
        log.warning("environment %d of '%s' (process %d): %s%s", slot, self.name, process, what, often)
