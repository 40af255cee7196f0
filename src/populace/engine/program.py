"""Program: a group of members as compiled functions: begin, advance, evaluate, keep the best.

Every array that differs between members has a leading axis of slots, a share of them on each
device, and each device works through its share in batches of `width` members: all at once (`vmap`),
one after the other (`map`), or chunks between the two.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import PartitionSpec

from populace.core.learner import Learner, Mean
from populace.core.population import Group
from populace.core.random import root_key
from populace.core.signature import Signature
from populace.engine.batching import in_turn, over_members
from populace.engine.placement import AXIS, Placement

# Keys of the steps are fold_in(member_key, t); what else needs randomness folds in numbers that no
# step reaches (steps are below 2**31), so that nothing added there ever changes the training.
INIT, EVALUATION, EXAMINATION, EXHIBIT, TURN = (2**32 - k for k in (1, 2, 3, 4, 5))

# What runs once is not worth optimising: compiling `begin` would take longer than running it ever does.
_QUICK = {"xla_backend_optimization_level": 0}


class Carry(NamedTuple):
    """What training carries from step to step; each leaf has the slot axis in front.

    Attributes:
        state: the learner's state, arrays only.
        step: iterations completed.
        diverged_at: the step after which the model was not finite any more, or -1.
        waiting: diverged and not yet set aside by the host; its batch halts until it is.

    """

    state: Any
    step: jax.Array
    diverged_at: jax.Array
    halted: jax.Array


class Best(NamedTuple):
    """The model with the best evaluation so far, its score (higher is better) and its step."""

    model: Any
    score: jax.Array
    step: jax.Array


class Program:
    """The compiled functions of one group on its devices.

    Args:
        group: the stacked learner and its members.
        root: root seed of the population.
        placement: the devices.
        width: members per batch on a device; 1 is `map`, a device's whole share is `vmap`.

    """

    def __init__(self, group: Group, root: int, placement: Placement, width: int) -> None:
        self.group, self.placement = group, placement
        share = -(-len(group.members) // len(placement.devices))
        self.width = max(1, min(width, share))
        self.slots = placement.slots(len(group.members), self.width)
        # Surplus slots repeat the last member: real numbers, so they never diverge on their own.
        source = np.minimum(np.arange(self.slots), len(group.members) - 1)
        seeds = np.asarray([m.seed for m in group.members], np.uint32)[source]
        keys = jax.jit(jax.vmap(jax.random.fold_in, (None, 0)))(root_key(root), seeds)
        self.keys = jax.device_put(keys, placement.by_member)
        arrays, self._fixed = eqx.partition(group.learner, eqx.is_array)
        varied, shared = eqx.partition(arrays, group.varied)
        varied = jax.tree.map(lambda x: x[source], varied)
        self.varied = jax.device_put(varied, placement.by_member)
        self.shared = jax.device_put(shared, placement.everywhere)
        self.signature = Signature(self.learner)

    # -- the programs ------------------------------------------------------------------------------

    def begin(self) -> Carry:
        """Return every member before its first step.

        The programs that come next are compiled at the same time, on another core.
        """
        carry = jax.eval_shape(self._begin, self.varied, self.shared, self.keys)
        sharding = self.placement.by_member
        carry = jax.tree.map(
            lambda s: jax.ShapeDtypeStruct(s.shape, s.dtype, sharding=sharding), Carry(*carry)
        )
        arguments = (self.varied, self.shared, self.keys)
        with ThreadPoolExecutor(1) as compiler:
            ahead = self._advance.lower(*arguments, carry, np.int32(0))
            compiled = compiler.submit(ahead.compile)
            begun = Carry(*self._begin.lower(*arguments).compile(_QUICK)(*arguments))
            self._compiled_advance = compiled.result()
        return begun

    def advance(self, carry: Carry, end: int) -> tuple[Carry, dict[str, Mean]]:
        """Train until `end` steps are completed, or until a batch halts on a diverged member.

        Returns:
            the carry (the one passed in is consumed), and each metric summed over the steps taken.

        """
        return self._compiled_advance(self.varied, self.shared, self.keys, carry, np.int32(end))

    def evaluate(self, model: Any, salt: int, step: int) -> dict[str, Mean]:
        """Evaluate every member's snapshot with the key of (member, salt, step)."""
        return self._evaluate(self.varied, self.shared, self.keys, model, np.uint32(salt), step)

    def examine(self, model: Any, episodes: int, seed: int) -> dict[str, Mean]:
        """Evaluate thoroughly, on episodes that nothing was chosen by."""

        def one(learner: Learner, key: jax.Array, model: Any, salt: Any) -> Any:
            key = jax.random.fold_in(jax.random.fold_in(key, EXAMINATION), salt)
            return dict(learner.for_test(episodes).evaluate(self.signature.whole_model(model), key))

        program = self._over_members(one, extra=1)
        return program(self.varied, self.shared, self.keys, model, np.uint32(seed))

    @cached_property
    def snapshot(self) -> Callable[[Any], Any]:
        """State -> the models of all members, arrays only."""

        def one(state: Any) -> Any:
            model = self.learner.model(self.signature.whole_state(state))
            return eqx.filter(model, eqx.is_array)

        return jax.jit(jax.vmap(one))

    @cached_property
    def keep(self) -> Callable[[Best, Any, jax.Array, jax.Array, bool], Best]:
        """(best, model, score, step, always) -> best, member by member; a tie keeps the earlier one.

        With `always` every sound model replaces the one before, whatever its score.
        """

        def keep(best: Best, model: Any, score: jax.Array, step: jax.Array, always: bool) -> Best:
            better = score > jnp.where(always, -jnp.inf, best.score)

            def choose(new: jax.Array, old: jax.Array) -> jax.Array:
                return jnp.where(better.reshape(-1, *[1] * (new.ndim - 1)), new, old)

            return Best(*jax.tree.map(choose, (model, score, step), tuple(best)))

        return jax.jit(keep)

    @cached_property
    def take(self) -> Callable[[Any, int], Any]:
        """(stacked, slot) -> that slot's entry."""
        return jax.jit(lambda tree, i: jax.tree.map(lambda x: x[i], tree))

    @cached_property
    def put(self) -> Callable[[Any, int, Any], Any]:
        """(stacked, slot, entry) -> stacked with that entry in place; the old one is consumed."""

        def put(tree: Any, slot: int, entry: Any) -> Any:
            return jax.tree.map(lambda x, e: x.at[slot].set(e), tree, entry)

        return jax.jit(put, donate_argnums=0, out_shardings=self.placement.by_member)

    # -- one member, on the host -------------------------------------------------------------------

    @cached_property
    def learner(self) -> Learner:
        """The learner of the first slot, as a template: its structure is that of every member."""
        return self.learner_of(0)

    def learner_of(self, slot: int) -> Learner:
        """Return the learner as it was for one member."""
        varied = jax.tree.map(lambda x: x[slot], self.varied)
        return eqx.combine(varied, self.shared, self._fixed)

    # -- how they are built ------------------------------------------------------------------------

    @cached_property
    def _advance(self) -> Any:
        spec, whole = PartitionSpec(AXIS), PartitionSpec()
        program = jax.shard_map(
            self._advance_share,
            mesh=self.placement.mesh,
            in_specs=(spec, whole, spec, spec, whole),
            out_specs=spec,
            check_vma=False,
        )
        return jax.jit(program, donate_argnums=3)

    def _advance_share(self, varied: Any, shared: Any, keys: Any, carry: Carry, end: Any) -> Any:
        sums = {n: Mean(*[jnp.zeros(keys.shape[0])] * 2) for n in self.signature.metrics}

        def batch(read: Any, whole: Any) -> Any:
            (own, key), (carry, sums) = read, whole
            return self._advance_batch(own, shared, key, carry, sums, end)

        return in_turn(batch, (varied, keys), (carry, sums), self.width)

    def _advance_batch(self, varied: Any, shared: Any, keys: Any, carry: Carry, sums: Any, end: Any) -> Any:
        """Step a batch in lockstep; the trip count is dynamic, so one program serves any length."""

        def one(varied: Any, key: jax.Array, state: Any, t: jax.Array) -> Any:
            learner = eqx.combine(varied, shared, self._fixed)
            state = self.signature.whole_state(state)
            state, metrics = learner.step(state, jax.random.fold_in(key, t))
            finite = _all_finite(learner.model(state))
            return eqx.filter(state, eqx.is_array), dict(metrics), finite

        def turn(varied: Any, key: jax.Array, state: Any, t: jax.Array) -> Any:
            learner = eqx.combine(varied, shared, self._fixed)
            key = jax.random.fold_in(jax.random.fold_in(key, TURN), t)
            return eqx.filter(learner.on_epoch_start(self.signature.whole_state(state), key), eqx.is_array)

        alone, period = self.width == 1, self.learner.epoch_steps
        every = one if alone else jax.vmap(one, (0, 0, 0, None))
        every_turn = turn if alone else jax.vmap(turn, (0, 0, 0, None))
        if alone:  # outside the loop: inside, large buffers would be copied in every step
            varied, keys, carry, sums = jax.tree.map(lambda x: x[0], (varied, keys, carry, sums))

        def going(loop: Any) -> Any:
            (_, step, _, halted), _ = loop
            return (jnp.min(step) < end) & ~jnp.any(halted)

        def step(loop: Any) -> Any:
            (state, step, diverged_at, _), sums = loop
            t = jnp.min(step)  # one for the batch, so that a condition on it is a real branch
            if period:
                due = partial(every_turn, varied, keys)
                state = lax.cond(t % period == 0, due, lambda state, t: state, state, t)
            state, metrics, finite = every(varied, keys, state, t)
            fresh = ~finite & (diverged_at < 0)
            diverged_at = jnp.where(fresh, step + 1, diverged_at)
            alive = diverged_at < 0
            kept = jax.tree.map(lambda x: jnp.where(alive, x, 0.0), metrics)
            sums = {name: sums[name] + kept[name] for name in sums}
            return Carry(state, step + 1, diverged_at, fresh), sums

        done = lax.while_loop(going, step, (carry, sums))
        return jax.tree.map(lambda x: x[None], done) if alone else done

    @cached_property
    def _begin(self) -> Any:
        def one(learner: Learner, key: jax.Array) -> Any:
            state = learner.init(jax.random.fold_in(key, INIT))
            finite = _all_finite(learner.model(state))
            return eqx.filter(state, eqx.is_array), jnp.int32(0), jnp.where(finite, -1, 0), ~finite

        return self._over_members(one)

    @cached_property
    def _evaluate(self) -> Callable[..., Any]:
        def one(learner: Learner, key: jax.Array, model: Any, salt: Any, step: Any) -> Any:
            key = jax.random.fold_in(jax.random.fold_in(key, salt), step)
            return dict(learner.evaluate(self.signature.whole_model(model), key))

        return self._over_members(one, extra=2)

    def _over_members(self, one: Callable[..., Any], extra: int = 0) -> Callable[..., Any]:
        """Compile `one(learner, key, *stacked, *extra)` over all members, in batches."""

        def share(varied: Any, shared: Any, keys: Any, *rest: Any) -> Any:
            stacked, common = rest[: len(rest) - extra], rest[len(rest) - extra :]

            def member(varied: Any, key: Any, *own: Any) -> Any:
                return one(eqx.combine(varied, shared, self._fixed), key, *own, *common)

            return over_members(member, self.width)(varied, keys, *stacked)

        spec, whole = PartitionSpec(AXIS), PartitionSpec()

        def call(varied: Any, shared: Any, keys: Any, *rest: Any) -> Any:
            specs = (spec, whole, spec, *[spec] * (len(rest) - extra), *[whole] * extra)
            mesh = self.placement.mesh
            return jax.shard_map(share, mesh=mesh, in_specs=specs, out_specs=spec, check_vma=False)(
                varied, shared, keys, *rest
            )

        return jax.jit(call)


def _all_finite(tree: Any) -> jax.Array:
    leaves = jax.tree.leaves(eqx.filter(tree, eqx.is_inexact_array))
    return jnp.all(jnp.stack([jnp.all(jnp.isfinite(x)) for x in leaves])) if leaves else jnp.bool(True)
