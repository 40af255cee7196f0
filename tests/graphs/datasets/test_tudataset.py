"""Sets of graphs: MUTAG as known, files that do not fit, and batches against graphs joined one by one."""

import importlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import sparse

from populace.core.errors import RunError, UsageError
from populace.graphs import Graph, GraphSet, tudataset
from populace.graphs.data.batch import BatchShape
from populace.graphs.data.convert import from_edges
from tests.places import SHARED_DATA

reader = importlib.import_module(
    "populace.graphs.datasets.tudataset"
)  # the name of the module is also the loader's
needs_mutag = pytest.mark.skipif(
    not (SHARED_DATA / "tudataset/MUTAG").is_dir(), reason=f"no MUTAG in {SHARED_DATA}"
)


def refused(load: Callable[[], Any]) -> str:
    """Return the one line that a person gets."""
    with pytest.raises(RunError) as caught:
        load()
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def some(count: int = 6, seed: int = 0) -> GraphSet:
    """Graphs of 1 to `count` nodes, with duplicates, loops and graphs without arcs, and 3 features."""
    rng = np.random.default_rng(seed)
    graphs = [
        Graph.of(*rng.integers(0, n, (2, 2 * n - 2)), n, x=rng.normal(size=(n, 3)))
        for n in range(1, count + 1)
    ]
    return GraphSet.of(graphs, np.arange(count) % 2, names=("even", "odd"), name="some")


def offsets_of(sorted_ids: np.ndarray, count: int) -> np.ndarray:
    """How many are below each number, by a loop."""
    return np.array([sum(1 for i in sorted_ids if i < bound) for bound in range(count + 1)])


# -- MUTAG ---------------------------------------------------------------------------------------------


@pytest.fixture
def mutag(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A copy of the real files, and nothing else."""
    folder = tmp_path / "MUTAG"
    folder.mkdir()
    for file in (SHARED_DATA / "tudataset/MUTAG").glob("MUTAG_*.txt"):
        shutil.copyfile(file, folder / file.name)
    monkeypatch.setenv("POPULACE_DATA", str(tmp_path))
    monkeypatch.setenv("POPULACE_CACHE", str(tmp_path / "cache"))
    return folder


@needs_mutag
def test_mutag_is_as_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POPULACE_DATA", str(SHARED_DATA))
    graphs = tudataset("MUTAG")
    sizes = np.diff(graphs.node_offsets)
    assert (graphs.graphs, sizes.sum(), graphs.arcs.count) == (188, 3371, 7442)
    assert (sizes.min(), sizes.max(), round(sizes.mean(), 2)) == (10, 28, 17.93)
    assert (graphs.names, np.bincount(graphs.y).tolist()) == (("-1", "1"), [63, 125])
    assert (graphs.x.dtype, graphs.x.shape, graphs.classes) == (np.uint8, (3371, 7), 2)
    assert (graphs.x.sum(1) == 1).all()
    assert set(graphs.arc_labels.tolist()) == {0, 1, 2, 3}
    assert not graphs.x.flags.writeable
    assert graphs.graph(0).arcs.count == graphs.arc_offsets[1]
    assert not graphs.graph(0).directed


@needs_mutag
def test_mutag_is_what_its_lines_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POPULACE_DATA", str(SHARED_DATA))
    folder = SHARED_DATA / "tudataset" / "MUTAG"
    graphs = tudataset("MUTAG")
    lines = (folder / "MUTAG_A.txt").read_text().splitlines()
    kinds = (folder / "MUTAG_edge_labels.txt").read_text().split()
    theirs = sorted((*(int(n) - 1 for n in line.split(",")), int(k)) for line, k in zip(lines, kinds))
    ours = zip(graphs.arcs.sources.tolist(), graphs.arcs.targets.tolist(), graphs.arc_labels.tolist())
    assert sorted(ours) == theirs
    labels = [int(line) for line in (folder / "MUTAG_node_labels.txt").read_text().split()]
    np.testing.assert_array_equal(graphs.x.argmax(1), labels)


@needs_mutag
def test_folds_of_mutag_are_even_and_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POPULACE_DATA", str(SHARED_DATA))
    graphs = tudataset("MUTAG")
    folds = graphs.folds(10, seed=0)
    np.testing.assert_array_equal(np.sort(np.concatenate([test for _, test in folds])), np.arange(188))
    for train, test in folds:
        assert len(train) + len(test) == 188
        assert len(test) in (18, 19)
        assert 6 <= (graphs.y[test] == 0).sum() <= 7


@needs_mutag
@pytest.mark.parametrize(
    ("part", "change", "message"),
    [
        ("A", lambda s: s.replace("1, 2\n", "1, x\n", 1), "MUTAG_A.txt' has in line 2 '1, x'"),
        ("A", lambda s: s.replace("1, 2\n", "1, 4000\n", 1), "A.txt' has in line 2 [1, 4000], nodes go"),
        ("A", lambda s: s.replace("1, 2\n", "1, 2000\n", 1), "A.txt' has in line 2 an edge between two"),
        ("A", lambda s: s.replace("1, 2\n", "1, 2, 3\n", 1), "MUTAG_A.txt' has 3 columns in line 2"),
        ("A", lambda s: s[:-7], "MUTAG_"),
        ("A", lambda s: s.replace("1, 2\n", "1, 1.5\n", 1), "MUTAG_A.txt' has in line 2 no whole number"),
        ("graph_indicator", lambda s: "2\n" + s[2:], "MUTAG_graph_indicator.txt' has graph 1 in line 2"),
        ("graph_indicator", lambda s: s + "189\n", "has graph 189 in line 3372, expected 1 to 188"),
        ("graph_indicator", lambda s: "", "graph_indicator.txt' has no lines"),
        ("graph_labels", lambda s: s[: len(s) // 2], "MUTAG_graph_indicator.txt' has graph "),
        ("node_labels", lambda s: s[2:], "MUTAG_node_labels.txt' has 3,370 lines, expected 3,371"),
        ("edge_labels", lambda s: s + "1\n", "MUTAG_edge_labels.txt' has 7,443 lines, expected 7,442"),
    ],
)  # fmt: skip
def test_a_damaged_file_is_named_with_its_line(part: str, change: Any, message: str, mutag: Path) -> None:
    path = mutag / f"MUTAG_{part}.txt"
    path.write_text(change(path.read_text()))
    assert message in refused(lambda: tudataset("MUTAG"))


@needs_mutag
@pytest.mark.parametrize("part", ["A", "graph_indicator", "graph_labels"])
def test_a_missing_file_is_named(part: str, mutag: Path) -> None:
    (mutag / f"MUTAG_{part}.txt").unlink()
    message = refused(lambda: tudataset("MUTAG"))
    assert f"MUTAG_{part}.txt" in message
    assert str(mutag) in message


def write(folder: Path, **parts: str) -> None:
    for part, content in parts.items():
        (folder / f"TINY_{part}.txt").write_text(content)


def test_attributes_labels_and_degrees_are_features(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("POPULACE_DATA", str(tmp_path))
    write(tmp_path, A="1,2\n2,1\n4,3\n", graph_indicator="1\n1\n2\n2\n2\n", graph_labels="7\n-3\n")
    graphs = tudataset("TINY")
    np.testing.assert_array_equal(
        graphs.x, [[0, 1], [0, 1], [0, 1], [1, 0], [1, 0]]
    )  # arcs into each, 0 or 1
    assert (graphs.names, graphs.y.tolist()) == (("-3", "7"), [1, 0])
    assert graphs.graph(1).directed
    reader._read.cache_clear()
    write(tmp_path, node_labels="5\n9\n5\n5\n9\n", node_attributes="0.5, 1\n1.5, 2\n2, 3\n3, 4\n4, 5\n")
    x = tudataset("TINY").x
    np.testing.assert_array_equal(x[:2], [[1, 0, 0.5, 1], [0, 1, 1.5, 2]])
    assert x.dtype == np.float32
    reader._read.cache_clear()
    write(tmp_path, node_attributes="0.5\n1\nnan\n1\n1\n")
    assert "TINY_node_attributes.txt' has in line 3 NaN" in refused(lambda: tudataset("TINY"))


def test_a_set_that_is_nowhere_says_where_to_put_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("POPULACE_DATA", str(tmp_path))
    monkeypatch.setenv("POPULACE_CACHE", str(tmp_path / "cache"))
    message = refused(lambda: tudataset("ENZYMES"))
    assert message.startswith(
        f"ENZYMES: no ENZYMES_A.txt in {tmp_path / 'ENZYMES'}, {tmp_path / 'tudataset'}"
    )
    assert "set POPULACE_DATA" in message


# -- one's own -----------------------------------------------------------------------------------------


def test_graphs_are_what_they_were() -> None:
    rng = np.random.default_rng(0)
    graphs = [
        from_edges(rng.integers(0, n, (n, 2)), nodes=n, x=sparse.csr_array(np.eye(n, 4))) for n in (3, 1, 4)
    ]
    joined = GraphSet.of(graphs, [0.5, 1.5, 2.5])
    assert joined.y.shape == (3, 1)
    for i, graph in enumerate(graphs):
        again = joined.graph(i)
        np.testing.assert_array_equal(again.arcs.sources, graph.arcs.sources)
        np.testing.assert_array_equal(again.arcs.targets, graph.arcs.targets)
        np.testing.assert_array_equal(again.x, graph.x.to_scipy().toarray())
        assert not again.directed


def test_sets_that_cannot_be_are_refused() -> None:
    two = [Graph.of([0], [1], x=np.ones((2, n))) for n in (1, 2)]
    with pytest.raises(
        UsageError, match="needs graphs with features of one width, got features of widths 1, 2"
    ):
        GraphSet.of(two, [0, 1])
    with pytest.raises(UsageError, match="got no graphs"):
        GraphSet.of([], [])
    with pytest.raises(
        UsageError, match=r"labels have shape \(1,\), expected \(2,\): a row for each of 2 graphs"
    ):
        GraphSet.of([two[0], two[0]], [0])
    with pytest.raises(UsageError, match="graph 1 has weights"):
        GraphSet.of([Graph.of([0], [1]), Graph.of([0], [1], weight=[2.0])], [0, 1])
    with pytest.raises(UsageError, match="arc 1 goes from graph 0 to graph 1"):
        GraphSet.joined([0, 1], [0, 2], [0, 2, 3], [0, 1])
    with pytest.raises(UsageError, match="graph 1 has no label"):
        GraphSet.of([two[0], two[0]], [0, -1])
    with pytest.raises(UsageError, match="graph 2 is in train and in test"):
        some().with_split([0, 2], [1], [2])


# -- batches -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("indices", [[0, 1, 2], [5, 4, 3], [2, -1, 5], [-1, -1, -1], [-1, 0, 3]])
@pytest.mark.parametrize("compiled", [True, False])
def test_a_batch_is_the_graphs_side_by_side(indices: list[int], compiled: bool) -> None:
    graphs = some()
    room = graphs.room(3)
    assert room == BatchShape(3, 4 + 5 + 6 + 1, 6 + 8 + 10)
    call = eqx.filter_jit(lambda g, i: g.batch(i, room)) if compiled else (lambda g, i: g.batch(i, room))
    found = call(graphs, jnp.array(indices))
    chosen = [graphs.graph(i) if i >= 0 else Graph.of([], [], 0, x=np.zeros((0, 3))) for i in indices]
    sizes = [g.nodes for g in chosen]
    nodes, arcs, last = sum(sizes), sum(g.arcs.count for g in chosen), room.nodes - 1
    starts = np.cumsum([0, *sizes])
    sources, targets = (
        np.concatenate(
            [*(getattr(g.arcs, e) + s for g, s in zip(chosen, starts)), np.full(room.arcs - arcs, last)]
        )
        for e in ("sources", "targets")
    )
    np.testing.assert_array_equal(found.arcs.sources, sources)
    np.testing.assert_array_equal(found.arcs.targets, targets)
    np.testing.assert_array_equal(found.arcs.rows.columns, sources)
    np.testing.assert_array_equal(found.arcs.rows.offsets, offsets_of(targets, room.nodes))
    np.testing.assert_array_equal(found.arcs.back.offsets, offsets_of(np.sort(sources), room.nodes))
    order = np.asarray(found.arcs.back.order)
    np.testing.assert_array_equal(np.sort(order), np.arange(room.arcs))
    np.testing.assert_array_equal(sources[order], np.sort(sources))
    np.testing.assert_array_equal(found.arcs.back.columns, targets[order])
    np.testing.assert_array_equal(found.x[:nodes], np.concatenate([g.x for g in chosen]))
    assert not np.asarray(found.x[nodes:]).any()
    np.testing.assert_array_equal(found.graph[:nodes], np.repeat(np.arange(3), sizes))
    assert (np.asarray(found.graph[nodes:]) == 3).all()
    assert (found.node_mask.sum(), found.arc_mask.sum()) == (nodes, arcs)
    np.testing.assert_array_equal(found.sizes, sizes)
    np.testing.assert_array_equal(found.present, np.array(indices) >= 0)
    np.testing.assert_array_equal(found.y, [graphs.y[i] if i >= 0 else 0 for i in indices])


def test_batches_over_members_are_those_of_a_loop() -> None:
    graphs = some()
    room = graphs.room(2)
    indices = jnp.array([[0, 5], [3, 2], [4, -1]])
    together = jax.vmap(lambda i: graphs.batch(i, room))(indices)
    for m in range(3):
        jax.tree.map(
            lambda a, b, m=m: np.testing.assert_array_equal(a[m], b), together, graphs.batch(indices[m], room)
        )


@pytest.mark.parametrize("how", ["sum", "mean", "max"])
def test_readouts_are_those_of_a_loop(how: str) -> None:
    graphs = some()
    batch = graphs.batch(jnp.array([3, -1, 0, 5]), graphs.room(4))
    h = np.random.default_rng(1).normal(size=(len(batch.graph), 2)).astype(np.float32) - 5
    expected = [
        getattr(h[np.asarray(batch.graph) == b], how)(0) if b != 1 else np.zeros(2) for b in range(4)
    ]  # fmt: skip
    np.testing.assert_allclose(batch.readout(jnp.asarray(h), how), expected, rtol=1e-5)
    gradient = jax.grad(lambda h: (batch.readout(h, how) ** 2).sum())(jnp.asarray(h))
    assert np.isfinite(gradient).all()
    assert not np.asarray(gradient)[np.asarray(~batch.node_mask)].any()


def test_graphs_that_do_not_fit_are_nan_not_cut() -> None:
    graphs = some()
    assert np.isnan(graphs.batch(jnp.array([5, 5]), graphs.room(2)).x).all()
    assert np.isfinite(graphs.batch(jnp.array([5, 5]), graphs.room(2, distinct=False)).x).all()
    with pytest.raises(UsageError, match="a batch of some has 1 to 6 graphs, got 7"):
        graphs.room(7)
    with pytest.raises(UsageError, match="unknown readout 'median'"):
        graphs.batch(jnp.array([0]), graphs.room(1)).readout(jnp.zeros((7, 1)), "median")
