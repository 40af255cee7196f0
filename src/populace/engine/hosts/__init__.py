"""Hosts: several processes that train one population together, each its own members.

Every process trains its share as a program of its own devices. What one of them knows and the others need,
the numbers of members and whether to stop, passes through JAX's coordination service as small messages; no
program of XLA waits for another process, so none can hang for one. With a single process nothing of it runs.
"""

from populace.engine.hosts.together import (
    any_of,
    barrier,
    count,
    fetch,
    from_writer,
    gathered,
    index,
    is_writer,
)

__all__ = ["any_of", "barrier", "count", "fetch", "from_writer", "gathered", "index", "is_writer"]
