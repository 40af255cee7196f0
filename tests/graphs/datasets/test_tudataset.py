"""Sets of graphs in the format of the TUDatasets: MUTAG as known, and files that do not fit."""

import importlib
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from populace.core.errors import RunError
from populace.graphs import tudataset
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
    assert (graphs.graphs, sizes.sum(), graphs.edges.count) == (188, 3371, 7442)
    assert (sizes.min(), sizes.max(), round(sizes.mean(), 2)) == (10, 28, 17.93)
    assert (graphs.names, np.bincount(graphs.y).tolist()) == (("-1", "1"), [63, 125])
    assert (graphs.x.dtype, graphs.x.shape, graphs.classes) == (np.uint8, (3371, 7), 2)
    assert (graphs.x.sum(1) == 1).all()
    assert (graphs.edge_features.dtype, graphs.edge_features.shape) == (np.uint8, (7442, 4))
    assert (graphs.edge_features.sum(1) == 1).all()
    assert not graphs.x.flags.writeable
    assert graphs.graph(0).edges.count == graphs.edge_offsets[1]
    assert not graphs.graph(0).directed


@needs_mutag
def test_mutag_is_what_its_lines_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POPULACE_DATA", str(SHARED_DATA))
    folder = SHARED_DATA / "tudataset" / "MUTAG"
    graphs = tudataset("MUTAG")
    lines = (folder / "MUTAG_A.txt").read_text().splitlines()
    kinds = (folder / "MUTAG_edge_labels.txt").read_text().split()
    theirs = sorted((*(int(n) - 1 for n in line.split(",")), int(k)) for line, k in zip(lines, kinds))
    ours = zip(
        graphs.edges.sources.tolist(), graphs.edges.targets.tolist(), graphs.edge_features.argmax(1).tolist()
    )
    assert sorted(ours) == theirs
    labels = [int(line) for line in (folder / "MUTAG_node_labels.txt").read_text().split()]
    np.testing.assert_array_equal(graphs.x.argmax(1), labels)


@needs_mutag
def test_self_loops_and_repeated_edges_are_kept_on_request(mutag: Path) -> None:
    for part, more in (("A", "1, 1\n1, 2\n2, 1\n"), ("edge_labels", "3\n2\n2\n")):
        file = mutag / f"MUTAG_{part}.txt"
        file.write_text(more + file.read_text())
    counts = [tudataset("MUTAG", **which).edges.count for which in (
        {}, {"self_loops": True}, {"duplicates": True}, {"self_loops": True, "duplicates": True}
    )]  # fmt: skip
    assert counts == [7442, 7443, 7444, 7445]
    graphs = tudataset("MUTAG")
    ends = zip(graphs.edges.sources.tolist(), graphs.edges.targets.tolist())
    assert (
        dict(zip(ends, graphs.edge_features.argmax(1).tolist()))[0, 1] == 2
    )  # of repeated edges the first counts


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
        ("A", lambda s: s.replace("1, 2\n", "1, x\n", 1), "A.txt' has in line 2 '1, x'"),
        ("A", lambda s: s.replace("1, 2\n", "1, 4000\n", 1), "edge [1, 4000] in line 2, but nodes"),
        ("A", lambda s: s.replace("1, 2\n", "1, 2000\n", 1), "an edge between two graphs in line 2"),
        ("A", lambda s: s.replace("1, 2\n", "1, 2, 3\n", 1), "MUTAG_A.txt' has 3 columns in line 2"),
        ("A", lambda s: s[:-7], "MUTAG_"),
        ("A", lambda s: s.replace("1, 2\n", "1, 1.5\n", 1), "MUTAG_A.txt' has no integer in line 2"),
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
    )  # edges into each, 0 or 1
    assert (graphs.names, graphs.y.tolist()) == (("-3", "7"), [1, 0])
    assert graphs.graph(1).directed
    reader._read.cache_clear()
    write(tmp_path, node_labels="5\n9\n5\n5\n9\n", node_attributes="0.5, 1\n1.5, 2\n2, 3\n3, 4\n4, 5\n")
    x = tudataset("TINY").x
    np.testing.assert_array_equal(x[:2], [[1, 0, 0.5, 1], [0, 1, 1.5, 2]])
    assert x.dtype == np.float32
    reader._read.cache_clear()
    write(tmp_path, node_attributes="0.5\n1\n-1e300\n1\n1\n")
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # one line, and no warning of NumPy beside it
        said = refused(lambda: tudataset("TINY"))
    assert "TINY_node_attributes.txt' has NaN or infinity in line 3" in said
    write(tmp_path, node_attributes="0.5\n1\nnan\n1\n1\n")
    assert "TINY_node_attributes.txt' has NaN or infinity in line 3" in refused(lambda: tudataset("TINY"))


def test_labels_in_several_columns_and_attributes_of_edges(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As Cuneiform has them: each column is one-hot by itself."""
    monkeypatch.setenv("POPULACE_DATA", str(tmp_path))
    write(tmp_path, A="1,2\n2,1\n4,3\n", graph_indicator="1\n1\n2\n2\n2\n", graph_labels="7\n-3\n")
    write(tmp_path, node_labels="0, 5\n1, 5\n2, 5\n0, 7\n0, 6\n", edge_labels="0, 1\n0, 2\n3, 1\n")
    write(tmp_path, edge_attributes="0.5\n1.5\n2.5\n")
    graphs = tudataset("TINY")
    np.testing.assert_array_equal(
        graphs.x,
        [[1, 0, 0, 1, 0, 0], [0, 1, 0, 1, 0, 0], [0, 0, 1, 1, 0, 0], [1, 0, 0, 0, 0, 1], [1, 0, 0, 0, 1, 0]],
    )
    # By target, then source: 2 -> 1, 1 -> 2, 4 -> 3.
    np.testing.assert_array_equal(
        graphs.edge_features, [[1, 0, 0, 1, 1.5], [1, 0, 1, 0, 0.5], [0, 1, 1, 0, 2.5]]
    )
    reader._read.cache_clear()
    write(tmp_path, edge_labels="0, 1\n0\n3, 1\n")
    assert "TINY_edge_labels.txt' has 1 columns in line 2, 2 in the others" in refused(
        lambda: tudataset("TINY")
    )
    write(tmp_path, edge_labels="0, 1\n0, 1\n3, 1\n", edge_attributes="0.5\ninf\n2.5\n")
    assert "TINY_edge_attributes.txt' has NaN or infinity in line 2" in refused(lambda: tudataset("TINY"))


def test_several_labels_of_a_graph_and_its_attributes_are_targets(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("POPULACE_DATA", str(tmp_path))
    write(tmp_path, A="1,2\n2,1\n", graph_indicator="1\n1\n2\n", graph_labels="1, 0\n0, 1\n")
    graphs = tudataset("TINY")
    assert (graphs.classes, graphs.y.dtype, graphs.y.tolist()) == (0, np.float32, [[1, 0], [0, 1]])
    reader._read.cache_clear()
    (tmp_path / "TINY_graph_labels.txt").unlink()
    write(tmp_path, graph_attributes="0.25\n-1\n")
    assert tudataset("TINY").y.tolist() == [[0.25], [-1]]


def test_a_set_that_is_nowhere_says_where_to_put_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("POPULACE_DATA", str(tmp_path))
    monkeypatch.setenv("POPULACE_CACHE", str(tmp_path / "cache"))
    message = refused(lambda: tudataset("ENZYMES"))
    assert message.startswith(
        f"ENZYMES: no ENZYMES_A.txt in {tmp_path / 'ENZYMES'}, {tmp_path / 'tudataset'}"
    )
    assert "set POPULACE_DATA" in message
