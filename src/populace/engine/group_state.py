"""A group while it trains, on the devices and, for members that diverged or were stopped, beside them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import equinox as eqx
import jax
import numpy as np

from populace.core.model import weights
from populace.core.numerics.precision import precision
from populace.core.population import Group
from populace.engine.hosts import fetch
from populace.engine.programs.carry import STOPPED, Best, Carry
from populace.engine.programs.program import Program
from populace.engine.strategy import BatchingChoice

_MANY = 16
"""Members above which all states pass through the host at once, instead of one by one."""


@dataclass
class GroupState:
    """A group while it trains: its program, its carry, and the best models so far.

    Members are made when somebody first asks for them: a group that a checkpoint is loaded into never
    makes any.
    """

    program: Program
    choice: BatchingChoice
    frozen: dict[int, Any] = field(default_factory=dict)
    """State of each slot that diverged or was stopped, as it was then; its place in the carry runs on."""
    _carry: Carry | None = None
    _best: Best | None = None
    _part: "_Part | None" = None

    @property
    def running(self) -> "GroupState":
        """The group as it trains: itself, or that part of its members which a smaller program holds."""
        return self._part.state if self._part else self

    @property
    def carry(self) -> Carry:
        """What training carries from step to step."""
        self._take_over()
        if self._carry is None:
            self.carry = self.program.begin()
            self.freeze_diverged()
        assert self._carry is not None
        return self._carry

    @carry.setter
    def carry(self, carry: Carry) -> None:
        self._carry = carry

    @property
    def best(self) -> Best:
        """The best models so far; before any evaluation those of the start, which any model replaces."""
        self._take_over()
        if self._best is None:
            self._best = _no_best(self.program, self.carry)
        return self._best

    @best.setter
    def best(self, best: Best) -> None:
        self._best = best

    def best_model(self, slot: int) -> Any:
        """Return the best model of one member, on the host."""
        return self.program.signature.whole_model(self.program.take(self.best.model, slot))

    def start_from(self, tensors: Mapping[str, Any]) -> None:
        """Let every member, before its first step, begin with weights of these names instead of its own."""
        program = self.program
        learner, whole = program.learner, program.signature.whole_state

        def one(state: Any, tensors: Any) -> Any:
            state = whole(state)
            model = weights.replaced(learner.model(state), tensors)
            return eqx.filter(learner.with_model(state, model), eqx.is_array)

        begin = jax.jit(jax.vmap(one, (0, None)), donate_argnums=0, out_shardings=program.placement.by_member)
        with precision(program.x64):
            self.carry = self.carry._replace(state=begin(self.carry.state, dict(tensors)))
        self._best = None

    @property
    def group(self) -> Group:
        """The members."""
        return self.program.group

    def state(self) -> Any:
        """Return all members' states, the diverged ones as they were when they diverged."""
        state = self.carry.state
        if len(self.frozen) > _MANY:
            state = self.program.put_many(state, self.frozen)
        else:
            for slot, entry in self.frozen.items():
                state = self.program.put(state, slot, entry)
        self.carry = self.carry._replace(state=state)
        return state

    def freeze_diverged(self) -> None:
        """Take the states of members that just diverged out of the carry, and let their batch go on."""
        halted = fetch(self.carry.halted)
        slots = np.flatnonzero(halted).tolist()
        if len(slots) > _MANY:
            self.frozen |= self.program.take_many(self.carry.state, slots)
        else:
            self.frozen |= {slot: self.program.take(self.carry.state, slot) for slot in slots}
        clear = jax.device_put(np.zeros_like(halted), self.program.placement.by_member)
        self.carry = self.carry._replace(halted=clear)

    def entry(self, slot: int) -> Any:
        """Return the state of one member, on the host."""
        return self.frozen[slot] if slot in self.frozen else self.program.take(self.carry.state, slot)

    def replace(self, slot: int, state: Any, step: int) -> None:
        """Let a member go on from another state; one that had diverged or was stopped is revived."""
        for place in self.program.places(slot):
            self.frozen.pop(place, None)
            self.carry = self.carry._replace(state=self.program.put(self.carry.state, place, state))
            self._mark(place, step=step, diverged_at=-1)

    def stop(self, slot: int, step: int) -> None:
        """Let a member train no further; the batch that it lies in leaves it out of the metrics.

        Where a whole batch is stopped nothing is computed for it any more.
        """
        for place in self.program.places(slot):
            if place not in self.frozen:
                self.frozen[place] = self.program.take(self.carry.state, place)
            self._mark(place, step=STOPPED, diverged_at=step)

    # -- a smaller program -------------------------------------------------------------------------

    def hold(self, members: Sequence[int]) -> None:
        """Let a program of some members alone train on, all of which are the group's; the others stand still.

        Args:
            members: by their index in the population. All of them: the group's own program trains on.

        """
        self.expand()
        if len(members) == len(self.group.members):
            return
        slots = np.flatnonzero(np.isin(self.group.indices, members)).tolist()
        program = self.program.part(slots, alike=self.choice.strategy == "map")
        source = np.asarray(slots)[program.source]
        state = self.state()
        carry, best = self.program.rows((self.carry._replace(state=state), self.best), source, program)
        part = GroupState(program, self.choice, _carry=carry, _best=best)
        part.frozen = {i: self.frozen[slot] for i, slot in enumerate(source.tolist()) if slot in self.frozen}
        self.program.release()
        self._part = _Part(part, slots, carry, best)

    def expand(self) -> None:
        """Let the group's own program train on, from where a smaller one has come."""
        self._take_over()
        if self._part:
            self._part.state.program.release()
        self._part = None

    def _take_over(self) -> None:
        """Put what a smaller program has come to into the places of its members, if that is news."""
        part = self._part
        if part is None or (part.state._carry is part.carry and part.state._best is part.best):
            return
        self._part = None  # what follows is about this group itself
        inner, own = part.state, self.program
        state, best, count = inner.state(), inner.best, len(part.slots)
        carry = inner.carry
        to = {i: own.places(slot) for i, slot in enumerate(part.slots)}

        def put(mine: Any, theirs: Any) -> Any:
            entries = inner.program.take_many(theirs, list(range(count)))
            return own.put_many(mine, {place: entries[i] for i in to for place in to[i]})

        rest = ("step", "diverged_at", "halted")
        new = put({n: getattr(self.carry, n) for n in rest}, {n: getattr(carry, n) for n in rest})
        self.carry = Carry(state=put(self.carry.state, state), **new)
        self.best = put(self.best, best)
        for i, places in to.items():
            for place in places:
                if i in inner.frozen:
                    self.frozen[place] = inner.frozen[i]
        part.carry, part.best = inner.carry, inner.best
        self._part = part

    def _mark(self, slot: int, **values: int) -> None:
        columns = {name: fetch(getattr(self.carry, name)) for name in values}
        for name, value in values.items():
            columns[name][slot] = value
        sharding = self.program.placement.by_member
        self.carry = self.carry._replace(**{n: jax.device_put(c, sharding) for n, c in columns.items()})


@dataclass
class _Part:
    """The members of a group that a smaller program holds, their slots, and what was taken over from it."""

    state: GroupState
    slots: list[int]
    carry: Carry
    best: Best


def _no_best(program: Program, carry: Carry) -> Best:
    """Return the models before any evaluation, which any model replaces."""
    sharding = program.placement.by_member
    score = jax.device_put(np.full(program.slots, -np.inf, np.float32), sharding)
    step = jax.device_put(np.zeros(program.slots, np.int32), sharding)
    return Best(program.models(carry.state), score, step)
