"""Checkpoints: the states of all members on disk, by Orbax; the last few are kept.

A checkpoint appears under its final name only when it is complete and on the disk, and carries a checksum of
every array and file, so that a damaged one is noticed and the one before is used. A thread writes it. Of
several processes each writes the members that it trains; who reads them takes the rows of its own members
from whichever parts hold them, so a run goes on with another number of processes.
"""

import dataclasses
import logging
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from populace.core.errors import RunError, UsageError, first_line
from populace.core.files import sweep, to_disk, whole
from populace.core.numerics.precision import precision
from populace.engine import hosts
from populace.engine.controller import Control
from populace.engine.hosts.division import Share
from populace.engine.training_loop import Engine
from populace.runs.folder import resuming
from populace.runs.integrity import checkpoint_files, failures, late_threads
from populace.runs.training import group_arrays

_LANE = "checkpoint"
"""Of messages between the threads that write."""


class Checkpoints:
    """The checkpoints of one run.

    Args:
        folder: where they lie.
        keep: how many of the newest are kept.

    """

    def __init__(self, folder: Path, keep: int = 3) -> None:
        self.folder, self._keep = folder, keep
        self._under_way: tuple[int, Future[None]] | None = None

    @cached_property
    def _ocp(self) -> Any:
        """Orbax, imported by the first checkpoint that is written or read: half a second."""
        import orbax.checkpoint

        logging.getLogger("absl").setLevel(logging.ERROR)
        return orbax.checkpoint

    @cached_property
    def _handler(self) -> Any:
        return self._ocp.PyTreeCheckpointHandler()

    @cached_property
    def _writer(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(1, "populace-checkpoint")

    def save(self, engine: Engine, info: dict[str, Any]) -> None:
        """Save the engine as it stands; writing goes on in the background.

        Raises:
            OSError: the checkpoint before could not be written.

        """
        self.wait()
        arrays = {
            name: x
            for share, group_state in zip(engine.shares, engine.group_states)
            for name, x in group_arrays.flat(group_state, share.group)
        }
        note = info | {"step": engine.step, "control": dataclasses.asdict(engine.control)}
        if engine.divided:
            work = partial(self._write_part, engine.step, arrays, note, engine.shares)
        else:
            work = partial(self._write, engine.step, arrays, note)
        self._under_way = engine.step, self._writer.submit(work)

    def wait(self) -> None:
        """Wait until everything saved so far is on disk.

        Raises:
            OSError: it could not be written.

        """
        if self._under_way is not None:
            _, written = self._under_way
            try:
                written.result()
            except MemoryError:
                raise
            except Exception as error:
                raise failures.of_the_disk(error) from error
            finally:
                self._under_way = None

    def steps(self) -> list[int]:
        """Return the steps of the complete checkpoints, oldest first."""
        return checkpoint_files.steps(self.folder)

    def has(self, step: int) -> bool:
        """Return whether a step has been saved, be it still on its way to the disk."""
        return (self._under_way is not None and self._under_way[0] == step) or step in self.steps()

    def settled(self) -> list[int]:
        """Return the complete checkpoints once nothing is on its way any more, written or failed."""
        if self._under_way is not None:
            self._under_way[1].exception()
        return self.steps()

    def restore(
        self, engine: Engine, log: Callable[[str], None], *, newest: bool = False
    ) -> dict[str, Any] | None:
        """Put the newest sound checkpoint into the engine; return its info, or None without one.

        Args:
            engine: of the same population, not yet trained.
            log: is told of every checkpoint that was passed over, and why.
            newest: take no other than the newest.

        Raises:
            RunError: the newest is damaged, and it was to be that one.
            UsageError: the newest sound one is of another learner.

        """
        everybody = hosts.gathered if engine.divided else _alone
        for step in reversed(everybody(self.steps(), "the choice of a checkpoint")[0]):
            damage, arrays, info = "", {}, {}
            try:
                arrays, info = self._read(step, engine.shares)
            except Exception as error:
                # Whatever a damaged file makes the reader raise: the one before may be sound.
                damage = first_line(error)[:160]
            if damage := next(filter(None, everybody(damage, "reading a checkpoint")), ""):
                line = f"checkpoint {step} is damaged ({damage})"
                if newest:
                    run = self.folder.parent
                    advice = resuming(run, "train its steps again: ")
                    raise RunError(f"'{run}': {line}", advice) from None
                log(f"{line}; trying the one before")
                continue
            try:
                for share, group_state in zip(engine.shares, engine.group_states):
                    with precision(group_state.program.x64):
                        group_arrays.load(group_state, share.group, arrays)
            except (KeyError, ValueError) as error:  # it is whole, so it is the learner that does not fit
                raise UsageError(
                    f"checkpoint {step} of '{self.folder.parent}' does not fit the learner ({error}): "
                    "the run was trained by another; give Run.load the learner of the run"
                ) from error
            engine.restore_control(Control(**info["control"]))
            engine.step = info["step"]
            engine.training_seconds = info["training_seconds"]
            return info
        return None

    def drop_after(self, step: int) -> None:
        """Remove damaged checkpoints later than `step`, which would be in the way, and what a kill left."""
        if not hosts.is_writer():
            return
        sweep(self.folder)
        for later in self.steps():
            if later > step:
                checkpoint_files.discard(self.folder / str(later))

    def close(self) -> None:
        """Wait for what is being written and free the threads."""
        try:
            self.wait()
        finally:
            if "_writer" in self.__dict__:
                self._writer.shutdown()
            if "_handler" in self.__dict__:
                self._handler.close()

    def _write(self, step: int, arrays: dict[str, np.ndarray], note: dict[str, Any]) -> None:
        """Write one checkpoint and remove those that are too many; the work of the thread."""
        note["arrays"] = group_arrays.described(arrays)
        self.folder.mkdir(exist_ok=True)
        with whole(self.folder / str(step)) as aside:
            self._write_arrays(aside, checkpoint_files.ARRAYS, arrays)
            checkpoint_files.keep_info(aside, note)
        self._discard_old()

    def _write_part(
        self, step: int, arrays: dict[str, np.ndarray], note: dict[str, Any], shares: Sequence[Share]
    ) -> None:
        """Write this process's part of one checkpoint; the first one completes it when all have written."""
        aside, inside = self.folder / f".0.{step}", f"{checkpoint_files.ARRAYS}-{hosts.index():05d}"
        self._write_arrays(aside, inside, arrays)
        to_disk(aside / inside)
        part = {
            "folder": inside,
            "arrays": group_arrays.described(arrays),
            "members": [[share.group, share.start, share.stop] for share in shares],
        }
        files = checkpoint_files.digests(aside, inside)
        written = hosts.gathered([part, files], f"checkpoint {step}", lane=_LANE)
        if hosts.is_writer():
            note["parts"] = [part for part, _ in written]
            checkpoint_files.keep_info(
                aside, note, {n: digest for _, of in written for n, digest in of.items()}
            )
            to_disk(aside)
            aside.replace(self.folder / str(step))
            to_disk(self.folder)
            self._discard_old()
        hosts.barrier(f"checkpoint {step}", lane=_LANE)

    def _write_arrays(self, folder: Path, inside: str, arrays: dict[str, np.ndarray]) -> None:
        place = folder.absolute() / inside
        place.mkdir(parents=True)
        handler, args = self._handler, self._ocp.args.PyTreeSave(arrays)
        with late_threads.silenced(), late_threads.outlasted(folder):
            handler.save(place, args=args)
            handler.finalize(place)

    def _discard_old(self) -> None:
        for old in self.steps()[: -self._keep]:
            checkpoint_files.discard(self.folder / str(old))

    def _read(self, step: int, shares: Sequence[Share]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Read the members of some shares, from files that are checked before Orbax sees them."""
        folder = self.folder / str(step)
        parts = checkpoint_files.parts(checkpoint_files.read_info(folder))
        found: dict[str, list[np.ndarray]] = defaultdict(list)
        needed = [part for part in parts if any(_size(part, share) for share in shares)]
        info = checkpoint_files.check(folder, {part.folder for part in needed})
        for part in needed:
            arrays = self._read_arrays(folder / part.folder, part)
            for share in shares:
                rows = part.rows(share.group, share.start, share.stop)
                for name in arrays if _size(part, share) else ():
                    if name.startswith(group_arrays.prefix(share.group)):
                        found[name].append(arrays[name][rows])
        return {name: np.concatenate(x) if len(x) > 1 else x[0] for name, x in found.items()}, info

    def _read_arrays(self, folder: Path, part: checkpoint_files.Part) -> dict[str, np.ndarray]:
        how = {name: self._ocp.RestoreArgs(restore_type=np.ndarray) for name in part.arrays}
        args = self._ocp.args.PyTreeRestore(restore_args=how)
        arrays = self._handler.restore(folder.absolute(), args=args)
        for name, (_, _, expected) in part.arrays.items():
            if group_arrays.checksum(arrays[name]) != expected:
                raise ValueError(f"checksum of {name} does not match")
        return arrays


def _alone(value: Any, what: str) -> list[Any]:
    del what
    return [value]


def _size(part: checkpoint_files.Part, share: Share) -> int:
    rows = part.rows(share.group, share.start, share.stop)
    return rows.stop - rows.start
