"""Group arrays: the state of a group as arrays with names, as checkpoints hold it."""

import hashlib
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from populace.engine.group_state import GroupState
from populace.engine.hosts import fetch
from populace.engine.programs.carry import Best, Carry


def prefix(group: int) -> str:
    """Return how the names of a group's arrays begin."""
    return f"group{group}-"


def described(arrays: dict[str, np.ndarray]) -> dict[str, list[Any]]:
    """Return type, shape and SHA-256 of each array."""
    return {name: [x.dtype.name, list(x.shape), checksum(x)] for name, x in arrays.items()}


def flat(group_state: GroupState, index: int) -> Iterator[tuple[str, np.ndarray]]:
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
            yield f"{prefix(index)}{part}-{i:04d}", fetch(leaf)[:count]


def load(group_state: GroupState, index: int, arrays: dict[str, np.ndarray]) -> None:
    """Put saved arrays into a group; its template says what shape and type they must have."""
    program = group_state.program
    carry, model = program.template(), program.model_template()
    members = len(group_state.group.members)
    source = np.minimum(np.arange(program.slots), members - 1)

    def fill(part: str, tree: Any) -> Any:
        leaves, structure = jax.tree.flatten(tree)
        found = []
        for i, leaf in enumerate(leaves):
            value = arrays[f"{prefix(index)}{part}-{i:04d}"][source]
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


def checksum(array: np.ndarray) -> str:
    """Return the SHA-256 of an array's bytes."""
    return hashlib.sha256(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data).hexdigest()
