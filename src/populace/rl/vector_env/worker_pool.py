"""Crew: the processes of one environment, each stepping its part of a batch at the same time.

A process that ends or hangs is replaced by a new one, and what was lost with it is told to who asked.
"""

import os
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from populace.core.errors import RunError, UsageError, unknown
from populace.rl.vector_env.process import messages
from populace.rl.vector_env.process.making import Spec
from populace.rl.vector_env.process.probing import EnvInfo
from populace.rl.vector_env.workers import WorkerDied, Worker

Replays = dict[int, tuple[int, np.ndarray]]


@dataclass
class Report:
    """What came of a batch, by slot.

    Attributes:
        faults: what an environment raised, or how it took its process with it.
        victims: slots that were lost with a process because of another.
        told: what went wrong and was overcome.
        drifted: slots where a replay led to another observation than when it was played first.
        emptied: numbers of the processes that were replaced: none of their slots stands anywhere now.

    """

    faults: dict[int, str] = field(default_factory=dict)
    victims: set[int] = field(default_factory=set)
    told: dict[int, str] = field(default_factory=dict)
    drifted: list[int] = field(default_factory=list)
    emptied: list[int] = field(default_factory=list)


class WorkerPool:
    """The processes of one environment; slot i belongs to process i modulo their number.

    Args:
        name: what the environment is called.
        spec: how it is made.
        count: processes.
        timeout: seconds that one reset or step may take.

    """

    def __init__(self, name: str, spec: Spec, count: int, timeout: float) -> None:
        self.name, self.title = name, name.partition("(")[0]
        self.spec, self.count, self.timeout = spec, count, timeout
        self._memory = _anonymous_file()
        self._workers: dict[int, Worker] = {}
        self._fresh: set[int] = set()

    def probe(self) -> EnvInfo:
        """Return what a first process finds out.

        Raises:
            UsageError: the environment cannot be made, or not be played.

        """
        for again in (True, False):
            worker = self._workers[0] = Worker(self.spec, self._memory)
            worker.send(messages.call("probe"))
            try:
                answer = worker.answer(self.timeout)
            except WorkerDied as lost:
                self._workers.pop(0).kill()
                if again and "no answer" not in str(lost):
                    continue
                raise UsageError(f"environment '{self.name}' cannot be played: {lost}") from None
            if "refused" in answer:
                self.close()
                raise self._refused(answer)
            self._fresh.add(0)
            return EnvInfo(**answer)
        raise AssertionError

    def attach(self, layout: np.dtype) -> np.ndarray:
        """Return the records, shared with all processes from now on."""
        self._layout = layout
        os.ftruncate(self._memory, messages.size(layout))
        self.busy, self.records = messages.mapped(self._memory, layout)
        return self.records

    def begin(self, slots: np.ndarray) -> Report:
        """Start an episode in each slot, from the seed in `next`."""
        return self._all(slots, lambda mine: messages.call("begin", mine.tolist()))

    def step(self, slots: np.ndarray, replays: Replays) -> Report:
        """Take the step in `action` in each slot, after the replays (slot to seed and actions)."""

        def message(mine: np.ndarray) -> bytes:
            if not replays:
                return messages.step(mine)
            given = {slot: replays[slot] for slot in mine.tolist() if slot in replays}
            return messages.call("step", mine.tolist(), given)

        return self._all(slots, message)

    def close(self) -> None:
        """Let every process close its environments and end."""
        for worker in self._workers.values():
            worker.send(messages.call("close"))
        while self._workers:
            self._workers.popitem()[1].leave()

    def kill(self) -> None:
        """End every process at once; who waits for an answer is told that it is lost."""
        for worker in list(self._workers.values()):
            worker.end()

    def _all(self, slots: np.ndarray, message: Callable[[np.ndarray], bytes]) -> Report:
        owners = slots % self.count
        parts = {n: slots[owners == n] for n in sorted(set(owners.tolist()))}
        self._ready(parts)
        for number, mine in parts.items():
            self.busy[number] = (-1, 0)
            self._workers[number].send(message(mine))
        report = Report()
        for number, mine in parts.items():
            try:
                answer = self._workers[number].answer(self.timeout, self.busy[number])
            except WorkerDied as lost:
                self._workers.pop(number).kill()
                culprit = int(self.busy[number, 0])
                culprit = culprit if culprit in mine else int(mine[0])
                report.faults[culprit] = str(lost)
                report.victims |= {*mine.tolist()} - {culprit}
                report.emptied.append(number)
                continue
            if answer is not None:
                report.faults |= answer["faults"]
                report.told |= answer["told"]
                report.drifted += answer["drifted"]
        return report

    def _ready(self, numbers: Iterable[int]) -> None:
        """Start the processes that are not there, all at the same time."""
        for number in numbers:
            if number not in self._workers:
                self._workers[number] = Worker(self.spec, self._memory)
                self._fresh.add(number)
        fresh = [n for n in numbers if n in self._fresh]
        for number in fresh:
            self._workers[number].send(messages.call("attach", number, self._memory, self._layout))
        for number in fresh:
            try:
                answer = self._workers[number].answer(self.timeout)
            except WorkerDied as lost:
                raise RunError(f"environment '{self.title}' cannot be made any more: {lost}") from None
            if answer is not None:
                raise RunError(f"environment '{self.title}' cannot be made any more: {answer['refused']}")
            self._fresh.discard(number)

    def _refused(self, answer: dict[str, Any]) -> UsageError:
        import gymnasium

        why = answer["refused"]
        if answer["known"] and self.spec.identifier in gymnasium.registry:
            return UsageError(
                f"environment '{self.name}' is registered in this process alone, and environments run in "
                "processes of their own, which import them by name; name the module that registers it, "
                f"gymnasium:MODULE:{self.spec.identifier}, or the class, MODULE:Class"
            )
        if why.startswith("NamespaceNotFound"):
            return UsageError(
                f"environment '{self.name}' is not known to Gymnasium; where another package registers it, "
                f"name that too: gymnasium:PACKAGE:{self.spec.identifier}"
            )
        if answer["known"]:
            return unknown("environment", self.spec.identifier, answer["known"], where=" of Gymnasium")
        if answer["missing"]:
            return UsageError(f"environment '{self.name}' needs what is not installed here: {why}")
        return UsageError(f"environment '{self.name}' cannot be played: {why}")


def _anonymous_file() -> int:
    """Return a file without a name, in memory where the system has such."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("populace")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
