"""Slots: which environment stands where, so that a question finds one that need not be brought there."""

from populace.core.errors import RunError
from populace.rl.vector_env.process.messages import SLOTS

Question = tuple[int, int, int]  # mark before the action, mark after it, seed of the next episode


class Slots:
    """What each slot stands at, and what it answered last.

    Args:
        horizon: steps of the longest episode.

    """

    def __init__(self, horizon: int) -> None:
        self.horizon = horizon
        self._call = 0
        self._standing: dict[int, list[int]] = {}
        self._answered: dict[Question, int] = {}
        self._marks: list[int | None] = []
        self._questions: list[Question | None] = []
        self._used: list[int] = []
        self._batch: list[int] = []
        self._lost: set[int] = set()

    def __len__(self) -> int:
        return len(self._used)

    def next_call(self) -> None:
        """Begin with another batch: no slot is needed yet."""
        self._call += 1
        self._lost.clear()

    def find(self, questions: list[Question]) -> tuple[list[int], set[int], set[int]]:
        """Return a slot per row; the rows that need a replay; and those whose answer is there already.

        A question is repeated where a loop over members holds those that have finished.
        """
        standing, used, call = self._standing, self._used, self._call
        slots, others = [-1] * len(questions), []
        for row, (history_hash, _, _) in enumerate(questions):
            here = standing.get(history_hash)
            if here:
                slots[row] = slot = here.pop()
                used[slot] = call
                if not here:
                    del standing[history_hash]
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

    def stand(self, slot: int, history_hash: int, question: Question | None) -> None:
        """Note where a slot stands after this call, and what it answered."""
        old = self._questions[slot]
        if old is not None and self._answered.get(old) == slot:
            del self._answered[old]
        self._questions[slot] = question
        if question is not None:
            self._answered[question] = slot
        if slot in self._lost:
            self._marks[slot] = None
            return
        self._marks[slot] = history_hash
        if history_hash in self._standing:
            self._standing[history_hash].append(slot)
        else:
            self._standing[history_hash] = [slot]

    def lose(self, process: int, count: int) -> None:
        """Note that the slots of a process, one of `count`, stand nowhere."""
        for slot in range(process, len(self), count):
            self._forget(slot)
            self._lost.add(slot)

    def found(self, slots: list[int]) -> None:
        """Note that these slots stand again where the call brings them."""
        self._lost.difference_update(slots)

    def allocate(self, count: int, batch: int, *, reset: bool) -> list[int]:
        """Return slots that nobody needs, or new ones.

        Nobody says that an episode was given up, such as those of an evaluation that is over. What was not
        used for two horizons is taken for it; and resets take the place of the oldest batch of the same
        size. Where that was wrong, a replay puts it right, and there is one slot more.

        Raises:
            RunError: there would be too many.

        """
        if not count:
            return []
        used = self._used
        idle = sorted((s for s in range(len(self)) if used[s] != self._call), key=used.__getitem__)
        old = [s for s in idle if used[s] < self._call - 2 * self.horizon]
        alike = [s for s in idle[len(old) :] if self._batch[s] == batch] if reset else []
        slots = (old + alike)[:count]
        for slot in slots:
            self._forget(slot)
        first, more = len(self), count - len(slots)
        if first + more > SLOTS:
            raise RunError(
                f"{first + more:,} environments at once are too many, at most {SLOTS:,} can be: "
                "fewer members, num_envs, evaluation_episodes or final_evaluation_size"
            )
        self._marks += [None] * more
        self._questions += [None] * more
        self._used += [0] * more
        self._batch += [0] * more
        slots += range(first, first + more)
        for slot in slots:
            self._used[slot], self._batch[slot] = self._call, batch
        return slots

    def _forget(self, slot: int) -> None:
        history_hash, question = self._marks[slot], self._questions[slot]
        here = self._standing.get(history_hash) if history_hash is not None else None
        if history_hash is not None and here and slot in here:
            here.remove(slot)
            if not here:
                del self._standing[history_hash]
        if question is not None and self._answered.get(question) == slot:
            del self._answered[question]
        self._marks[slot] = self._questions[slot] = None
