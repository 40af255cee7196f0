"""Program: a group of members with the compiled functions of its structure.

It holds what differs from group to group: the members' hyperparameters and keys, and the data they share.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property, reduce
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from populace.core import settings
from populace.core.errors import UsageError
from populace.core.learner import Learner
from populace.core.mean import Mean
from populace.core.model.signature import Signature
from populace.core.numerics.precision import at_precision, precision
from populace.core.population import Group
from populace.core.random import root_key
from populace.engine.placement import Placement, place
from populace.engine.programs import slots
from populace.engine.programs.carry import Best, Carry, Progress
from populace.engine.programs.compiled_cache import compiled_for
from populace.engine.streaming.fed_programs import FedCompiled
from populace.engine.streaming.feeding import Feeding


class Program:
    """The members of one group on their devices.

    Args:
        group: the stacked learner and its members.
        root: root seed of the population.
        placement: the devices.
        width: members per batch on a device; 1 is `map`, a device's whole share is `vmap`.

    """

    def __init__(self, group: Group, root: int, placement: Placement, width: int) -> None:
        self.group, self.placement, self._root = group, placement, root
        share = -(-len(group.members) // len(placement.devices))
        self.width = max(1, min(width, share))
        self.slots = placement.slots(len(group.members), self.width)
        # Surplus slots repeat the last member: real numbers, so they never diverge on their own.
        self.source = np.minimum(np.arange(self.slots), len(group.members) - 1)
        arrays, self._fixed = eqx.partition(group.learner, eqx.is_array)
        varied, shared = eqx.partition(arrays, group.varied)
        self._own = jax.tree.map(lambda x: np.asarray(x)[self.source], varied)
        with precision(self.x64):
            self.varied = jax.device_put(self._own, placement.by_member)
            self.shared = jax.device_put(shared, placement.everywhere)
            structure = (group.learner, self.learner, group.varied, placement, self.width, self.slots)
            self._compiled = compiled_for(*structure, None if self.learner.feed is None else FedCompiled)
        self._feeding: Feeding | None = None
        if isinstance(self._compiled, FedCompiled):
            seeds = np.asarray([m.seed for m in group.members])[self.source]
            self._feeding = Feeding(
                self.learner, self._compiled, placement, seeds, lambda: self._members, group.groups
            )

    @property
    def x64(self) -> bool:
        """Whether its learner computes in float64."""
        return self.group.learner.x64

    @property
    def signature(self) -> Signature:
        """Shapes of the state, and what in it is no array."""
        return self._compiled.signature

    @property
    def key_types(self) -> dict[Any, Any]:
        """The generator of each type of random key that a state holds; known once there is a `template`."""
        return self._compiled.key_types

    @cached_property
    def keys(self) -> jax.Array:
        """The key of each slot's member: `fold_in(key(root seed), member's seed)`."""
        seeds = np.asarray([m.seed for m in self.group.members], np.uint32)[self.source]
        return jax.device_put(_fold_in_each(root_key(self._root), seeds), self.placement.by_member)

    @property
    def _members(self) -> tuple[Any, Any, jax.Array]:
        return self.varied, self.shared, self.keys

    @at_precision
    def template(self) -> Carry:
        """Return the shapes of what training carries, with nothing computed or compiled."""
        return self._compiled.template(self.varied, self.shared, self._keys_like)

    @at_precision
    def model_template(self) -> Any:
        """Return the shapes of all members' models, with nothing computed or compiled."""
        members = (self.varied, self.shared, self._keys_like)
        return jax.eval_shape(self._compiled.models, *members, self.template().state)

    @at_precision
    def begin(self) -> Carry:
        """Return every member before its first step.

        Raises:
            UsageError: their states are larger than the memory of the devices.

        """
        needed, have = self.signature.state_bytes * self.slots, self.placement.memory
        if needed > have:
            raise UsageError(
                f"{len(self.group.members):,} members of {self.signature.state_bytes:,} bytes each need "
                f"{needed / 2**30:,.1f} GiB, and there are {have / 2**30:,.1f} GiB of memory; train fewer "
                "members at once, or lower a buffer or a width"
            )
        return self._compiled.begin(*self._members)

    @at_precision
    def advance(self, carry: Carry, end: int) -> tuple[Carry, Progress]:
        """Train until `end` steps are completed, or until a batch halts on a diverged member.

        Returns:
            the carry (the one passed in is consumed), and what the host is told of these steps.

        """
        if self._feeding is not None:
            return self._feeding.advance(carry, end)
        return self._compiled.advance(*self._members, carry, end)

    def release(self) -> None:
        """Let go of batches that were read ahead of training; they are read again if it goes on."""
        if self._feeding is not None:
            self._feeding.release()

    @at_precision
    def models(self, state: Any) -> Any:
        """Return the models of all members, arrays only."""
        return self._compiled.models(*self._members, state)

    @at_precision
    def evaluate(self, model: Any, salt: int, step: int) -> dict[str, Mean]:
        """Evaluate every member's snapshot with the key of (member, salt, step)."""
        if self._feeding is not None:
            return self._feeding.evaluate("evaluation", lambda learner: learner, model)
        return self._compiled.evaluate(*self._members, model, np.uint32(salt), np.int32(step))

    @at_precision
    def test(self, model: Any, size: int, seed: int) -> dict[str, Mean]:
        """Return the final evaluation of all members, on what no model was selected by."""
        if self._feeding is not None:
            return self._feeding.evaluate(("test", size), lambda learner: learner.for_test(size), model)
        return self._compiled.test(size)(*self._members, model, np.uint32(seed))

    @at_precision
    def on_training_part(self, model: Any) -> dict[str, Mean] | None:
        """Return the metrics of all members on what they were trained on; None where that is no examples."""
        if self.learner.for_training_part() is None:
            return None
        return self._compiled.on_training_part(*self._members, model)

    @at_precision
    def keep(self, best: Best, new: Best, trains: jax.Array, always: bool) -> Best:
        """Return the better of two, member by member; a tie keeps the earlier one.

        Args:
            best: the best so far.
            new: the models of now; a score of -inf where none was measured.
            trains: which members have neither diverged nor been stopped; of the others nothing is replaced.
            always: replace the one before whatever the scores. That is done in any case where no score has
                been measured yet, such as for data without a validation part.

        """
        return _keep(best, new, trains, always)

    @at_precision
    def take(self, stacked: Any, slot: int) -> Any:
        """Return a copy of one slot's entry, by way of the host: nothing is compiled for it."""
        return slots.take(stacked, slot)

    @at_precision
    def put(self, stacked: Any, slot: int, entry: Any) -> Any:
        """Return `stacked` with an entry in a slot; the old one is consumed."""
        return slots.put(stacked, slot, entry, self.placement)

    @at_precision
    def take_many(self, stacked: Any, chosen: list[int]) -> dict[int, Any]:
        """Return copies of many slots' entries, as `take` does, with one look at each array."""
        return slots.take_many(stacked, chosen)

    @at_precision
    def put_many(self, stacked: Any, entries: dict[int, Any]) -> Any:
        """Return `stacked` with entries in many slots, as `put` does, with one copy of each array."""
        return slots.put_many(stacked, entries, self.placement)

    @at_precision
    def rows(self, stacked: Any, chosen: np.ndarray, target: "Program") -> Any:
        """Return the entries of some slots, stacked, on the devices of another program."""
        return slots.rows(stacked, chosen, target.placement)

    @at_precision
    def part(self, slots: Sequence[int], *, alike: bool) -> "Program":
        """Return the program of some members alone, with the settings that they have now.

        Args:
            slots: theirs.
            alike: as for `place`.

        """
        own = jax.tree.map(lambda x: x[np.asarray(slots)], self._own)
        learner = eqx.combine(own, self.shared, self._fixed)
        members = tuple(self.group.members[slot] for slot in slots)
        group = replace(self.group, learner=learner, members=members)
        placement = place(len(slots), len(self.placement.devices), alike=alike)
        return Program(group, self._root, placement, self.width)

    def places(self, slot: int) -> list[int]:
        """Return a member's slot, and for the last member those that repeat it."""
        return np.flatnonzero(self.source == slot).tolist()

    @at_precision
    def change_setting(self, slot: int, path: str, value: float) -> None:
        """Give one member another value of a `float` setting that is an argument of the program.

        Raises:
            UsageError: no such setting, a value outside its range, or one that all members share.

        """
        settings.replace(self.learner_of(slot), path, value)  # refuses what is no such setting or value

        def at(tree: Any) -> Any:
            return reduce(getattr, path.split("."), tree)

        if at(self.group.varied) is not True and len(self.group.members) == 1:
            own = jax.device_put(np.float32(value), self.placement.everywhere)
            self.shared = eqx.tree_at(at, self.shared, own)
            return
        if at(self.group.varied) is not True:
            raise UsageError(
                f"the controller changes '{path}', which is no argument of the compiled program: "
                "it must be a float setting whose sweep has at least two values"
            )
        column = at(self._own).copy()  # devices may read the memory of the one before
        column[self.places(slot)] = value
        self._own = eqx.tree_at(at, self._own, column)
        self.varied = jax.device_put(self._own, self.placement.by_member)

    # -- one member, on the host -------------------------------------------------------------------

    @cached_property
    def learner(self) -> Learner:
        """The learner of the first slot, as a template: its structure is that of every member."""
        return self.learner_of(0)

    @at_precision
    def learner_of(self, slot: int) -> Learner:
        """Return the learner as it was for one member."""
        varied = jax.tree.map(lambda x: jnp.asarray(x[slot]), self._own)
        return eqx.combine(varied, self.shared, self._fixed)

    @property
    def _keys_like(self) -> jax.ShapeDtypeStruct:
        one = jax.eval_shape(lambda: root_key(0))
        return jax.ShapeDtypeStruct((self.slots,), one.dtype, sharding=self.placement.by_member)


@jax.jit
def _fold_in_each(root: jax.Array, seeds: jax.Array) -> jax.Array:
    return jax.vmap(jax.random.fold_in, (None, 0))(root, seeds)


@jax.jit
def _keep(best: Best, new: Best, trains: jax.Array, always: bool) -> Best:
    better = trains & (always | (new.score > best.score) | (best.score == -jnp.inf))

    def choose(new: jax.Array, old: jax.Array) -> jax.Array:
        return jnp.where(better.reshape(-1, *[1] * (new.ndim - 1)), new, old)

    return jax.tree.map(choose, new, best)
