"""Planetoid's files: what Cora is known to hold, nodes in no file, and pickles that cannot be trusted."""

import importlib
import os
import pickle
import shutil
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from populace.core.errors import RunError
from populace.data import download, safe_pickle
from populace.graphs import planetoid
from populace.graphs.data.formats.convert import to_scipy
from tests.places import SHARED_DATA

reader = importlib.import_module(
    "populace.graphs.datasets.planetoid"
)  # the name of the module is also the loader's

needs_cora = pytest.mark.skipif(not (SHARED_DATA / "cora").is_dir(), reason=f"no Cora in {SHARED_DATA}")
PARTS = ("x", "y", "tx", "ty", "allx", "ally", "graph", "test.index")


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty folder that POPULACE_DATA names, an empty cache, and no network."""
    folder = tmp_path / "given"
    folder.mkdir()
    monkeypatch.setenv("POPULACE_DATA", str(folder))
    monkeypatch.setenv("POPULACE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(download, "PAUSE", 0.0)
    monkeypatch.setattr(reader, "_MIRROR", "http://127.0.0.1:9/")
    return folder


def refused(load: Callable[[], Any]) -> str:
    """Return the one line that a person gets."""
    with pytest.raises(RunError) as caught:
        load()
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


# -- Cora ----------------------------------------------------------------------------------------------


@pytest.fixture
def cora(given: Path) -> Path:
    """A copy of the real files."""
    for part in PARTS:
        shutil.copyfile(SHARED_DATA / "cora" / f"ind.cora.{part}", given / f"ind.cora.{part}")
    return given


@needs_cora
def test_cora_is_as_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POPULACE_DATA", str(SHARED_DATA))
    graph = planetoid("cora")
    assert (graph.nodes, graph.edges.count, graph.directed, graph.weight) == (2708, 2 * 5278, False, None)
    assert graph.x.shape == (2708, 1433)
    assert len(graph.x.values) == 49216
    assert set(graph.x.values.tolist()) == {1.0}
    assert np.bincount(graph.y).tolist() == [351, 217, 418, 818, 426, 298, 180]
    assert np.bincount(graph.y[graph.train]).tolist() == [20] * 7
    assert (graph.train.tolist(), graph.validation.tolist()) == (list(range(140)), list(range(140, 640)))
    assert graph.test[:3].tolist() == [2692, 2532, 2050]
    assert sorted(graph.test.tolist()) == list(range(1708, 2708))
    assert not graph.y.flags.writeable
    assert planetoid("cora") is graph


@needs_cora
def test_cora_is_the_graph_of_the_raw_form(monkeypatch: pytest.MonkeyPatch) -> None:
    """The raw files number papers otherwise; degrees, words and classes must agree as a whole."""
    monkeypatch.setenv("POPULACE_DATA", str(SHARED_DATA))
    graph = planetoid("cora")
    rows = [line.split() for line in (SHARED_DATA / "cora" / "cora.content").read_text().splitlines()]
    number = {row[0]: i for i, row in enumerate(rows)}
    pairs = [line.split() for line in (SHARED_DATA / "cora" / "cora.cites").read_text().splitlines()]
    edges = {frozenset((number[a], number[b])) for a, b in pairs}
    degree = np.bincount([i for edge in edges for i in edge], minlength=2708)
    words = np.array([row[1:-1] for row in rows], int).sum(1)
    names = [row[-1].replace("_", " ") for row in rows]
    raw = sorted(zip(degree.tolist(), words.tolist(), names))
    ours = np.diff(graph.edges.rows.offsets), np.diff(graph.x.edges.rows.offsets)
    assert sorted(zip(*(a.tolist() for a in ours), [graph.names[c] for c in graph.y])) == raw


@needs_cora
def test_words_can_be_shares(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POPULACE_DATA", str(SHARED_DATA))
    sums = planetoid("cora", normalize_features=True).x.to_scipy().sum(axis=1)
    np.testing.assert_allclose(sums, 1, rtol=1e-5)


@needs_cora
@pytest.mark.parametrize("part", PARTS)
def test_a_damaged_or_shortened_file_of_cora_is_named(part: str, cora: Path) -> None:
    path = cora / f"ind.cora.{part}"
    whole = path.read_bytes()
    middle = len(whole) // 2
    for content in (whole[:middle], whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :], b""):
        path.write_bytes(content)
        reader._read.cache_clear()
        assert f"ind.cora.{part}' is not the published file of Cora" in refused(planetoid)


def test_offline_the_message_says_what_is_missing_and_where_to_put_it(given: Path) -> None:
    message = refused(planetoid)
    for part in PARTS:
        assert f"ind.cora.{part}" in message
    assert "set POPULACE_DATA to that folder" in message
    (given / "ind.pubmed.x").write_bytes(b"")
    message = refused(lambda: planetoid("pubmed"))
    assert message.startswith("pubmed: no ind.pubmed.y, ind.pubmed.tx, ")
    assert "ind.pubmed.x," not in message
    assert str(given / "pubmed") in message
    assert "https://github.com/kimiyoung/planetoid" in message


# -- a set like CiteSeer: nodes 8 and 10 are in no file ------------------------------------------------

ALL_X = np.eye(6, 5, dtype=np.float32)
TEST_X = np.array([[7, 0, 0, 0, 0], [0, 8, 0, 0, 0], [0, 0, 9, 0, 0]], np.float32)
ALL_Y = np.eye(3, dtype=np.int32)[[0, 1, 2, 0, 1, 2]]
TEST_Y = np.eye(3, dtype=np.int32)[[2, 1, 0]]
LISTS = {
    0: [1, 1, 2],
    1: [0],
    2: [0],
    7: [6, 9],
    6: [7],
    9: [7, 9],
    8: [],
    10: [],
    **{i: [] for i in (3, 4, 5)},
}


def write(folder: Path, **changed: Any) -> None:
    parts = {
        "x": sparse.csr_matrix(ALL_X[:3]), "y": ALL_Y[:3], "tx": sparse.csr_matrix(TEST_X), "ty": TEST_Y,
        "allx": sparse.csr_matrix(ALL_X), "ally": ALL_Y, "graph": defaultdict(list, LISTS),
        "test.index": "9\n6\n7\n",
    } | changed  # fmt: skip
    for part, value in parts.items():
        name = part.replace("_", ".")
        content = value.encode() if isinstance(value, str) else value
        if not isinstance(content, bytes):
            content = pickle.dumps(value, protocol=2)
        (folder / f"ind.mini.{name}").write_bytes(content)


def mini() -> Any:
    return planetoid("mini")


def test_documents_that_cite_themselves_are_kept_on_request(given: Path) -> None:
    """As document 9 does, and as 124 of CiteSeer's do."""
    write(given)
    loops = []
    for graph in (mini(), planetoid("mini", self_loops=True)):
        assert not graph.directed
        here = graph.edges.sources == graph.edges.targets
        loops.append((graph.edges.sources[here].tolist(), int((~here).sum())))
    assert loops == [([], 8), ([9], 8)]


def test_citations_that_are_listed_twice_are_kept_on_request(given: Path) -> None:
    """As document 0 lists document 1, and document 1 document 0 once only."""
    write(given)
    counts = []
    for kept in (False, True):
        edges = planetoid("mini", duplicates=kept, self_loops=kept).edges
        ends = list(zip(edges.sources.tolist(), edges.targets.tolist()))
        counts.append((len(ends), *(ends.count(pair) for pair in ((0, 1), (1, 0), (9, 9)))))
    assert counts == [(8, 1, 1, 0), (10, 2, 1, 1)]
    assert planetoid(
        "mini", duplicates=True
    ).directed  # it says 0 - 1 twice one way, once the other: no undirected edge


@needs_cora
def test_cora_lists_some_citations_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POPULACE_DATA", str(SHARED_DATA))
    assert planetoid("cora", duplicates=True).edges.count == 10858


def test_nodes_in_no_file_have_no_features_no_label_and_no_part(given: Path) -> None:
    write(given)
    graph = mini()
    assert (graph.nodes, graph.name, graph.names) == (11, "mini", ("0", "1", "2"))
    assert graph.y.tolist() == [0, 1, 2, 0, 1, 2, 1, 0, -1, 2, -1]
    x = graph.x.to_scipy().toarray()
    np.testing.assert_array_equal(x[:6], ALL_X)
    np.testing.assert_array_equal(x[[9, 6, 7]], TEST_X)
    assert not x[[8, 10]].any()
    assert (graph.train.tolist(), graph.validation.tolist(), graph.test.tolist()) == (
        [0, 1, 2],
        [3, 4, 5],
        [9, 6, 7],
    )
    expected = np.zeros((11, 11))
    for a, b in ((0, 1), (0, 2), (6, 7), (7, 9)):  # the self-loop of 9 is left out
        expected[a, b] = expected[b, a] = 1
    np.testing.assert_array_equal(to_scipy(graph).toarray(), expected)


def test_arrays_of_other_layouts_are_the_same(given: Path) -> None:
    write(given, ally=np.asfortranarray(ALL_Y).astype(">i8"), allx=ALL_X.astype(">f8"))
    graph = mini()
    assert graph.y[:6].tolist() == [0, 1, 2, 0, 1, 2]
    np.testing.assert_array_equal(graph.x.to_scipy().toarray()[:6], ALL_X)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"ally": ALL_Y[:5]}, "ind.mini.ally' has 5 rows, but 'ind.mini.allx' has 6"),
        ({"ty": TEST_Y[:2]}, "ind.mini.ty' has 2 rows, but 'ind.mini.tx' has 3"),
        ({"tx": sparse.csr_matrix(TEST_X[:, :4])}, "ind.mini.tx' has 4 columns, but 'ind.mini.allx' has 5"),
        ({"ty": TEST_Y[:, :2]}, "ind.mini.ty' has 2 columns, but 'ind.mini.ally' has 3"),
        ({"y": ALL_Y[1:3]}, "ind.mini.y' has 2 labels that are not the first of 'ind.mini.ally'"),
        ({"test.index": "9\n6\n"}, "ind.mini.test.index' has 2 lines, but 'tx' and 'ty' have 3 rows"),
        ({"test.index": "9\n6\n5\n"}, "ind.mini.test.index' has 5 in line 3, expected a node from 6"),
        ({"test.index": "9\n6\n6\n"}, "ind.mini.test.index' lists node 6 2 times"),
        ({"test.index": "9\nsix\n7\n"}, "ind.mini.test.index' has in line 2 'six'"),
        ({"graph": {0: [1], 1: [-2]}}, "ind.mini.graph' has an edge from 1 to -2"),
        ({"graph": {0: [99]}}, "ind.mini.graph' has an edge from 0 to 99, but nodes are numbered 0 to 9"),
        ({"graph": {0: "12"}}, "ind.mini.graph' has for node 0 no list"),
        ({"graph": [1, 2]}, "ind.mini.graph' holds list, expected a dictionary"),
        ({"allx": ALL_Y.tolist()}, "ind.mini.allx' holds list, expected a matrix"),
        ({"allx": np.full((6, 5), np.nan)}, "ind.mini.allx' holds an array, expected a matrix of numbers"),
        ({"ally": sparse.csr_matrix(ALL_X)}, "ind.mini.ally' holds a sparse matrix, expected an array"),
        ({"ally": np.array([["a"]] * 6)}, "ind.mini.ally' holds no array .an array of type 'U1'"),
        ({"x": b""}, "ind.mini.x' cannot be unpickled"),
    ],
)  # fmt: skip
def test_files_that_do_not_fit_are_named(changed: dict[str, Any], message: str, given: Path) -> None:
    write(given, **changed)
    found = refused(mini)
    assert message.replace(".an array", "(an array") in found
    assert str(given) in found


@pytest.mark.parametrize("part", [part for part in PARTS if part != "test.index"])
def test_a_file_cut_anywhere_is_refused_or_whole(part: str, given: Path) -> None:
    write(given)
    path = given / f"ind.mini.{part}"
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        assert f"ind.mini.{part}'" in refused(mini)


# -- pickles that must not be trusted ------------------------------------------------------------------


class Evil:
    def __init__(self, call: Any, *arguments: Any) -> None:
        self.what = (call, arguments)

    def __reduce__(self) -> Any:
        return self.what


MARK = "marked"
BAD = {
    "os.system": lambda mark: pickle.dumps(Evil(os.system, f"touch {mark}")),
    "eval": lambda mark: pickle.dumps(Evil(eval, f"open({str(mark)!r}, 'w')")),
    "inside a list": lambda mark: pickle.dumps({0: [1, Evil(os.system, f"touch {mark}")]}, protocol=2),
    "getattr": lambda mark: b"c__builtin__\ngetattr\n(c__builtin__\nlist\nS'__class__'\ntR.",
    "dotted name": lambda mark: b"\x80\x04\x8c\x08builtins\x8c\x0flist.__class__\x93.",
    "a name of NumPy that loads code": lambda mark: b"cnumpy\nload\n(S'x'\ntR.",
    "numpy.core.multiarray.scalar": lambda mark: b"cnumpy.core.multiarray\nscalar\n.",
    "state of a class": lambda mark: b"cnumpy\nndarray\n}S'__setstate__'\nc__builtin__\nlist\nsb.",
    "default from outside": lambda mark: b"ccollections\ndefaultdict\n(cos\nsystem\ntR.",
    "instance": lambda mark: f"(S'touch {mark}'\nios\nsystem\n.".encode(),
    "extension": lambda mark: b"\x80\x02\x82\x01.",
    "persistent": lambda mark: b"Psomething\n.",
    "other codec": lambda mark: b"c_codecs\nencode\n(S'x'\nS'zip'\ntR.",
}


@pytest.mark.parametrize("what", BAD)
@pytest.mark.parametrize("read", [safe_pickle.matrix, safe_pickle.array, safe_pickle.neighbors])
def test_a_pickle_that_asks_for_more_is_refused(what: str, read: Any, tmp_path: Path) -> None:
    path, mark = tmp_path / "file", tmp_path / MARK
    path.write_bytes(BAD[what](mark))
    message = refused(lambda: read(path))
    assert str(path) in message
    assert not mark.exists()


def test_the_refused_name_is_said(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(pickle.dumps(Evil(os.system, "true"), protocol=2))
    assert "it asks for posix.system, which is refused" in refused(lambda: safe_pickle.array(path))
    path.write_bytes(BAD["default from outside"](path))
    assert "it asks for os.system, which is refused" in refused(lambda: safe_pickle.neighbors(path))


def test_an_array_is_as_large_as_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "file"
    honest = pickle.dumps(np.ones((3, 4), np.float32), protocol=2)
    path.write_bytes(honest)
    np.testing.assert_array_equal(safe_pickle.array(path), np.ones((3, 4)))
    for wrong in (honest.replace(b"K\x03K\x04", b"K\x05K\x04"), honest.replace(b"\x04f4q", b"\x04O8q")):
        if wrong != honest:
            path.write_bytes(wrong)
            assert "holds no array" in refused(lambda: safe_pickle.array(path))
    assert honest.replace(b"K\x03K\x04", b"K\x05K\x04") != honest


def test_indices_outside_a_sparse_matrix_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "file"
    matrix = sparse.csr_matrix(np.eye(3, dtype=np.float32))
    for name, wrong in (
        ("indices", [0, 1, 9]),
        ("indices", [0, -1, 2]),
        ("indptr", [0, 2, 1, 3]),
        ("indptr", [0, 1, 2]),
    ):
        other = matrix.copy()
        setattr(other, name, np.array(wrong, np.int32))
        path.write_bytes(pickle.dumps(other, protocol=2))
        assert "entries outside a matrix of 3 x 3" in refused(lambda: safe_pickle.matrix(path))
