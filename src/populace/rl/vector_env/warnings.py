"""Log messages about environments in worker processes, with counts."""

import logging
from collections import Counter
from dataclasses import dataclass

_LINES = 8  # of each kind that are all logged; after them only the 16th, the 32nd, and so on

log = logging.getLogger("populace")


@dataclass(frozen=True)
class Location:
    """The step at which something happened, with the seed that reproduces the episode."""

    step: int
    seed: int

    def __str__(self) -> str:
        return f", in step {self.step} of the episode with seed {self.seed}"


class EnvWarnings:
    """Warnings about one environment.

    Args:
        name: name of the environment.
        workers: number of worker processes.

    """

    def __init__(self, name: str, workers: int) -> None:
        self.name, self.workers = name, workers
        self.counts: Counter[str] = Counter()

    def speed_limit(self, step_seconds: float) -> None:
        """Log how many steps per second the workers can take at most."""
        count = self.workers
        log.info(
            "environment '%s' runs in %d worker process%s: at most %s steps/s",
            self.name, count, "" if count == 1 else "es", f"{count / max(step_seconds, 1e-9):,.0f}",
        )  # fmt: skip

    def nondeterministic(self, why: str) -> None:
        """Warn, once, that the environment is not deterministic."""
        self.counts["nondeterministic"] += 1
        if self.counts["nondeterministic"] == 1:
            log.warning(
                "environment '%s' is not deterministic: %s; a resumed run continues in different episodes",
                self.name, why,
            )  # fmt: skip

    def failed(self, slot: int, what: str, where: Location | str, action: str) -> None:
        """Warn that an environment failed, and say what was done about it."""
        self._warn("failed", slot, f"{what}{where}; {action}")

    def nan(self, slot: int, field: str, where: Location) -> None:
        """Warn that a reward or an observation is NaN."""
        self._warn("nan", slot, f"the {field} is NaN{where}")

    def _warn(self, kind: str, slot: int, what: str) -> None:
        """Log every warning at first, and then fewer and fewer."""
        self.counts[kind] += 1
        count = self.counts[kind]
        if count > _LINES and count & (count - 1):
            return
        so_far = f" ({count} such warnings so far)" if count > _LINES else ""
        worker = slot % self.workers
        log.warning("environment %d of '%s' (worker %d): %s%s", slot, self.name, worker, what, so_far)
