"""Feeding: reads the batches of a group from files while its members train on the ones before.

Two chunks of batches are held: the one that is trained on, and the next one, which a thread reads and puts on
the devices meanwhile. Where a chunk ends changes nothing: the rows of a step follow from the order of rows in
the members' states and from their keys.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import Any, NamedTuple

import jax
import numpy as np

from populace.core.errors import UsageError
from populace.core.mean import Mean
from populace.data.feed import RowFiles
from populace.engine.hosts import fetch
from populace.engine.placement import Placement
from populace.engine.programs.carry import Carry, Progress
from populace.engine.streaming.fed_programs import Batches, FedCompiled, ForPart
from populace.engine.streaming.row_orders import RowOrders

_SHARES = 6
"""A chunk takes a sixth of the memory: one is in use, one is being read and copied to the devices, which is
three with the copy; and an evaluation takes as many while those of training are held."""


class _Chunk(NamedTuple):
    """Batches of the steps from `first` on, before `end`."""

    first: int
    end: int
    batches: Batches
    size: int


class Feeding:
    """Trains and evaluates one group on examples that are in files.

    Args:
        learner: that of any member, with its data.
        compiled: the functions of its structure.
        placement: the devices.
        seeds: the seed of each slot's member.
        members: returns what varies between slots, what is shared, and the keys.
        groups: how many groups share the memory.

    Attributes:
        held: bytes of examples that are held in memory now, on the host and on the devices.
        peak: the most that was held at once.

    Raises:
        UsageError: the memory is too small for the batches of one step.

    """

    def __init__(
        self, learner: Any, compiled: FedCompiled, placement: Placement, seeds: np.ndarray,
        members: Callable[[], Any], groups: int = 1,
    ) -> None:  # fmt: skip
        self._learner, self._compiled, self._placement, self._members = learner, compiled, placement, members
        self._files: RowFiles = learner.feed
        self._groups, self._memory = groups, self._files.memory // groups
        self._slots, self._devices = len(seeds), len(placement.devices)
        self._rows = RowOrders(learner, compiled, members, self._slots)
        self.held, self.peak, self._counting = 0, 0, Lock()
        self._reader = ThreadPoolExecutor(1, "feeding")
        self._chunk: _Chunk | None = None
        self._next: Future[_Chunk] | None = None
        self._trained: Any = None  # what is ready once the steps dispatched so far are done
        self._seen: Any = None  # sums of the validation part at the last start of an epoch
        self._at, self._left = 0, (None, None, None)
        self._size(max(len(set(s.tolist())) for s in np.split(seeds, self._devices)))
        for for_part in (learner, learner.for_test(1), learner.for_validation()):
            self._part(for_part)  # refuses too little memory now, not at the first evaluation
        self._zeros = jax.device_put(
            jax.tree.map(lambda x: np.zeros(self._slots, np.float32), compiled.zeros()), placement.by_member
        )

    # -- training ----------------------------------------------------------------------------------

    def advance(self, carry: Carry, end: int) -> tuple[Carry, Progress]:
        """Train until `end` steps are completed, or until a batch of members halts; as `Program.advance`."""
        if any(one is not other for one, other in zip(self._marks(carry), self._left)):
            self._at = self._take_over(carry)
        sums, progress = self._zeros, None
        while self._at < end:
            chunk, stop = self._chunk_at(self._at), end
            validation = None
            if self._learner.validates_epochs:
                validation = self._seen = self._validation(carry)
                stop = min(stop, self._rows.end_of_epoch(self._at))
            stop = min(stop, chunk.end)
            # Before the steps: devices work in this order, and the reader would wait for those.
            self._rows.ask(chunk.end, self.steps)
            carry, progress = self._compiled.advance_fed(
                self._members(), carry, sums, stop, chunk.first, chunk.batches, validation
            )
            self._read_on(chunk, progress)
            sums, self._at = progress.sums, stop
        self._left = self._marks(carry)
        if progress is None:  # it had come that far before
            progress = Progress.of(carry, sums)
        return carry, progress

    def release(self) -> None:
        """Let go of the chunks."""
        self._drop_chunks()

    def _marks(self, carry: Carry) -> tuple[Any, Any, Any]:
        """Return arrays that are others after anybody else has had a hand in the carry."""
        return carry.step, carry.halted, self._rows.of(carry)

    def _take_over(self, carry: Carry) -> int:
        """Return the step that the slowest slot is at, having looked at the rows in the states."""
        if self._next is not None:
            self._next.result()
        if self._rows.take_over(carry):
            self._drop_chunks()
        return int(np.min(fetch(carry.step)))

    def _validation(self, carry: Carry) -> Any:
        """Return the sums of the validation part, if an epoch begins; otherwise some that nobody reads."""
        if self._at % self._learner.epoch_steps and self._seen is not None:
            return self._seen
        model = self._compiled.models(*self._members(), carry.state)
        return self._sums("validation", lambda learner: learner.for_validation(), model)

    # -- chunks ------------------------------------------------------------------------------------

    def _chunk_at(self, step: int) -> _Chunk:
        """Return the chunk with the batches of a step."""
        if self._chunk is not None and self._chunk.first <= step < self._chunk.end:
            return self._chunk
        if self._next is not None and self._next.result().first != step:
            self._drop_chunks()
        if self._next is None:
            self._drop_chunks()
            self._rows.ask(step, self.steps)
            self._next = self._reader.submit(self._read, step)
        return self._next.result()

    def _read_on(self, chunk: _Chunk, progress: Progress) -> None:
        """Let go of the chunk before the one that is trained on now, and read the one after it."""
        if chunk is not self._chunk:
            self._drop(self._chunk)
            self._chunk = chunk
            self._next = self._reader.submit(self._read, chunk.end)
        self._trained = progress.marks

    def _drop_chunks(self) -> None:
        chunk, coming = self._chunk, self._next
        self._chunk = self._next = None
        self._drop(chunk)
        if coming is not None and coming.exception() is None:
            self._count(-coming.result().size)

    def _drop(self, chunk: _Chunk | None) -> None:
        """Let go of a chunk as soon as no step reads it any more."""
        if chunk is not None:
            jax.block_until_ready(self._trained)
            self._count(-chunk.size)

    def _read(self, first: int) -> _Chunk:
        """Read the chunk that begins at a step; in a thread of its own."""
        steps, batch = self.steps, self._learner.batch_size
        rows = self._rows.steps(first, steps)
        shares = [np.unique(share, return_inverse=True) for share in np.split(rows, self._devices)]
        if (most := max(len(distinct) for distinct, _ in shares)) > self.capacity:
            self._size(-(-most // (steps * batch)))
            return self._read(first)
        places = np.concatenate([place.reshape(-1, steps * batch) for _, place in shares]).astype(np.int32)
        spare = ((0, 0), (0, batch))
        padded = np.pad(places, spare), np.pad(rows.reshape(self._slots, -1), spare)
        by_member = self._placement.by_member
        x = self._put(self._files, [distinct for distinct, _ in shares], self.capacity, by_member)
        batches = Batches(x, *jax.device_put(padded, by_member))
        return _Chunk(first, first + steps, batches, x.nbytes)

    def _put(self, files: RowFiles, parts: Sequence[np.ndarray], capacity: int, sharding: Any) -> Any:
        """Return examples on the devices, each part filled up to a capacity; the caller uncounts them."""
        staged = np.zeros((len(parts) * capacity, *files.shape[1:]), files.dtype)
        self._count(staged.nbytes)
        for i, rows in enumerate(parts):
            files.read(rows, staged[i * capacity : i * capacity + len(rows)])
        copies = 1 if sharding == self._placement.by_member else self._devices
        self._count(staged.nbytes * copies)
        x = jax.block_until_ready(jax.device_put(staged, sharding))
        self._count(-staged.nbytes)
        return x

    def _count(self, size: int) -> None:
        with self._counting:
            self.held += size
            self.peak = max(self.peak, self.held)

    def _size(self, orders: int) -> None:
        """Set how many steps a chunk has, and the most examples of a device in it.

        Args:
            orders: how many different batches the members of a device need a step.

        """
        batch, epoch, examples = self._learner.batch_size, self._learner.epoch_steps, len(self._files)
        row = self._devices * self._files.row_bytes
        capacity = self._memory // (_SHARES * row)
        self.steps = epoch if examples <= capacity else min(epoch, capacity // (orders * batch))
        if not self.steps:
            needed = _SHARES * row * min(orders * batch, examples)
            self._refuse(needed, f"{self._devices * orders} batches of {batch} examples a step")
        self.capacity = min(examples, orders * self.steps * batch)
        places = (self._slots, (self.steps + 1) * batch)
        like = [(self._devices * self.capacity, *self._files.shape[1:]), places, places]
        types = (self._files.dtype, np.int32, np.int32)
        self._compiled.expected = Batches(*(
            jax.ShapeDtypeStruct(shape, dtype, sharding=self._placement.by_member)
            for shape, dtype in zip(like, types)
        ))  # fmt: skip

    def _refuse(self, needed: int, what: str) -> None:
        shared = f", shared by {self._groups} groups," if self._groups > 1 else ""
        raise UsageError(
            f"memory of {self._files.memory:,} bytes{shared} is too small for {what}; "
            f"it must be at least {needed * self._groups:,}, or the batches smaller"
        )

    # -- evaluation --------------------------------------------------------------------------------

    def evaluate(self, name: Any, for_part: ForPart, model: Any) -> dict[str, Mean]:
        """Evaluate all members on a part of the data.

        Args:
            name: of the part, the same for the same for_part.
            for_part: learner -> the learner that evaluates on the part.
            model: of every slot.

        """
        metrics = self._compiled.metrics_of(name, for_part)
        return metrics(*self._members(), self._sums(name, for_part, model))

    def _sums(self, name: Any, for_part: ForPart, model: Any) -> Any:
        """Return the sums of every batch of a part, (slots, batches, ...)."""
        files, rows, examples, many = self._part(for_part(self._learner))
        count, found = len(rows), []
        run = self._compiled.batch_sums(name, for_part, examples, whole=many == count)
        for batches in self._pieces(files, rows, many):
            found.append(run(*self._members(), model, *batches))
            if len(found) > 1:
                jax.block_until_ready(found[-2])
        sums = jax.tree.map(lambda *parts: np.concatenate([*map(fetch, parts)], 1)[:, :count], *found)
        return jax.device_put(sums, self._placement.by_member)

    def _part(self, for_part: Any) -> tuple[RowFiles, np.ndarray, int, int]:
        """Return files, rows (batches, B), how many rows are no repeats, and how many batches fit at once."""
        files, rows = for_part.evaluated_part()
        size = min(for_part.evaluation_batch_size, len(rows))
        count = -(-len(rows) // size)
        each = size * files.row_bytes * (2 * self._devices + 1)  # two on each device, and one on its way
        many = min(count, 3 * self._memory // _SHARES // each)
        if many < min(count, 2):  # XLA unrolls a loop of one, and rounds otherwise
            self._refuse(2 * _SHARES * each // 3, f"evaluating 2 batches of {size} examples at a time")
        many = -(-count // -(-count // many))  # as few times, each with as few as that takes
        return files, np.resize(rows, (count, size)), len(rows), many

    def _pieces(self, files: RowFiles, rows: np.ndarray, many: int) -> Iterator[Any]:
        """Yield (x, places, rows, first) of some batches at a time; the next ones are read meanwhile."""
        count, size = rows.shape
        places = np.arange(many * size, dtype=np.int32).reshape(many, size)

        def read(start: int) -> Any:
            at, everywhere = np.minimum(np.arange(start, start + many), count - 1), self._placement.everywhere
            x = self._put(files, [rows[at].reshape(-1)], many * size, everywhere)
            return x, *jax.device_put((places, rows[at], np.int32(start * size)), everywhere)

        starts = range(0, count, many)
        coming, before = self._reader.submit(read, 0), 0
        for start in starts:
            batches = coming.result()
            yield batches  # comes back when these are dispatched and the ones before are done
            self._count(-before)
            before = batches[0].nbytes * self._devices
            if start + many < count:
                coming = self._reader.submit(read, start + many)
        self._count(-before)
