"""Placement: which members lie on which devices.

Members are independent, so a program over many of them is the same program on every device, each
with its share. On CPU one device per core: small programs do not use a second core by themselves.
"""

import os
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from populace.core.errors import UsageError
from populace.core.files import cache_dir
from populace.engine.hosts import joining

AXIS = "members"


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def setup(devices: int | None = None, *, compilation_cache: bool = True) -> None:
    """Set JAX up for populations on CPU; the command line does this, a library must not by itself.

    Call it once, before the first JAX computation. One CPU device per core lets the members of a
    population use all of them; the compilation cache makes the second start of a program quick. Processes
    that Slurm, Kubernetes or Open MPI started together meet here, and train one population; each has two
    devices at the least, so that the bits do not depend on how many processes there are.

    Args:
        devices: CPU devices to offer; by default one per core.
        compilation_cache: keep compiled programs in `cache_dir()` between processes.

    Raises:
        UsageError: JAX has already started its backend, `devices` is below 1, or the processes that were
            started together differ.
        RunError: they did not meet.

    """
    together = joining.join()
    wanted = max(cores(), 2 if together else 1) if devices is None else devices
    if wanted < 1:
        raise UsageError(f"devices must be at least 1, got {wanted}")
    try:
        jax.config.update("jax_num_cpu_devices", wanted)
    except RuntimeError:
        if len(jax.local_devices()) != wanted and jax.default_backend() == "cpu":
            raise UsageError("call populace.setup() before the first JAX computation") from None
    if compilation_cache:
        jax.config.update("jax_compilation_cache_dir", str(cache_dir() / "programs"))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)


@dataclass(frozen=True)
class Placement:
    """Devices in a row, each holding an equal share of the slots of a group.

    A group of n members has `slots(n)` of them: n rounded up to whole shares. Surplus slots repeat
    the last member and are dropped on the way out.
    """

    devices: tuple[Any, ...]

    @property
    def mesh(self) -> Mesh:
        """The mesh with the one axis `members`."""
        return Mesh(np.asarray(self.devices), (AXIS,))

    @property
    def memory(self) -> int:
        """Bytes of memory that the devices have in all; those on CPU share the machine's."""
        stats = [device.memory_stats() for device in self.devices]
        if all(stats):
            return sum(each["bytes_limit"] for each in stats)
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 2**63

    @property
    def by_member(self) -> NamedSharding:
        """Sharding of arrays whose first axis is the slots."""
        return NamedSharding(self.mesh, PartitionSpec(AXIS))

    @property
    def everywhere(self) -> NamedSharding:
        """Sharding of what all members share."""
        return NamedSharding(self.mesh, PartitionSpec())

    def slots(self, members: int, width: int = 1) -> int:
        """Return how many slots `members` take, in batches of `width` on every device."""
        share = len(self.devices) * width
        return -(-members // share) * share


def place(members: int, limit: int = 0, *, alike: bool = False) -> Placement:
    """Return the placement of that many members on this process's devices.

    Args:
        members: never more devices than these are used, but for `alike`.
        limit: use at most so many devices; 0 means all.
        alike: use two devices for a single member, where there are two. XLA orders the operations of a
            program for one device otherwise than those of a program for several, and rounds otherwise
            with them; so a member by itself takes a second device, whose result nobody reads, to be
            bit-identical to itself in a population that is spread over devices.

    """
    devices = jax.local_devices()
    wanted = max(members, 2) if alike else members
    count = min(len(devices), wanted, limit or len(devices))
    return Placement(tuple(devices[:count]))
