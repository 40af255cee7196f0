"""Pool: environments as a cache of a pure function.

A program asks: what follows when the episode that began with this seed, after these actions, goes on
with that action? The answer is a function of the question alone, so nothing of an environment need be
kept on disk. What makes it quick is that a slot of the pool mostly stands where the question starts. Where
none does (after a resume, or when the slot was needed elsewhere), one is brought there by replaying
the episode.
"""

import threading
from collections import Counter
from dataclasses import dataclass

import numpy as np

from populace.core.errors import RunError
from populace.rl.vector_env.process.probing import EnvInfo
from populace.rl.vector_env.slots import Question, Slots
from populace.rl.vector_env.warnings import Incidents, Where
from populace.rl.vector_env.worker_pool import Report, WorkerPool

START = 0x243F6A88  # the upper half of the mark of an episode that has just begun; the lower is its ticket


@dataclass(frozen=True)
class StepRequest:
    """Questions, one row each.

    Attributes:
        ticket: seed of the episode.
        t: steps taken in it.
        mark: 64 bits that tell the episode so far from every other.
        after: the mark after the action.
        seen: checksum of the last observation.
        next_seed: seed of the next episode, if this one ends.
        history: actions (rows, horizon, ...) up to and with the one that is asked about, at place t.

    """

    seed: np.ndarray
    t: np.ndarray
    history_hash: np.ndarray
    after: np.ndarray
    seen: np.ndarray
    next_seed: np.ndarray
    history: np.ndarray


class Pool:
    """The environments of one kind, and who of them answers.

    Args:
        crew: the processes.
        layout: of what is shared of one environment.
        facts: what a first playing found.

    """

    def __init__(self, worker_pool: WorkerPool, layout: np.dtype, env_info: EnvInfo) -> None:
        self.worker_pool, self.records, self.env_info = worker_pool, worker_pool.attach(layout), env_info
        self.horizon = env_info.limit or 0
        self.slots, self.incidents = Slots(self.horizon), Incidents(worker_pool.title, worker_pool.count)
        self.replayed = 0
        self._lock, self._closed, self._new = threading.Lock(), False, True
        self._cuts = 0

    def begin(self, tickets: np.ndarray) -> np.ndarray:
        """Start episodes; return the records of the slots, where `next` is the seed that was taken.

        Raises:
            RunError: the environment cannot be reset any more.

        """
        with self._lock:
            self._next_call()
            slots = self.slots.allocate(len(tickets), len(tickets), reset=True)
            self.records["next"][slots] = tickets
            self._begin(slots)
            found = self.records[slots]
            for slot, seed in zip(slots, found["next"].tolist()):
                self.slots.stand(slot, seed | START << 32, None)
            return found

    def step(self, query: StepRequest) -> np.ndarray:
        """Answer; return the records of the slots.

        Raises:
            RunError: too many episodes in a row were cut because the environment failed.

        """
        with self._lock:
            self._next_call()
            questions: list[Question] = list(
                zip(query.history_hash.tolist(), query.after.tolist(), query.next_seed.tolist())
            )
            slots, missing, known = self.slots.find(questions)
            asked = [row for row in range(len(slots)) if row not in known]
            cut = self._play(query, slots, asked, missing)
            found = self.records[slots]
            done = (found["terminated"] | found["truncated"]).tolist()
            nexts = found["next"].tolist()
            for row in asked:
                history_hash = nexts[row] | START << 32 if done[row] else questions[row][1]
                self.slots.stand(slots[row], history_hash, questions[row])
            if self._cuts and any(done[row] and row not in cut for row in asked):
                self._cuts = 0
            self._look_for_nan(found, query, slots)
            return found

    def close(self) -> None:
        """End the processes; who still asks is told that the pool is closed."""
        self._closed = True
        free = self._lock.acquire(timeout=1)
        if free:
            self.worker_pool.close()
        else:  # a question is being answered, and no answer is wanted any more
            self.worker_pool.kill()
            free = self._lock.acquire(timeout=5)
        if free:
            self._lock.release()

    def _next_call(self) -> None:
        if self._closed:
            raise RunError(f"the processes of environment '{self.worker_pool.title}' are closed")
        self.slots.next_call()
        if self._new:
            self._new = False
            self.incidents.introduce(self.env_info.seconds)
            if not self.env_info.deterministic:
                self.incidents.undetermined("two playings with the same seed and actions differed")

    def _play(self, query: StepRequest, slots: list[int], asked: list[int], missing: set[int]) -> set[int]:
        """Step the rows that are asked, from where they are to stand; return those that were cut."""
        strikes: Counter[int] = Counter()
        again, late, cut = asked, missing, set()
        while again:
            here = [slots[row] for row in again]
            self.records["next"][here] = query.next_seed[again]
            self.records["seen"][here] = query.seen[again]
            self.records["action"][here] = query.history[again, query.t[again]]
            replays = {slots[row]: (int(query.seed[row]), query.history[row, : query.t[row]]) for row in late}
            self.replayed += len(replays)
            report = self.worker_pool.step(np.asarray(here), replays)
            self._take_in(report, here)
            if not (report.faults or report.victims):
                break
            rows = dict(zip(here, again))
            again = [rows[slot] for slot in report.victims]
            for slot, what in report.faults.items():
                row = rows[slot]
                strikes[row] += 1
                twice = strikes[row] > 1
                then = "twice: the episode is cut" if twice else "restarted, and its episode replayed"
                self.incidents.failed(slot, what, self._where(query, row), then)
                if twice:
                    self._cut(query, slot, row, row in missing, len(slots), what)
                    cut.add(row)
                else:
                    again.append(row)
            late = set(again)
        return cut

    def _cut(self, query: StepRequest, slot: int, row: int, unseen: bool, size: int, what: str) -> None:
        """End an episode that cannot go on, as a clock would, and start the next."""
        self._cuts += 1
        if self._cuts > max(2, size / 2):
            cuts, self._cuts = self._cuts, 0
            raise RunError(
                f"environment '{self.worker_pool.title}' fails repeatedly: {cuts} episodes in a row were "
                f"cut, the last by {what}; fix it, then go on from the last checkpoint with `populace resume`"
            )
        last = self.records["observation"][slot].copy()
        self.records["next"][slot] = query.next_seed[row]
        self._begin([slot])
        # What was seen last is unknown where the replay itself failed.
        self.records["final"][slot] = self.records["observation"][slot] if unseen else last
        self.records["reward"][slot] = 0.0
        self.records["terminated"][slot], self.records["truncated"][slot] = False, True

    def _begin(self, slots: list[int]) -> None:
        strikes: Counter[int] = Counter()
        seeds = dict(zip(slots, self.records["next"][slots].tolist()))
        while slots:
            report = self.worker_pool.begin(np.asarray(slots))
            self._take_in(report, slots)
            for slot, what in report.faults.items():
                strikes[slot] += 1
                if strikes[slot] > 1:
                    raise RunError(
                        f"environment '{self.worker_pool.title}' cannot begin an episode any more: {what}"
                    )
                self.incidents.failed(slot, what, f", in the reset with seed {seeds[slot]}", "restarted")
            slots = [*report.faults, *report.victims]
            self.records["next"][slots] = [seeds[slot] for slot in slots]

    def _take_in(self, report: Report, slots: list[int]) -> None:
        """Note what is to be known of a report, whatever comes next."""
        self.slots.found(slots)
        if self._closed and report.emptied:
            raise RunError(f"the processes of environment '{self.worker_pool.title}' are closed")
        for process in report.emptied:
            self.slots.lose(process, self.worker_pool.count)
        for slot, what in report.told.items():
            self.incidents.failed(slot, what, "", "restarted with the next seed")
        for slot in report.drifted:
            why = f"an episode of environment {slot}, replayed, led to another observation"
            self.incidents.undetermined(why)

    def _look_for_nan(self, found: np.ndarray, query: StepRequest, slots: list[int]) -> None:
        for field in ("reward", "observation", "final"):
            values = found[field]
            if values.dtype.kind != "f" or not np.isnan(values).any():
                continue
            bad = np.isnan(values.reshape(len(values), -1)).any(axis=1)
            if field == "final":
                bad &= found["terminated"] | found["truncated"]
            name = "reward" if field == "reward" else "observation"
            for row in np.flatnonzero(bad).tolist():
                self.incidents.not_a_number(slots[row], name, self._where(query, row))

    @staticmethod
    def _where(query: StepRequest, row: int) -> Where:
        return Where(int(query.t[row]) + 1, int(query.seed[row]))
