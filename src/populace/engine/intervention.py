"""Intervention: puts a controller's decision into effect on the groups of an engine."""

from collections.abc import Mapping
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from populace.core.errors import UsageError
from populace.engine.controller import Decision
from populace.engine.group_state import GroupState
from populace.engine.hosts import together


class Places(Protocol):
    """Where members are: what this module knows of an engine."""

    def find(self, member: int) -> tuple[GroupState, int]:
        """Return the group and slot of a member that this process trains."""
        ...

    def is_here(self, member: int) -> bool:
        """Return whether this process trains a member."""
        ...


def apply(decision: Decision, places: Places, step: int, diverged_at: np.ndarray) -> None:
    """Copy, change settings and stop, in that order; no window may be under way.

    Args:
        decision: what is to be done.
        places: where members are, in this process or another.
        step: iterations completed.
        diverged_at: the step at which each member diverged, or -1.

    Raises:
        UsageError: a copy between different structures, or of a member that has diverged, or a setting
            that cannot be changed.

    """
    for source in decision.copy.values():
        if diverged_at[source] >= 0:
            raise UsageError(
                f"the controller copies member {source}, which diverged at {diverged_at[source]}"
            )
    states = _states(decision.copy, places)
    for member, state in states.items():
        group_state, slot = places.find(member)
        group_state.replace(slot, state, step)
    change_settings(decision.settings, places)
    for member in filter(places.is_here, decision.stop_members):
        group_state, slot = places.find(member)
        group_state.stop(slot, step)


def change_settings(changed: Mapping[int, Mapping[str, float]], places: Places) -> None:
    """Give members new values of settings.

    Raises:
        UsageError: no such setting, or one that is not an argument of the compiled program.

    """
    for member, values in changed.items():
        if not places.is_here(member):
            continue
        group_state, slot = places.find(member)
        for path, value in values.items():
            group_state.program.change_setting(slot, path, value)


def _states(copies: Mapping[int, int], places: Places) -> dict[int, Any]:
    """Return the states that members of this process take over; those of other processes travel."""
    found, given = {}, {}
    for to, source in copies.items():
        if not places.is_here(source):
            continue
        group_state, slot = places.find(source)
        state = group_state.entry(slot)
        if places.is_here(to):
            found[to] = _checked(to, source, state, places)
        else:
            given |= {f"{to}/{i}": _plain(leaf) for i, leaf in enumerate(jax.tree.leaves(state))}
    if not copies or together.count() == 1:
        return found
    travelled = {name: x for part in together.arrays(given, "states of members") for name, x in part.items()}
    for to, source in copies.items():
        if places.is_here(to) and not places.is_here(source):
            group_state, _ = places.find(to)
            own, structure = jax.tree.flatten(group_state.carry.state)
            leaves: Any = [travelled[f"{to}/{i}"] for i in range(len(own)) if f"{to}/{i}" in travelled]
            if len(own) == len(leaves) and f"{to}/{len(own)}" not in travelled:
                leaves = structure.unflatten([_like(x, leaf) for x, leaf in zip(leaves, own)])
            found[to] = _checked(to, source, leaves, places)
    return found


def _plain(leaf: Any) -> np.ndarray:
    return np.asarray(jax.random.key_data(leaf) if _is_key(leaf) else leaf)


def _like(x: np.ndarray, leaf: jax.Array) -> jax.Array:
    if _is_key(leaf):
        return jax.random.wrap_key_data(jnp.asarray(x), impl=jax.random.key_impl(leaf))
    return jnp.asarray(x, x.dtype)


def _is_key(leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _checked(to: int, source: int, state: Any, places: Places) -> Any:
    """Return the state of a member, if it is one that another member can have too."""
    group_state, _ = places.find(to)
    leaves, tree = jax.tree.flatten(state)
    own, like = jax.tree.flatten(group_state.carry.state)
    if tree != like or [(x.shape, x.dtype) for x in leaves] != [(x.shape[1:], x.dtype) for x in own]:
        raise UsageError(
            f"the controller copies member {source} over member {to}, whose state has another structure; "
            "copy between members that differ in `float` settings only"
        )
    return state
