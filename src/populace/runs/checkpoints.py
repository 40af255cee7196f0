"""Checkpoints: the states of all members on disk, by Orbax; the last few are kept.

A checkpoint appears under its final name only when it is complete, and carries a checksum of every
array, so that a damaged one is noticed and the one before is used.
"""

import contextlib
import dataclasses
import logging
import zlib
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from populace.core.errors import RunError, UsageError
from populace.engine.carry import Best, Carry
from populace.engine.controller import Control
from populace.engine.group_state import GroupState
from populace.engine.hosts import fetch
from populace.engine.training_loop import Engine
from populace.runs.folder import resuming

LAYOUT = 1


class Checkpoints:
    """The checkpoints of one run.

    Args:
        folder: where they lie.
        keep: how many of the newest are kept.

    """

    def __init__(self, folder: Path, keep: int = 3) -> None:
        self.folder, self._keep = folder, keep
        folder.mkdir(parents=True, exist_ok=True)

    @cached_property
    def _ocp(self) -> Any:
        """Orbax, imported by the first checkpoint that is written or read: half a second."""
        import orbax.checkpoint

        logging.getLogger("absl").setLevel(logging.ERROR)
        return orbax.checkpoint

    @cached_property
    def _manager(self) -> Any:
        options = self._ocp.CheckpointManagerOptions(max_to_keep=self._keep, enable_async_checkpointing=True)
        return self._ocp.CheckpointManager(self.folder.absolute(), options=options)

    @cached_property
    def _reader(self) -> Any:
        return self._ocp.Checkpointer(self._ocp.PyTreeCheckpointHandler())

    @property
    def _writes(self) -> bool:
        return "_manager" in self.__dict__

    def save(self, engine: Engine, info: dict[str, Any]) -> None:
        """Save the engine as it stands; writing goes on in the background.

        Raises:
            RunError: this or the checkpoint before could not be written.

        """
        arrays = {
            name: x for c, group_state in enumerate(engine.group_states) for name, x in _flat(group_state, c)
        }
        known = {name: [x.dtype.name, list(x.shape), _checksum(x)] for name, x in arrays.items()}
        control = dataclasses.asdict(engine.control)
        note = info | {"layout": LAYOUT, "step": engine.step, "arrays": known, "control": control}
        args = self._ocp.args
        with self._clear(engine.step):
            self._manager.save(
                engine.step,
                args=args.Composite(arrays=args.StandardSave(arrays), info=args.JsonSave(note)),
            )

    def wait(self) -> None:
        """Wait until everything saved so far is on disk.

        Raises:
            RunError: it could not be written.

        """
        if not self._writes:
            return
        with self._clear(None):
            self._manager.wait_until_finished()
            self._manager.check_for_errors()

    def steps(self) -> list[int]:
        """Return the steps of the complete checkpoints, oldest first."""
        return sorted(int(p.name) for p in self.folder.iterdir() if p.name.isdecimal())

    def has(self, step: int) -> bool:
        """Return whether a step has been saved, be it still on its way to the disk."""
        return step in (self._manager.all_steps() if self._writes else self.steps())

    def settled(self) -> list[int]:
        """Return the complete checkpoints once nothing is on its way any more, written or failed."""
        if self._writes:
            with contextlib.suppress(Exception):
                self._manager.wait_until_finished()
        return self.steps()

    def restore(self, engine: Engine, log: Callable[[str], None]) -> dict[str, Any] | None:
        """Put the newest sound checkpoint into the engine; return its info, or None without one.

        Args:
            engine: of the same population, not yet trained.
            log: is told of every checkpoint that was passed over, and why.

        Raises:
            UsageError: the newest sound one is of another learner.

        """
        for step in reversed(self.steps()):
            try:
                arrays, info = self._read(step)
            except Exception as error:
                # Whatever a damaged file makes the reader raise: the one before may be sound.
                reason = str(error).strip().splitlines()[0][:160] if str(error).strip() else "unreadable"
                log(f"checkpoint {step} is damaged ({reason}); trying the one before")
                continue
            try:
                for c, group_state in enumerate(engine.group_states):
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
        """Remove checkpoints later than `step`: damaged ones, which would stand in the way."""
        for later in self.steps():
            if later > step:
                self._manager.delete(later)

    def close(self) -> None:
        """Wait for what is being written and free the threads."""
        with self._clear(None):
            for part in ("_manager", "_reader"):
                if part in self.__dict__:
                    self.__dict__[part].close()

    def _read(self, step: int) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        args = self._ocp.args
        found = self._manager.restore(step, args=args.Composite(info=args.JsonRestore()))
        info = dict(found["info"])
        if info.get("layout") != LAYOUT:
            raise ValueError(f"layout {info.get('layout')}, this version reads {LAYOUT}")
        arrays = {name: self._read_array(step, name) for name in info["arrays"]}
        for name, (_, _, expected) in info["arrays"].items():
            if _checksum(arrays[name]) != expected:
                raise ValueError(f"checksum of {name} does not match")
        return arrays, info

    def _read_array(self, step: int, name: str) -> np.ndarray:
        """Read one array, and no other at the same time.

        Orbax reads many at once; when one of them cannot be read, the others are left to end when
        nobody listens any more, and each says so on standard error, at any time until Python ends.
        """
        how = self._ocp.args.PyTreeRestore(
            item={name: 0},
            restore_args={name: self._ocp.RestoreArgs(restore_type=np.ndarray)},
            partial_restore=True,
        )
        return self._reader.restore(self.folder.absolute() / str(step) / "arrays", args=how)[name]

    @contextlib.contextmanager
    def _clear(self, step: int | None) -> Iterator[None]:
        """Turn whatever writing raises, here or in the background, into one line for the person."""
        try:
            yield
        except Exception as error:
            what = "the checkpoint" if step is None else f"the checkpoint of step {step}"
            text = str(error)
            full = "No space left" in text or "ENOSPC" in text or "RESOURCE_EXHAUSTED" in text
            reason = "the disk is full" if full else (text.strip().splitlines() or ["unknown"])[0][:200]
            good = max(self.settled(), default=None)
            have = "none is complete yet" if good is None else f"the one of step {good} is intact"
            raise RunError(
                f"cannot write {what}: {reason}; {have}",
                resuming(self.folder.parent, "mend it, then "),
            ) from error


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


def _checksum(array: np.ndarray) -> int:
    return zlib.crc32(np.ascontiguousarray(array).data)
