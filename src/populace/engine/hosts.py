"""Hosts: what it takes that several processes may train one population together.

Every process runs the same program. An array may lie partly on devices of another process, so it is read by
`fetch` and never by NumPy directly. What one process alone knows (a signal, the time) becomes everybody's
by `any_of`. Files are written where `is_writer` says so, and nowhere else. All processes must call `fetch`
and `any_of` at the same point of the program; with a single process they cost nothing.
"""

from typing import Any

import jax
import numpy as np


def is_writer() -> bool:
    """Return whether this process is the one that writes the run folder."""
    return jax.process_index() == 0


def fetch(array: Any) -> np.ndarray:
    """Return a whole array on this host, as a copy: the parts on other hosts are gathered."""
    if isinstance(array, jax.Array) and not array.is_fully_addressable:
        from jax.experimental import multihost_utils

        array = multihost_utils.process_allgather(array, tiled=True)
    return np.array(array)


def any_of(flag: bool) -> bool:
    """Return whether any process says yes, the same answer to all."""
    if jax.process_count() == 1:
        return flag
    from jax.experimental import multihost_utils

    return bool(np.any(multihost_utils.process_allgather(np.asarray(flag))))
