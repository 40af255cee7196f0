"""The worker processes of one environment, which step their parts of a batch at the same time.

A worker that ends or hangs is replaced, and the caller is told which environments were lost with it.
"""

import dataclasses
import os
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from populace.core.errors import RunError, UsageError, unknown
from populace.rl.environments import names as naming
from populace.rl.vector_env.process import messages
from populace.rl.vector_env.process.making import Spec
from populace.rl.vector_env.process.probing import EnvInfo
from populace.rl.vector_env.workers import Worker, WorkerDied

Replays = dict[int, tuple[int, np.ndarray]]
"""Seed and actions to replay, by slot."""


@dataclass
class Report:
    """What went wrong in a batch, by slot.

    Attributes:
        failed: the exception of an environment, or how it ended its worker.
        lost: slots that were lost because another environment ended their worker.
        recovered: errors that a second attempt fixed.
        invalid: what an environment returned that does not fit.
        mismatched: slots where a replay led to another observation than the original episode.
        restarted: numbers of the workers that were replaced; all their environments are gone.

    """

    failed: dict[int, str] = field(default_factory=dict)
    lost: set[int] = field(default_factory=set)
    recovered: dict[int, str] = field(default_factory=dict)
    invalid: dict[int, str] = field(default_factory=dict)
    mismatched: list[int] = field(default_factory=list)
    restarted: list[int] = field(default_factory=list)


class WorkerPool:
    """The workers of one environment; slot i belongs to worker `i % count`.

    Args:
        name: name of the environment.
        spec: how to create it.
        count: number of workers.
        timeout: seconds that one reset or step may take.

    """

    def __init__(self, name: str, spec: Spec, count: int, timeout: float) -> None:
        self.name, self.title = name, name.partition("(")[0]
        self.spec, self.count, self.timeout = spec, count, timeout
        self._memory = _anonymous_file()
        self._workers: dict[int, Worker] = {}
        self._unattached: set[int] = set()

    def probe(self) -> EnvInfo:
        """Return what a first worker finds out about the environment, whose time limit holds from now on.

        Raises:
            UsageError: the environment cannot be created, reset or stepped.

        """
        for again in (True, False):
            worker = self._workers[0] = Worker(self.spec, self._memory)
            worker.send(messages.call("probe"))
            try:
                answer = worker.answer(self.timeout)
            except WorkerDied as died:
                self._workers.pop(0).discard()
                if again and "no answer" not in str(died):
                    continue
                raise UsageError(f"environment '{self.name}' does not work: {died}") from None
            if not isinstance(answer, EnvInfo):
                self.close()
                raise self._refused(answer)
            self._unattached.add(0)
            self.spec = dataclasses.replace(self.spec, max_episode_steps=answer.max_episode_steps)
            return answer
        raise AssertionError

    def attach(self, layout: np.dtype) -> np.ndarray:
        """Return the records (SLOTS,), shared with all workers from now on."""
        self._layout = layout
        os.ftruncate(self._memory, messages.size(layout))
        self.progress, self.records = messages.mapped(self._memory, layout)
        return self.records

    def begin(self, slots: np.ndarray) -> Report:
        """Start an episode in each slot, with the seed in `next_seed`."""
        return self._all(slots, lambda mine: messages.call("begin", mine.tolist()))

    def step(self, slots: np.ndarray, replays: Replays) -> Report:
        """Take the step in `action` in each slot, after its replay if it has one."""

        def message(mine: np.ndarray) -> bytes:
            if not replays:
                return messages.step(mine)
            given = {slot: replays[slot] for slot in mine.tolist() if slot in replays}
            return messages.call("step", mine.tolist(), given)

        return self._all(slots, message)

    def close(self) -> None:
        """Let every worker close its environments and end."""
        for worker in self._workers.values():
            worker.send(messages.call("close"))
        while self._workers:
            self._workers.popitem()[1].close()

    def kill(self) -> None:
        """Kill every worker at once; a thread that waits for an answer gets `WorkerDied`."""
        for worker in list(self._workers.values()):
            worker.kill()

    def _all(self, slots: np.ndarray, message: Callable[[np.ndarray], bytes]) -> Report:
        owners = slots % self.count
        parts = {n: slots[owners == n] for n in sorted(set(owners.tolist()))}
        self._start(parts)
        for number, mine in parts.items():
            self.progress[number] = (-1, 0)
            self._workers[number].send(message(mine))
        report = Report()
        for number, mine in parts.items():
            try:
                answer = self._workers[number].answer(self.timeout, self.progress[number])
            except WorkerDied as died:
                self._workers.pop(number).discard()
                culprit = int(self.progress[number, 0])
                culprit = culprit if culprit in mine else int(mine[0])
                report.failed[culprit] = str(died)
                report.lost |= {*mine.tolist()} - {culprit}
                report.restarted.append(number)
                continue
            if answer is not None:
                report.failed |= answer["failed"]
                report.recovered |= answer["recovered"]
                report.invalid |= answer["invalid"]
                report.mismatched += answer["mismatched"]
        return report

    def _start(self, numbers: Iterable[int]) -> None:
        """Start the workers that are not running, all at the same time."""
        for number in numbers:
            if number not in self._workers:
                self._workers[number] = Worker(self.spec, self._memory)
                self._unattached.add(number)
        unattached = [n for n in numbers if n in self._unattached]
        for number in unattached:
            self._workers[number].send(messages.call("attach", number, self._memory, self._layout))
        for number in unattached:
            try:
                answer = self._workers[number].answer(self.timeout)
            except WorkerDied as died:
                raise RunError(f"environment '{self.title}' can no longer be created: {died}") from None
            if answer is not None:
                raise RunError(f"environment '{self.title}' can no longer be created: {answer['refused']}")
            self._unattached.discard(number)

    def _refused(self, answer: dict[str, Any]) -> UsageError:
        import gymnasium

        why, spec = answer["refused"], self.spec
        asked = spec.identifier if spec.registered else naming.parse(self.name).identifier
        if answer["known"] and asked in gymnasium.registry:
            return UsageError(
                f"environment '{self.name}' is registered in this process only, but environments run in "
                "worker processes; name the module that registers it, "
                f"gymnasium:MODULE:{asked}, or the class, MODULE:Class"
            )
        if why.startswith("NamespaceNotFound"):
            return UsageError(
                f"environment '{self.name}' is not registered with Gymnasium; if another package registers "
                f"it, name the package too: gymnasium:PACKAGE:{asked}"
            )
        if answer["known"]:
            return unknown("environment", asked, answer["known"], where=" of Gymnasium")
        if answer["missing"]:
            return UsageError(f"environment '{self.name}' needs a package that is not installed: {why}")
        return UsageError(f"environment '{self.name}' does not work: {why}")


def _anonymous_file() -> int:
    """Return a file descriptor without a name, in memory where the system supports that."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("populace")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
