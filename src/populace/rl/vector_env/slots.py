"""Which environment is at which point of which episode, to answer a request without a replay if possible."""

from populace.core.errors import RunError
from populace.rl.vector_env.process.messages import SLOTS

Question = tuple[int, int, int]
"""Hash of the history before the action, hash after it, and seed of the next episode."""


class Slots:
    """The point in an episode that each slot is at, and the last question that it answered.

    Args:
        horizon: maximum length of an episode in steps.

    """

    def __init__(self, horizon: int) -> None:
        self.horizon = horizon
        self._call = 0
        self._by_hash: dict[int, list[int]] = {}
        self._answered: dict[Question, int] = {}
        self._hashes: list[int | None] = []
        self._questions: list[Question | None] = []
        self._used: list[int] = []
        self._batch: list[int] = []
        self._lost: set[int] = set()

    def __len__(self) -> int:
        return len(self._used)

    def next_call(self) -> None:
        """Start another batch: no slot is in use yet."""
        self._call += 1
        self._lost.clear()

    def find(self, questions: list[Question]) -> tuple[list[int], set[int], set[int]]:
        """Return a slot per question, the rows that need a replay, and the rows whose answer is known.

        A question is asked again when a loop over members includes some that have already finished.
        """
        by_hash, used, call = self._by_hash, self._used, self._call
        slots, others = [-1] * len(questions), []
        for row, (history_hash, _, _) in enumerate(questions):
            here = by_hash.get(history_hash)
            if here:
                slots[row] = slot = here.pop()
                used[slot] = call
                if not here:
                    del by_hash[history_hash]
            else:
                others.append(row)
        known, missing, shared = set(), [], set()
        for row in others:
            slot = self._answered.get(questions[row], -1)
            if slot >= 0 and (used[slot] != call or slot in shared):
                slots[row], used[slot] = slot, call
                shared.add(slot)
                known.add(row)
            else:
                missing.append(row)
        for row, slot in zip(missing, self.allocate(len(missing), len(questions), reset=False)):
            slots[row] = slot
        return slots, set(missing), known

    def place(self, slot: int, history_hash: int, question: Question | None) -> None:
        """Record the point that a slot is at after this call, and the question that it answered."""
        old = self._questions[slot]
        if old is not None and self._answered.get(old) == slot:
            del self._answered[old]
        self._questions[slot] = question
        if question is not None:
            self._answered[question] = slot
        if slot in self._lost:
            self._hashes[slot] = None
            return
        self._hashes[slot] = history_hash
        if history_hash in self._by_hash:
            self._by_hash[history_hash].append(slot)
        else:
            self._by_hash[history_hash] = [slot]

    def lose(self, worker: int, count: int) -> None:
        """Record that the environments of a worker, one of `count`, are gone."""
        for slot in range(worker, len(self), count):
            self._forget(slot)
            self._lost.add(slot)

    def restore(self, slots: list[int]) -> None:
        """Record that these slots have environments again."""
        self._lost.difference_update(slots)

    def allocate(self, count: int, batch: int, *, reset: bool) -> list[int]:
        """Return slots that are free, or new ones.

        The program does not say when it abandons an episode, such as those of an evaluation that has ended.
        So a slot that was not used for two horizons counts as free, and a reset may also take the slots of
        the oldest batch of the same size. If that was wrong, a replay in one more slot corrects it.

        Raises:
            RunError: there would be too many environments.

        """
        if not count:
            return []
        used = self._used
        idle = sorted((s for s in range(len(self)) if used[s] != self._call), key=used.__getitem__)
        old = [s for s in idle if used[s] < self._call - 2 * self.horizon]
        same_size = [s for s in idle[len(old) :] if self._batch[s] == batch] if reset else []
        slots = (old + same_size)[:count]
        for slot in slots:
            self._forget(slot)
        first, more = len(self), count - len(slots)
        if first + more > SLOTS:
            raise RunError(
                f"{first + more:,} environments at the same time exceed the maximum of {SLOTS:,}; reduce the "
                "number of members, num_envs, evaluation_episodes or final_evaluation_size"
            )
        self._hashes += [None] * more
        self._questions += [None] * more
        self._used += [0] * more
        self._batch += [0] * more
        slots += range(first, first + more)
        for slot in slots:
            self._used[slot], self._batch[slot] = self._call, batch
        return slots

    def _forget(self, slot: int) -> None:
        history_hash, question = self._hashes[slot], self._questions[slot]
        here = self._by_hash.get(history_hash) if history_hash is not None else None
        if history_hash is not None and here and slot in here:
            here.remove(slot)
            if not here:
                del self._by_hash[history_hash]
        if question is not None and self._answered.get(question) == slot:
            del self._answered[question]
        self._hashes[slot] = self._questions[slot] = None
