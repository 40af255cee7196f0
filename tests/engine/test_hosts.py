"""Hosts: two processes that train together read the same arrays and agree, and one of them writes."""

import socket
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np

from populace.engine import hosts

TOGETHER = """
import sys
import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from populace.engine import hosts
from populace.engine.programs.slots import _entry

port, rank = sys.argv[1], int(sys.argv[2])
jax.config.update("jax_cpu_collectives_implementation", "gloo")
jax.distributed.initialize(f"localhost:{port}", num_processes=2, process_id=rank)
mesh = Mesh(np.asarray(jax.devices()), ("members",))
by_member = NamedSharding(mesh, PartitionSpec("members"))
values = np.arange(4 * len(jax.devices()), dtype=np.float32).reshape(-1, 2)
array = jax.device_put(values, by_member)
assert not array.is_fully_addressable
np.testing.assert_array_equal(hosts.fetch(array), values)
for slot in (0, len(values) - 1):  # one of them lies on the other host
    np.testing.assert_array_equal(_entry(array, slot), values[slot])
assert hosts.is_writer() == (rank == 0)
assert hosts.any_of(rank == 1) and hosts.any_of(True) and not hosts.any_of(False)
print("agreed")
"""


def test_two_processes_agree():
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = str(free.getsockname()[1])
    commands = [[sys.executable, "-c", TOGETHER, port, str(rank)] for rank in (0, 1)]
    both = [subprocess.Popen(c, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for c in commands]
    for process in both:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        assert out.endswith("agreed\n")


def test_one_process_is_the_writer_and_reads_copies():
    array = jnp.arange(3)
    found = hosts.fetch(array)
    found[0] = 7
    np.testing.assert_array_equal(array, [0, 1, 2])
    assert hosts.is_writer()
    assert (hosts.any_of(True), hosts.any_of(False)) == (True, False)
    assert jax.process_count() == 1
