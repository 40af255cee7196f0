"""Intervention: puts a controller's decision into effect on the groups of an engine."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from populace.core.errors import UsageError
from populace.engine.controller import Decision
from populace.engine.group_state import GroupState

Place = tuple[GroupState, int]
"""A group, and the slot of a member in it."""


def apply(decision: Decision, find: Callable[[int], Place], step: int, diverged_at: np.ndarray) -> None:
    """Copy, change settings and stop, in that order; no window may be under way.

    Args:
        decision: what is to be done.
        find: member -> its group and slot.
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
    states = {to: _state_of(to, source, find) for to, source in decision.copy.items()}
    for member, state in states.items():
        group_state, slot = find(member)
        group_state.replace(slot, state, step)
    change_settings(decision.settings, find)
    for member in decision.stop_members:
        group_state, slot = find(member)
        group_state.stop(slot, step)


def change_settings(changed: Mapping[int, Mapping[str, float]], find: Callable[[int], Place]) -> None:
    """Give members new values of settings.

    Raises:
        UsageError: no such setting, or one that is not an argument of the compiled program.

    """
    for member, values in changed.items():
        group_state, slot = find(member)
        for path, value in values.items():
            group_state.program.change_setting(slot, path, value)


def _state_of(to: int, source: int, find: Callable[[int], Place]) -> Any:
    (target, _), (group_state, slot) = find(to), find(source)
    if target is not group_state and _shapes(target) != _shapes(group_state):
        raise UsageError(
            f"the controller copies member {source} over member {to}, whose state has another structure; "
            "copy between members that differ in `float` settings only"
        )
    return group_state.entry(slot)


def _shapes(group_state: GroupState) -> Any:
    leaves, tree = jax.tree.flatten(group_state.carry.state)
    return tree, [(x.shape[1:], x.dtype) for x in leaves]
