"""A graph in parts equals the whole: forward and gradient, on 1, 2, 3 and 8 devices."""

import os
import subprocess
import sys

import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.graphs.data.graph import Graph
from populace.graphs.data.partition import Partition
from populace.graphs.datasets.karate import karate

# One process for all numbers of parts: what takes long is its start.
PROGRAM = """
import jax, jax.numpy as jnp, numpy as np
jax.config.update("jax_num_cpu_devices", 8)
from populace.graphs.data.graph import Graph
from populace.graphs.data.partition import Partition
from populace.nn.graph.aggregate import aggregate

for seed, (nodes, edges) in enumerate([(40, 200), (9, 0), (23, 300), (64, 64)]):
    draws = np.random.default_rng(seed)
    s, t = draws.integers(0, nodes, (2, edges))
    if edges == 300:
        t[:250] = 4  # one node with most of the edges
    graph = Graph.of(s, t, nodes, weight=draws.normal(size=edges).astype(np.float32))
    x, v = draws.normal(size=(2, nodes, 5)).astype(np.float32)
    two = lambda f: jax.grad(lambda x: jnp.vdot(jnp.tanh(f(jnp.tanh(f(x)))), v))
    whole = lambda x: aggregate(graph.edges, x, "sum", jnp.asarray(graph.weight))
    wanted, slope = jax.device_get(jax.jit(lambda x: (whole(x), two(whole)(x)))(x))
    for parts in (1, 2, 3, 8):
        cut = Partition.of(graph, parts)
        apart = lambda x: cut.joined(cut.aggregate(cut.divided(x), cut.mesh()))
        program = jax.jit(lambda x: (cut.joined(cut.divided(x)), apart(x), two(apart)(x)))
        same, found, gradient = jax.device_get(program(x))
        case = f"{nodes} nodes and {edges} edges in {parts} parts"
        np.testing.assert_allclose(same, x, err_msg=case)
        np.testing.assert_allclose(found, wanted, atol=1e-5, err_msg=case)
        np.testing.assert_allclose(gradient, slope, atol=1e-4, err_msg=case)
        print("equal:", case)
"""


def test_parts_on_devices_equal_the_whole():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        capture_output=True, text=True, check=False, timeout=300,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("equal:") == 16


def test_parts_are_balanced_and_every_node_is_in_one():
    draws = np.random.default_rng(0)
    graph = Graph.of(*draws.integers(0, 1000, (2, 20_000)), 1000)
    cut = Partition.of(graph, 7)
    nodes = np.sort(cut.place[cut.place < 1000])
    assert np.array_equal(nodes, np.arange(1000))
    edges = (cut.weight > 0).sum(1)
    assert edges.sum() == 20_000
    assert edges.max() < 1.1 * edges.mean()


def test_the_volume_is_what_parts_need_of_each_other():
    graph = karate()
    cut = Partition.of(graph, 3)
    bounds = [cut.place[p][cut.place[p] < 34] for p in range(3)]
    expected = []
    for own in bounds:
        into = np.isin(graph.edges.targets, own)
        heard = np.unique(graph.edges.sources[into])
        expected.append(len(np.setdiff1d(heard, own)))
    assert cut.volume.halo == tuple(expected)
    assert cut.volume.sent == 3 * 2 * cut.send.shape[2]
    assert cut.volume.bytes(16) == cut.volume.sent * 64
    assert f"need {sum(expected)} rows of other parts" in str(cut.volume)


def test_a_part_needs_a_node():
    with pytest.raises(UsageError, match="karate has 34 nodes; parts must be 1 to 34, got 35"):
        Partition.of(karate(), 35)
