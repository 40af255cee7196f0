"""Compiled cache: a second population of the same structure finds the programs of the first one here."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Any

import equinox as eqx
import jax

from populace.core.learner import Learner
from populace.engine.placement import Placement
from populace.engine.programs.compiled import Compiled

_KEPT = 32
_known: OrderedDict[tuple[Hashable, ...], Compiled] = OrderedDict()


def compiled_for(
    learner: Learner,
    one: Learner,
    varied: Any,
    placement: Placement,
    width: int,
    slots: int,
    kind: type[Compiled] | None = None,
) -> Compiled:
    """Return the compiled functions of a structure, from this process's memory where it has been met.

    Args:
        learner: the stacked learner of a group.
        one: the learner of any one of its members.
        varied: marks the leaves of `learner` that have a member axis.
        placement: the devices.
        width: members per batch.
        slots: members, rounded up to whole batches on every device.
        kind: another way to compile, for learners whose batches the host reads.

    """
    kind = kind or Compiled
    marks = tuple(bool(x) for x in jax.tree.leaves(varied))
    alike = (kind, *_structure(one), one.epoch_steps, jax.config.read("jax_enable_x64"))
    key = (alike, *_structure(learner), marks, placement, width, slots)
    try:
        found = _known.pop(key, None)
        # Other widths and numbers of members are other programs of a learner that has been traced already.
        signature = next((known.signature for other, known in _known.items() if other[0] == alike), None)
    except TypeError:  # a part of the learner that cannot be compared: compiled each time
        return kind(one, placement, width)
    if found is None:
        found = kind(one, placement, width, signature)
    _known[key] = found  # the latest use comes last
    while len(_known) > _KEPT:
        _known.popitem(last=False)
    return found


def forget() -> None:
    """Drop all compiled functions of this process, as `jax.clear_caches()` drops JAX's."""
    _known.clear()


def _structure(learner: Learner) -> tuple[Hashable, ...]:
    leaves, tree = jax.tree.flatten(learner)
    return tree, tuple(_shape_of(x) for x in leaves)


def _shape_of(leaf: Any) -> Any:
    """Return what tells a leaf of a learner from others that would be compiled otherwise."""
    if not eqx.is_array(leaf):
        return leaf
    return leaf.shape, leaf.dtype, bool(getattr(leaf, "weak_type", False))
