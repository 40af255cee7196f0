"""Fed programs: the compiled functions of a structure of learners whose batches the host reads.

A window of training takes the examples of some steps as an argument, each once for all members of a device,
and for every member where in them its batches are. So a step gathers its batch as it would from all examples,
and XLA, which rounds by how a program is written, rounds as it would there. An evaluation takes the examples
of some batches at a time, and returns the sums of each.
"""

from collections.abc import Callable
from functools import cached_property
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import PartitionSpec

from populace.core.mean import Mean
from populace.core.model.signature import Signature
from populace.core.random import root_key
from populace.data.feed import Fed
from populace.engine.batching import in_turn
from populace.engine.placement import AXIS
from populace.engine.programs.carry import Carry, Progress
from populace.engine.programs.compiled import EPOCH_START, Compiled

ForPart = Callable[[Any], Any]
"""Learner -> the learner that evaluates on the part in question."""


class Batches(NamedTuple):
    """Batches of some steps for every slot.

    Attributes:
        x: examples, (devices * capacity, ...), as many for each device.
        places: where among those of its device the examples of a slot are, (slots, (steps + 1) * B): batch
            after batch, and one at the end that is not used, for XLA would see through a single one.
        rows: which examples these are, (slots, (steps + 1) * B).

    """

    x: Any
    places: Any
    rows: Any


class FedCompiled(Compiled):
    """The compiled functions of one structure; see `populace.engine.programs.compiled_cache.compiled_for`."""

    expected: Batches | None = None
    """Shapes of the batches that training will begin with."""

    @cached_property
    def orders(self) -> Callable[..., jax.Array]:
        """(varied, shared, keys, step) -> the rows of the epoch that begins at a step, per slot."""

        def one(learner: Any, key: jax.Array, step: Any) -> Any:
            return learner.new_order(jax.random.fold_in(jax.random.fold_in(key, EPOCH_START), step))

        return self._over_members("orders", one, extra=1)

    def advance_fed(
        self, members: Any, carry: Carry, sums: Any, end: int, first: int, batches: Batches, validation: Any
    ) -> tuple[Carry, Progress]:
        """Train until `end` steps are completed, or until a batch of members halts.

        Args:
            members: what varies, what is shared, and the keys.
            carry: is consumed.
            sums: metrics so far, to be added to.
            end: steps, none of which the batches may lack.
            first: step of the first entry of the batches.
            batches: examples.
            validation: sums of the validation part, where an epoch begins; None where nobody asks.

        """
        advance = self._ready(members, batches, validation)
        return advance(*members, carry, sums, np.int32(end), np.int32(first), batches, validation)

    def zeros(self) -> dict[str, Mean]:
        """Return the sums of no step, on the host."""
        return {name: Mean(0, 0) for name in self.signature.metrics}

    def batch_sums(self, name: Any, for_part: ForPart, examples: int, *, whole: bool) -> Callable[..., Any]:
        """Return (varied, shared, keys, models, x, places, rows, first) -> sums of each batch.

        x is (some, ...), places and rows are (batches, B); the sums are (slots, batches, ...).

        Args:
            name: of the part.
            for_part: learner -> the learner that evaluates on it.
            examples: how many the part has; what goes beyond it, from example `first` on, weighs nothing.
            whole: whether all its batches are there. Then XLA knows the weights, as it does where the
                learner evaluates by itself: in a loop of one batch, which it unrolls, it rounds by them.

        """

        def one(learner: Any, key: jax.Array, model: Any, x: Any, places: Any, rows: Any, first: Any) -> Any:
            del key
            learner, model = for_part(learner), self.signature.whole_model(model)
            left = examples if whole else examples - first
            weight = (jnp.arange(places.size) < left).astype(jnp.float32).reshape(places.shape)

            def batch(given: Any) -> Any:
                places, rows, weight = given
                return learner.with_fed(Fed(rows, x[places])).evaluate_batch(model, weight)

            return lax.map(batch, (places, rows, weight))

        return self._kept(
            "batch_sums", (name, whole), lambda: self._over_members("evaluate_batch", one, extra=4)
        )

    def metrics_of(self, name: Any, for_part: ForPart) -> Callable[..., dict[str, Mean]]:
        """Return (varied, shared, keys, sums) -> the metrics of the sums of all batches."""

        def one(learner: Any, key: jax.Array, sums: Any) -> Any:
            del key
            return dict(for_part(learner).evaluate_sums(sums))

        return self._kept("metrics", name, lambda: self._over_members("metrics", one))

    @cached_property
    def validation_like(self) -> dict[str, Any] | None:
        """Shapes of a member's sums of the validation part; None where nobody asks for them."""
        return _validation_like(self.signature.learner)

    def _ready_to_advance(self, *members: Any) -> Any:
        return self._ready(members, self.expected, self._stacked(self.validation_like, members[2].shape[0]))

    def _ready(self, members: Any, batches: Any, validation: Any) -> Any:
        def lowered() -> Any:
            slots, spot = members[2].shape[0], np.int32(0)
            sums = self._stacked(jax.eval_shape(self.zeros), slots)
            like = (self.template(*members), sums, spot, spot, batches, validation)
            return self._advance.lower(*members, *like).compile()

        return self._kept("advance", tuple(x.shape for x in batches), lowered)

    def _stacked(self, tree: Any, slots: int) -> Any:
        sharding = self._placement.by_member
        return jax.tree.map(
            lambda s: jax.ShapeDtypeStruct((slots, *s.shape), s.dtype, sharding=sharding), tree
        )

    @cached_property
    def _advance(self) -> Any:
        spec, whole = PartitionSpec(AXIS), PartitionSpec()
        program = jax.shard_map(
            self._advance_fed_share,
            mesh=self._placement.mesh,
            in_specs=(spec, whole, spec, spec, spec, whole, whole, spec, spec),
            out_specs=spec,
            check_vma=False,
        )
        return jax.jit(program, donate_argnums=3)

    def _advance_fed_share(
        self, varied: Any, shared: Any, keys: Any, carry: Carry, sums: Any, end: Any, first: Any,
        batches: Batches, validation: Any,
    ) -> Any:  # fmt: skip
        common = (shared, batches.x, first)

        def batch(read: Any, whole: Any) -> Any:
            (own, key), (carry, sums) = read, whole
            return self._advance_batch(own, common, key, carry, sums, end)

        own = (varied, batches.places, batches.rows, validation)
        carry, sums = in_turn(batch, (own, keys), (carry, sums), self.width)
        return carry, Progress.of(carry, sums)

    def _learner(self, varied: Any, shared: Any, t: Any) -> Any:
        (own, places, rows, validation), (common, x, first) = varied, shared
        learner: Any = eqx.combine(own, common, self._fixed)
        size = learner.batch_size
        places, rows = (lax.dynamic_slice_in_dim(a, (t - first) * size, size) for a in (places, rows))
        return learner.with_fed(Fed(rows, x[places], validation))

    def _signature(self, learner: Any) -> Signature:
        """Return the signature of a learner that has been brought a batch."""
        fed = _batch_like(learner, learner.batch_size)
        validation = _validation_like(learner)
        validation = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), validation)
        return Signature(learner.with_fed(fed._replace(validation=validation)))


def _batch_like(learner: Any, size: int) -> Fed:
    files = learner.feed
    return Fed(np.zeros(size, np.int32), np.zeros((size, *files.shape[1:]), files.dtype))


def _validation_like(learner: Any) -> dict[str, Any] | None:
    """Return the shapes of a member's sums of the validation part, computing nothing."""
    if not learner.validates_epochs:
        return None
    for_part = learner.for_validation()
    rows = len(for_part.evaluated_part()[1])
    size = min(for_part.evaluation_batch_size, rows)

    def sums(key: jax.Array) -> Any:
        model = for_part.model(for_part.init(key))
        sums = for_part.with_fed(_batch_like(for_part, size)).evaluate_batch(model, jnp.zeros(size))
        return {name: jnp.zeros((-(-rows // size), *v.shape), v.dtype) for name, v in sums.items()}

    return eqx.filter_eval_shape(sums, root_key(0))
