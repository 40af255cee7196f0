"""Compiled: the functions of one structure of learners, traced and compiled once in a process.

Every array that differs between members has a leading axis of slots, a share of them on each
device, and each device works through its share in batches of `width` members: all at once (`vmap`),
one after the other (`map`), or chunks between the two.

What is compiled depends on the structure of the learner, the shapes of its arrays, the number of slots,
the devices and the width, and on nothing else; hyperparameters, data and keys are arguments.
"""

from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import PartitionSpec

from populace.core.learner import Learner
from populace.core.mean import Mean
from populace.core.model.signature import Signature
from populace.core.numerics.precision import at_precision
from populace.engine.batching import in_turn, over_members
from populace.engine.placement import AXIS, Placement
from populace.engine.programs.carry import Carry, Progress

# Keys of the steps are fold_in(member_key, t); what else needs randomness folds in numbers that no
# step reaches (steps are below 2**31), so that nothing added there ever changes the training.
INIT, EVALUATION, TEST, EXHIBIT, EPOCH_START = (2**32 - k for k in (1, 2, 3, 4, 5))

# What runs once is not worth optimizing: compiling `begin` would take longer than running it ever does.
_QUICK = {"xla_backend_optimization_level": 0}


class Compiled:
    """The compiled functions of one structure; see `populace.engine.programs.compiled_cache`.

    All take the same first three arguments: what varies between members (slots in front), what all
    members share, and the keys of the members.

    Attributes:
        signature: shapes of the state, and what in it is no array.
        epoch_steps: steps between two calls of the learner's `on_epoch_start`.
        x64: whether it computes in float64.
        key_types: the generator of each type of random key that a state holds.

    """

    def __init__(
        self, learner: Learner, placement: Placement, width: int, signature: Signature | None = None
    ) -> None:
        self.signature = signature or self._signature(learner)
        self.epoch_steps, self.x64 = learner.epoch_steps, learner.x64
        self.key_types: dict[Any, Any] = {}
        self._fixed = eqx.filter(learner, eqx.is_array, inverse=True)
        self._placement, self.width = placement, width
        self._made: dict[Hashable, Any] = {}
        self._compiled_begin: Any = None
        self._compiled_advance: Any = None

    def begin(self, *members: Any) -> Carry:
        """Return every member before its first step.

        The programs that come next are compiled at the same time, on another core.
        """
        self.template(*members)  # traced here, or both threads would trace it
        with ThreadPoolExecutor(1) as compiler:
            advance = compiler.submit(partial(self._ready_to_advance, *members))
            if self._compiled_begin is None:
                self._compiled_begin = self._begin.lower(*members).compile(_QUICK)
            begun = Carry(*self._compiled_begin(*members))
            advance.result()
        return begun

    def advance(self, varied: Any, shared: Any, keys: Any, carry: Carry, end: int) -> Any:
        """Train until `end` steps are completed, or until a batch halts on a diverged member."""
        advance = self._ready_to_advance(varied, shared, keys)
        return advance(varied, shared, keys, carry, np.int32(end))

    @at_precision  # a thread of its own may run it, which has the width of numbers of the process
    def _ready_to_advance(self, *members: Any) -> Any:
        if self._compiled_advance is None:
            lowered = self._advance.lower(*members, self.template(*members), np.int32(0))
            self._compiled_advance = lowered.compile()
        return self._compiled_advance

    def template(self, *members: Any) -> Carry:
        """Return the shapes of what training carries, with nothing computed or compiled."""
        sharding = self._placement.by_member

        def begin(*members: Any) -> Any:
            carry = self._begin(*members)
            for leaf in jax.tree.leaves(carry):
                if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
                    self.key_types[leaf.dtype] = jax.random.key_impl(leaf)
            return carry

        carry = jax.eval_shape(begin, *members)
        return jax.tree.map(
            lambda s: jax.ShapeDtypeStruct(s.shape, s.dtype, sharding=sharding), Carry(*carry)
        )

    def test(self, size: int) -> Callable[..., dict[str, Mean]]:
        """Return the function of the final evaluation, on what no model was selected by."""

        def one(learner: Learner, key: jax.Array, model: Any, salt: Any) -> Any:
            key = jax.random.fold_in(jax.random.fold_in(key, TEST), salt)
            return dict(learner.for_test(size).evaluate(self.signature.whole_model(model), key))

        return self._kept("test", size, lambda: self._over_members("test", one, extra=1))

    @cached_property
    def on_training_part(self) -> Callable[..., dict[str, Mean]]:
        """(varied, shared, keys, models) -> the metrics of all members on what they were trained on."""

        def one(learner: Learner, key: jax.Array, model: Any) -> Any:
            part = learner.for_training_part()
            assert part is not None
            return dict(part.evaluate(self.signature.whole_model(model), jax.random.fold_in(key, TEST)))

        return self._over_members("evaluate_training_part", one)

    @cached_property
    def models(self) -> Callable[..., Any]:
        """(varied, shared, keys, state) -> the models of all members, arrays only."""

        def models(varied: Any, shared: Any, keys: Any, state: Any) -> Any:
            del keys

            def one(varied: Any, state: Any) -> Any:
                learner = eqx.combine(varied, shared, self._fixed)
                return eqx.filter(learner.model(self.signature.whole_state(state)), eqx.is_array)

            return jax.vmap(one)(varied, state)

        return jax.jit(models)

    @cached_property
    def evaluate(self) -> Callable[..., dict[str, Mean]]:
        """(varied, shared, keys, models, salt, step) -> the metrics of all members."""

        def one(learner: Learner, key: jax.Array, model: Any, salt: Any, step: Any) -> Any:
            key = jax.random.fold_in(jax.random.fold_in(key, salt), step)
            return dict(learner.evaluate(self.signature.whole_model(model), key))

        return self._over_members("evaluate", one, extra=2)

    @cached_property
    def _advance(self) -> Any:
        spec, whole = PartitionSpec(AXIS), PartitionSpec()
        program = jax.shard_map(
            self._advance_share,
            mesh=self._placement.mesh,
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

        carry, sums = in_turn(batch, (varied, keys), (carry, sums), self.width)
        return carry, Progress.of(carry, sums)

    def _advance_batch(self, varied: Any, shared: Any, keys: Any, carry: Carry, sums: Any, end: Any) -> Any:
        """Step a batch in lockstep; the trip count is dynamic, so one program serves any length."""

        def one(varied: Any, key: jax.Array, state: Any, t: jax.Array) -> Any:
            learner = self._learner(varied, shared, t)
            state = self.signature.whole_state(state)
            state, metrics = learner.step(state, jax.random.fold_in(key, t))
            finite = _all_finite(learner.model(state))
            return eqx.filter(state, eqx.is_array), dict(metrics), finite

        def epoch_start(varied: Any, key: jax.Array, state: Any, t: jax.Array) -> Any:
            learner = self._learner(varied, shared, t)
            key = jax.random.fold_in(jax.random.fold_in(key, EPOCH_START), t)
            return eqx.filter(learner.on_epoch_start(self.signature.whole_state(state), key), eqx.is_array)

        alone, period = self.width == 1, self.epoch_steps
        every = one if alone else jax.vmap(one, (0, 0, 0, None))
        every_start = epoch_start if alone else jax.vmap(epoch_start, (0, 0, 0, None))
        if alone:  # outside the loop: inside, large buffers would be copied in every step
            varied, keys, carry, sums = jax.tree.map(lambda x: x[0], (varied, keys, carry, sums))

        def going(loop: Any) -> Any:
            (_, step, _, halted), _ = loop
            return (jnp.min(step) < end) & ~jnp.any(halted)

        def step(loop: Any) -> Any:
            (state, step, diverged_at, _), sums = loop
            t = jnp.min(step)  # one for the batch, so that a condition on it is a real branch
            if period:
                due = partial(every_start, varied, keys)
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

    def _kept(self, purpose: str, name: Hashable, make: Callable[[], Any]) -> Any:
        """Return a function made before for the same purpose and name, or make it."""
        if (purpose, name) not in self._made:
            self._made[purpose, name] = make()
        return self._made[purpose, name]

    def _learner(self, varied: Any, shared: Any, t: Any) -> Learner:
        """Return a member's learner as it is at a step."""
        del t
        return eqx.combine(varied, shared, self._fixed)

    def _signature(self, learner: Learner) -> Signature:
        return Signature(learner)

    @cached_property
    def _begin(self) -> Any:
        def one(learner: Learner, key: jax.Array) -> Any:
            state = learner.init(jax.random.fold_in(key, INIT))
            finite = _all_finite(learner.model(state))
            return (
                eqx.filter(state, eqx.is_array),
                jnp.int32(0),
                jnp.where(finite, -1, 0).astype(jnp.int32),
                ~finite,
            )

        return self._over_members("evaluate_training_part", one)

    def _over_members(self, name: str, one: Callable[..., Any], extra: int = 0) -> Callable[..., Any]:
        """Compile `one(learner, key, *stacked, *extra)` over all members, in batches."""

        def share(varied: Any, shared: Any, keys: Any, *rest: Any) -> Any:
            stacked, common = rest[: len(rest) - extra], rest[len(rest) - extra :]

            def member(varied: Any, key: Any, *own: Any) -> Any:
                return one(eqx.combine(varied, shared, self._fixed), key, *own, *common)

            return over_members(member, self.width)(varied, keys, *stacked)

        spec, whole = PartitionSpec(AXIS), PartitionSpec()

        def call(varied: Any, shared: Any, keys: Any, *rest: Any) -> Any:
            specs = (spec, whole, spec, *[spec] * (len(rest) - extra), *[whole] * extra)
            mesh = self._placement.mesh
            return jax.shard_map(share, mesh=mesh, in_specs=specs, out_specs=spec, check_vma=False)(
                varied, shared, keys, *rest
            )

        call.__name__ = name  # what `--verbose` and profiles call it
        return jax.jit(call)


def _all_finite(tree: Any) -> jax.Array:
    leaves = jax.tree.leaves(eqx.filter(tree, eqx.is_inexact_array))
    return jnp.all(jnp.stack([jnp.all(jnp.isfinite(x)) for x in leaves])) if leaves else jnp.bool(True)
