"""Checkpoints: the states of all members on disk, by Orbax; the last few are kept.

A checkpoint appears under its final name only when it is complete and on the disk, and carries a checksum of
every array and file, so that a damaged one is noticed and the one before is used. A thread writes it.
"""

import dataclasses
import hashlib
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from populace.core.errors import RunError, UsageError, first_line
from populace.core.files import sweep, whole
from populace.core.numerics.precision import precision
from populace.engine.controller import Control
from populace.engine.group_state import GroupState
from populace.engine.hosts import fetch, is_writer
from populace.engine.programs.carry import Best, Carry
from populace.engine.training_loop import Engine
from populace.runs.folder import resuming
from populace.runs.integrity import checkpoint_files, failures, late_threads


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
            name: x for c, group_state in enumerate(engine.group_states) for name, x in _flat(group_state, c)
        }
        if is_writer():
            note = info | {"step": engine.step, "control": dataclasses.asdict(engine.control)}
            self._under_way = engine.step, self._writer.submit(self._write, engine.step, arrays, note)

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
        for step in reversed(self.steps()):
            try:
                arrays, info = self._read(step)
            except Exception as error:
                # Whatever a damaged file makes the reader raise: the one before may be sound.
                line = f"checkpoint {step} is damaged ({first_line(error)[:160]})"
                if newest:
                    run = self.folder.parent
                    advice = resuming(run, "train its steps again: ")
                    raise RunError(f"'{run}': {line}", advice) from None
                log(f"{line}; trying the one before")
                continue
            try:
                for c, group_state in enumerate(engine.group_states):
                    with precision(group_state.program.x64):
                        _load(group_state, c, arrays)
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
        if not is_writer():
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
        note["arrays"] = {name: [x.dtype.name, list(x.shape), _checksum(x)] for name, x in arrays.items()}
        self.folder.mkdir(exist_ok=True)
        with whole(self.folder / str(step)) as aside:
            inside = aside.absolute() / checkpoint_files.ARRAYS
            inside.mkdir(parents=True)
            handler, args = self._handler, self._ocp.args.PyTreeSave(arrays)
            with late_threads.silenced(), late_threads.outlasted(aside):
                handler.save(inside, args=args)
                handler.finalize(inside)
            checkpoint_files.keep_info(aside, note)
        for old in self.steps()[: -self._keep]:
            checkpoint_files.discard(self.folder / str(old))

    def _read(self, step: int) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Read one checkpoint, whose files are checked before Orbax sees them."""
        folder = self.folder / str(step)
        info = checkpoint_files.check(folder)
        how = {name: self._ocp.RestoreArgs(restore_type=np.ndarray) for name in info["arrays"]}
        args = self._ocp.args.PyTreeRestore(restore_args=how)
        arrays = self._handler.restore(folder.absolute() / checkpoint_files.ARRAYS, args=args)
        for name, (_, _, expected) in info["arrays"].items():
            if _checksum(arrays[name]) != expected:
                raise ValueError(f"checksum of {name} does not match")
        return arrays, info


def _flat(group_state: GroupState, index: int) -> Iterator[tuple[str, np.ndarray]]:
    """Yield name and value of every array of the real members, copied to the host."""
    state = group_state.state()
    parts = {
        "state": state,
        "best": group_state.best,
        "diverged_at": group_state.carry.diverged_at,
        "step": group_state.carry.step,
    }
    count = len(group_state.group.members)
    for part, tree in parts.items():
        for i, leaf in enumerate(jax.tree.leaves(tree)):
            if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
                leaf = jax.random.key_data(leaf)
            # A copy: the buffer itself is consumed by the next window while the disk still writes.
            yield f"group{index}-{part}-{i:04d}", fetch(leaf)[:count]


def _load(group_state: GroupState, index: int, arrays: dict[str, np.ndarray]) -> None:
    """Put saved arrays into a group; its template says what shape and type they must have."""
    program = group_state.program
    carry, model = program.template(), program.model_template()
    members = len(group_state.group.members)
    source = np.minimum(np.arange(program.slots), members - 1)

    def fill(part: str, tree: Any) -> Any:
        leaves, structure = jax.tree.flatten(tree)
        found = []
        for i, leaf in enumerate(leaves):
            value = arrays[f"group{index}-{part}-{i:04d}"][source]
            if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
                value = jax.random.wrap_key_data(jnp.asarray(value), impl=program.key_types[leaf.dtype])
            if value.shape != leaf.shape or value.dtype != leaf.dtype:
                raise ValueError(
                    f"{part} {i} is {value.dtype}{value.shape}, expected {leaf.dtype}{leaf.shape}"
                )
            found.append(jax.device_put(value, program.placement.by_member))
        return structure.unflatten(found)

    like = carry.diverged_at
    diverged_at = fill("diverged_at", like)
    score: Any = jax.ShapeDtypeStruct(like.shape, jnp.float32)
    group_state.best = fill("best", Best(model, score, like))
    group_state.carry = Carry(
        state=fill("state", carry.state),
        step=fill("step", carry.step),
        diverged_at=diverged_at,
        halted=jax.device_put(fetch(diverged_at) >= 0, program.placement.by_member),
    )
    group_state.freeze_diverged()


def _checksum(array: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data).hexdigest()
