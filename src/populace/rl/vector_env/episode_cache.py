"""Environments in worker processes, as the cache of a pure function.

A program asks: in the episode that began with this seed, after these actions, what is the result of that
action? The answer depends on the question alone, so no state of an environment needs to be saved. The cache
makes it fast: usually some environment is at exactly that point of the episode, and takes one step. If none
is (after a resume, or because its slot was reused), an environment replays the episode up to there.
"""

import threading
from collections import Counter
from dataclasses import dataclass

import numpy as np

from populace.core.errors import Advice, RunError
from populace.rl.vector_env.process.probing import EnvInfo
from populace.rl.vector_env.slots import Question, Slots
from populace.rl.vector_env.warnings import EnvWarnings, Location
from populace.rl.vector_env.worker_pool import Report, WorkerPool

START = 0x243F6A88  # upper half of the history hash of an episode without actions; the lower is its seed


_FIX = Advice("fix it, then Run.load(folder).resume()", "fix it, then continue with `populace resume`")


@dataclass(frozen=True)
class StepRequest:
    """One question per row.

    Attributes:
        seed: seed of the episode, (rows,) as all but the history.
        t: steps taken in it.
        history_hash: 64-bit hash of seed and actions so far.
        next_hash: the hash after the action.
        obs_checksum: CRC-32 of the last observation, to recognize a replay that led elsewhere.
        next_seed: seed of the next episode, in case this one ends.
        history: actions (rows, horizon, ...); the one to take is at index t.

    """

    seed: np.ndarray
    t: np.ndarray
    history_hash: np.ndarray
    next_hash: np.ndarray
    obs_checksum: np.ndarray
    next_seed: np.ndarray
    history: np.ndarray


class EpisodeCache:
    """Answers the questions of a program from the environments of a worker pool.

    Args:
        worker_pool: the worker processes.
        layout: of an environment's shared record.
        env_info: what probing the environment found.

    """

    def __init__(self, worker_pool: WorkerPool, layout: np.dtype, env_info: EnvInfo) -> None:
        self.worker_pool, self.records, self.env_info = worker_pool, worker_pool.attach(layout), env_info
        self.horizon = env_info.max_episode_steps or 0
        self.slots, self.warnings = Slots(self.horizon), EnvWarnings(worker_pool.title, worker_pool.count)
        self.replayed = 0
        self._lock, self._closed, self._first_call = threading.Lock(), False, True
        self._truncated = 0

    def begin(self, seeds: np.ndarray) -> np.ndarray:
        """Start episodes; return their records, where `next_seed` is the seed that was used.

        Raises:
            RunError: the environment can no longer be reset, or returned what does not fit.

        """
        with self._lock:
            self._next_call()
            slots = self.slots.allocate(len(seeds), len(seeds), reset=True)
            self.records["next_seed"][slots] = seeds
            self._begin(slots)
            found = self.records[slots]
            for slot, seed in zip(slots, found["next_seed"].tolist()):
                self.slots.place(slot, seed | START << 32, None)
            return found

    def step(self, query: StepRequest) -> np.ndarray:
        """Take the steps; return the records of the environments.

        Raises:
            RunError: too many episodes in a row were truncated because the environment failed, or it
                returned what does not fit.

        """
        with self._lock:
            self._next_call()
            questions: list[Question] = list(
                zip(query.history_hash.tolist(), query.next_hash.tolist(), query.next_seed.tolist())
            )
            slots, missing, known = self.slots.find(questions)
            asked = [row for row in range(len(slots)) if row not in known]
            truncated = self._play(query, slots, asked, missing)
            found = self.records[slots]
            done = (found["terminated"] | found["truncated"]).tolist()
            next_seeds = found["next_seed"].tolist()
            for row in asked:
                history_hash = next_seeds[row] | START << 32 if done[row] else questions[row][1]
                self.slots.place(slots[row], history_hash, questions[row])
            if self._truncated and any(done[row] and row not in truncated for row in asked):
                self._truncated = 0
            self._look_for_nan(found, query, slots)
            return found

    def close(self) -> None:
        """End the worker processes; a later question raises an error."""
        self._closed = True
        free = self._lock.acquire(timeout=1)
        if free:
            self.worker_pool.close()
        else:  # nobody wants the answer to the question under way
            self.worker_pool.kill()
            free = self._lock.acquire(timeout=5)
        if free:
            self._lock.release()

    def _next_call(self) -> None:
        self._check_open()
        self.slots.next_call()
        if self._first_call:
            self._first_call = False
            self.warnings.speed_limit(self.env_info.step_seconds)
            if not self.env_info.deterministic:
                self.warnings.nondeterministic("two episodes with the same seed and actions differed")

    def _check_open(self) -> None:
        if self._closed:
            raise RunError(f"the worker processes of environment '{self.worker_pool.title}' are closed")

    def _play(self, query: StepRequest, slots: list[int], asked: list[int], missing: set[int]) -> set[int]:
        """Take the steps of the rows in `asked`, after replays for `missing`; return the truncated rows."""
        failures: Counter[int] = Counter()
        again, late, truncated = asked, missing, set()
        while again:
            here = [slots[row] for row in again]
            self.records["next_seed"][here] = query.next_seed[again]
            self.records["obs_checksum"][here] = query.obs_checksum[again]
            self.records["action"][here] = query.history[again, query.t[again]]
            replays = {slots[row]: (int(query.seed[row]), query.history[row, : query.t[row]]) for row in late}
            self.replayed += len(replays)
            report = self.worker_pool.step(np.asarray(here), replays)
            self._record(report, here)
            rows = dict(zip(here, again))
            for slot, what in report.invalid.items():
                raise self._invalid(slot, what, str(self._where(query, rows[slot])))
            if not (report.failed or report.lost):
                break
            again = [rows[slot] for slot in report.lost]
            for slot, what in report.failed.items():
                row = rows[slot]
                failures[row] += 1
                twice = failures[row] > 1
                action = "twice: the episode is truncated" if twice else "restarted, and its episode replayed"
                self.warnings.failed(slot, what, self._where(query, row), action)
                if twice:
                    self._truncate(query, slot, row, row in missing, len(slots), what)
                    truncated.add(row)
                else:
                    again.append(row)
            late = set(again)
        return truncated

    def _truncate(self, query: StepRequest, slot: int, row: int, unseen: bool, size: int, what: str) -> None:
        """Truncate an episode that cannot continue, and start the next one."""
        self._truncated += 1
        if self._truncated > max(2, size / 2):
            count, self._truncated = self._truncated, 0
            raise RunError(
                f"environment '{self.worker_pool.title}' fails repeatedly: {count} episodes in a row were "
                f"truncated, the last because of {what}",
                _FIX,
            )
        last = self.records["observation"][slot].copy()
        self.records["next_seed"][slot] = query.next_seed[row]
        self._begin([slot])
        # If the replay itself failed, the last observation is unknown.
        self.records["final_observation"][slot] = self.records["observation"][slot] if unseen else last
        self.records["reward"][slot] = 0.0
        self.records["terminated"][slot], self.records["truncated"][slot] = False, True

    def _begin(self, slots: list[int]) -> None:
        failures: Counter[int] = Counter()
        seeds = dict(zip(slots, self.records["next_seed"][slots].tolist()))
        while slots:
            report = self.worker_pool.begin(np.asarray(slots))
            self._record(report, slots)
            for slot, what in report.invalid.items():
                raise self._invalid(slot, what, f", in the reset with seed {seeds[slot]}")
            for slot, what in report.failed.items():
                failures[slot] += 1
                if failures[slot] > 1:
                    raise RunError(
                        f"environment '{self.worker_pool.title}' can no longer be reset: {what}", _FIX
                    )
                self.warnings.failed(slot, what, f", in the reset with seed {seeds[slot]}", "restarted")
            slots = [*report.failed, *report.lost]
            self.records["next_seed"][slots] = [seeds[slot] for slot in slots]

    def _invalid(self, slot: int, what: str, where: str) -> RunError:
        """Return the error for a result that does not fit: another attempt would return the same."""
        return RunError(
            f"environment {slot} of '{self.worker_pool.title}' (worker {slot % self.worker_pool.count}): "
            f"{what}{where}; fix it, then train again"
        )

    def _record(self, report: Report, slots: list[int]) -> None:
        """Update the slots and log warnings, whatever is done next."""
        self.slots.restore(slots)
        if report.restarted:
            self._check_open()
        for worker in report.restarted:
            self.slots.lose(worker, self.worker_pool.count)
        for slot, what in report.recovered.items():
            self.warnings.failed(slot, what, "", "restarted with the next seed")
        for slot in report.mismatched:
            why = f"a replayed episode of environment {slot} led to another observation"
            self.warnings.nondeterministic(why)

    def _look_for_nan(self, found: np.ndarray, query: StepRequest, slots: list[int]) -> None:
        for field in ("reward", "observation", "final_observation"):
            values = found[field]
            if values.dtype.kind != "f" or not np.isnan(values).any():
                continue
            bad = np.isnan(values.reshape(len(values), -1)).any(axis=1)
            if field == "final_observation":
                bad &= found["terminated"] | found["truncated"]
            name = "reward" if field == "reward" else "observation"
            for row in np.flatnonzero(bad).tolist():
                self.warnings.nan(slots[row], name, self._where(query, row))

    @staticmethod
    def _where(query: StepRequest, row: int) -> Location:
        return Location(int(query.t[row]) + 1, int(query.seed[row]))
