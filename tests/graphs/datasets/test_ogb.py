"""OGB's layout on disk: node and graph sets, its splits, its scores, and files that do not fit."""

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from populace.core.errors import RunError, UsageError
from populace.core.population import sweep
from populace.graphs import Graph, GraphSet, ogb
from populace.graphs.data.formats.convert import to_scipy
from populace.graphs.datasets.ogb import score
from populace.graphs.learners.graph_classifier import GraphRegressor
from populace.graphs.learners.graph_learner import GraphLearner
from populace.graphs.learners.node_classifier import MultiLabelNodeClassifier
from populace.runs.recipe.parsing import parse
from populace.runs.training.launch import run_recipe, train


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The folder that POPULACE_DATA names, and an empty cache."""
    monkeypatch.setenv("POPULACE_DATA", str(tmp_path))
    monkeypatch.setenv("POPULACE_CACHE", str(tmp_path / "cache"))
    return tmp_path


def write(folder: Path, **files: str) -> None:
    for name, content in files.items():
        path = folder / (name.replace("__", "/").replace("_", "-") + ".csv.gz")
        path = Path(str(path).replace("sales-ranking", "sales_ranking"))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(content.encode()))


NODES: dict[str, str] = {
    "raw__edge": "0,1\n1,2\n3,0\n", "raw__num_node_list": "4\n", "raw__num_edge_list": "3\n",
    "raw__node_feat": "0.5,1\n1,2\n-1,3\n0,0\n", "raw__node_label": "2\n0\n1\n0\n",
    "split__time__train": "0\n3\n", "split__time__valid": "1\n", "split__time__test": "2\n",
}  # fmt: skip
GRAPHS: dict[str, str] = {
    "raw__edge": "0,1\n1,2\n1,0\n", "raw__num_node_list": "3\n2\n1\n", "raw__num_edge_list": "2\n1\n0\n",
    "raw__node_feat": "1,2\n3,4\n5,6\n7,8\n9,10\n11,12\n", "raw__graph_label": "0,\n1,1\n,0\n",
    "split__scaffold__train": "0\n1\n", "split__scaffold__valid": "", "split__scaffold__test": "2\n",
}  # fmt: skip


def test_a_node_set_has_edges_one_way_and_its_own_split(given: Path) -> None:
    write(given / "ogbn_arxiv", **NODES)
    found = ogb("ogbn-arxiv")
    graph = found.data
    assert isinstance(graph, Graph)
    np.testing.assert_array_equal(
        to_scipy(graph).toarray(), [[0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0], [1, 0, 0, 0]]
    )
    np.testing.assert_array_equal(graph.x, [[0.5, 1], [1, 2], [-1, 3], [0, 0]])
    assert (graph.y.tolist(), graph.directed, found.metric) == ([2, 0, 1, 0], True, "accuracy")
    assert [p.tolist() for p in (graph.train, graph.validation, graph.test)] == [[0, 3], [1], [2]]
    outputs = np.eye(3)[[2, 0, 0, 1]]
    assert [found.score(outputs, part) for part in ("train", "validation", "test")] == [0.5, 1.0, 0.0]


def test_edges_listed_once_go_both_ways_and_a_dashed_folder_is_welcome(given: Path) -> None:
    files = {name.replace("time", "sales_ranking"): text for name, text in NODES.items()}
    write(given / "ogbn-products", **files)
    graph = ogb("ogbn-products").data
    assert isinstance(graph, Graph)
    assert (graph.edges.count, graph.directed) == (6, False)


def test_nodes_without_features_have_those_of_their_edges(given: Path) -> None:
    files = {name.replace("time", "species"): text for name, text in NODES.items() if "feat" not in name}
    labels = "0,1\n1,1\n0,0\n1,0\n"
    write(given / "ogbn_proteins", **files | {"raw__edge_feat": "1,0\n3,4\n5,0\n", "raw__node_label": labels})
    found = ogb("ogbn-proteins")
    np.testing.assert_array_equal(found.data.x, [[3, 0], [2, 2], [3, 4], [5, 0]])
    assert (found.data.y.shape, found.metric) == ((4, 2), "roc_auc")
    outputs = np.array([[0.1, 0.3], [0, 0], [0, 0], [0.9, 0.5]])
    assert found.score(outputs, "train") == 0.5  # 1 of the first column, 0 of the second


def test_a_graph_set_keeps_gaps_in_its_labels(given: Path) -> None:
    write(given / "ogbg_molpcba", **GRAPHS)
    found = ogb("ogbg-molpcba")
    graphs = found.data
    assert isinstance(graphs, GraphSet)
    assert (graphs.graphs, found.metric, graphs.edges.count) == (3, "ap", 6)
    np.testing.assert_array_equal(graphs.y, np.array([[0, np.nan], [1, 1], [np.nan, 0]], np.float32))
    np.testing.assert_array_equal(graphs.graph(1).x, [[7, 8], [9, 10]])
    assert not graphs.graph(0).directed
    assert [p.tolist() for p in (graphs.train, graphs.validation, graphs.test)] == [[0, 1], [], [2]]


def test_categories_of_atoms_get_a_column_each_where_asked(given: Path) -> None:
    features = "5,0\n7,1\n5,1\n118,0\n5,0\n7,0\n"
    write(given / "ogbg_molpcba", **GRAPHS | {"raw__node_feat": features})
    graphs = ogb("ogbg-molpcba", one_hot=True).data
    wanted = [
        [1, 0, 0, 1, 0],
        [0, 1, 0, 0, 1],
        [1, 0, 0, 0, 1],
        [0, 0, 1, 1, 0],
        [1, 0, 0, 1, 0],
        [0, 1, 0, 1, 0],
    ]
    np.testing.assert_array_equal(graphs.x, wanted)
    assert graphs.x.dtype == np.uint8
    write(given / "ogbn_arxiv", **NODES)  # measurements stay
    np.testing.assert_array_equal(ogb("ogbn-arxiv", one_hot=True).data.x, ogb("ogbn-arxiv").data.x)


def test_features_of_bonds_go_both_ways_and_are_categories_where_asked(given: Path) -> None:
    write(given / "ogbg_molpcba", **GRAPHS | {"raw__edge_feat": "5,0\n7,1\n9,1\n"})
    graphs = ogb("ogbg-molpcba").data
    # By target, then source: 1 -> 0, 0 -> 1, 2 -> 1, 1 -> 2, and in the second graph 1 -> 0, 0 -> 1.
    np.testing.assert_array_equal(graphs.edge_features, [[5, 0], [5, 0], [7, 1], [7, 1], [9, 1], [9, 1]])
    found = ogb("ogbg-molpcba", one_hot=True).data.edge_features
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found[[0, 2, 5]], [[1, 0, 0, 1, 0], [0, 1, 0, 0, 1], [0, 0, 1, 0, 1]])
    write(given / "ogbg_molpcba", raw__edge_feat="5,0\n7,1\n")
    with pytest.raises(RunError, match=r"edge-feat.csv.gz' has 2 lines, expected 3"):
        ogb("ogbg-molpcba")


# -- trained by name, and judged by the benchmark's score ----------------------------------------------


def molecules(label: Callable[[int, int, int], str]) -> dict[str, str]:
    """Sixty chains and rings of 4 to 8 atoms of two kinds, and what is told of each."""
    draws = np.random.default_rng(0)
    atoms, edges, counts, labels = [], [], [], []
    for g in range(60):
        ring, n = g % 2, 4 + g % 5
        kinds = draws.integers(0, 2, n)
        atoms += [f"{6 + k},{draws.integers(0, 4)}" for k in kinds]
        edges.append([f"{i},{(i + 1) % n}" for i in range(n if ring else n - 1)])
        counts.append(n)
        labels.append(label(ring, int(kinds.sum()), g))
    files = {
        "raw__edge": "\n".join(e for some in edges for e in some),
        "raw__num_node_list": "\n".join(map(str, counts)),
        "raw__num_edge_list": "\n".join(str(len(some)) for some in edges),
        "raw__node_feat": "\n".join(atoms),
        "raw__graph_label": "\n".join(labels),
    }
    parts = {"train": range(36), "valid": range(36, 48), "test": range(48, 60)}
    files |= {f"split__scaffold__{name}": "\n".join(map(str, rows)) for name, rows in parts.items()}
    return {name: text + "\n" for name, text in files.items()}


@pytest.mark.parametrize(
    ("name", "kind", "label", "bar"),
    [
        (
            "ogbg-molpcba", "multi-label-graph-classifier",
            lambda ring, hetero, g: f"{ring},{'' if g % 3 == 0 else int(hetero > 2)}", 0.7,
        ),
        ("ogbg-molesol", "graph-regressor", lambda ring, hetero, g: str(3 * ring - 0.5 * hetero), 1.2),
    ],
)  # fmt: skip
def test_a_set_of_graphs_is_trained_by_its_name_and_scored_alike(
    name: str, kind: str, label: Callable[[int, int, int], str], bar: float, given: Path
) -> None:
    write(given / name.replace("-", "_"), **molecules(label))
    benchmark = ogb(name)
    metric = f'metric = "{benchmark.metric}"' if "multi" in kind else ""
    text = f'''
        name = "molecules"
        [run]
        steps = 300
        evaluate_every = 60
        seeds = 2
        strategy = "map"
        [learner]
        kind = "{kind}"
        dataset = "{name}"
        protocol = "split"
        batch_size = 12
        learning_rate = 0.03
        {metric}
        network = {{ kind = "gin", layers = 2, hidden_channels = 8, dropout = 0.1 }}
    '''
    run = run_recipe(parse(text, "test"), given / "run")
    best = run.results()["best"]
    assert run.results()["score"]["name"] == benchmark.metric
    member = run.best()
    assert isinstance(member.learner, GraphLearner)
    mine = next(m for m in run.results()["members"] if m["member"] == best["member"])["test"]["score"]
    said = member.predict_proba() if "multi" in kind else member.predict()
    assert mine == pytest.approx(benchmark.score(said, "test"), rel=1e-4)
    assert mine < bar if benchmark.metric == "rmse" else mine > bar


def test_a_set_of_nodes_is_trained_by_its_name_and_scored_alike(given: Path) -> None:
    draws = np.random.default_rng(1)
    n, group = 60, np.arange(60) % 2
    ends = draws.integers(0, n, (600, 2))
    ends = ends[(group[ends[:, 0]] == group[ends[:, 1]]) & (ends[:, 0] != ends[:, 1])]
    features = [f"{group[a] + 0.5 * draws.normal():.3f},{draws.normal():.3f}" for a, _ in ends]
    labels = [f"{g},{1 - g if i % 4 else ''}" for i, g in enumerate(group)]
    parts = {"train": range(20), "valid": range(20, 40), "test": range(40, 60)}
    files = {
        "raw__edge": "\n".join(f"{a},{b}" for a, b in ends), "raw__num_node_list": f"{n}",
        "raw__num_edge_list": f"{len(ends)}", "raw__edge_feat": "\n".join(features),
        "raw__node_label": "\n".join(labels),
        **{f"split__species__{name}": "\n".join(map(str, rows)) for name, rows in parts.items()},
    }  # fmt: skip
    write(given / "ogbn_proteins", **{name: text + "\n" for name, text in files.items()})
    learner = MultiLabelNodeClassifier(dataset="ogbn-proteins", learning_rate=0.03)
    run = train(sweep(learner, seeds=2), 60, evaluate_every=20, out=given / "run", strategy="map")
    best = run.best()
    mine = [m["test"]["score"] for m in run.results()["members"]][run.results()["best"]["member"]]
    wanted = ogb("ogbn-proteins").score(best.predict_proba(), "test")  # pyright: ignore
    assert mine == pytest.approx(wanted, rel=1e-4)
    assert mine > 0.9


def test_a_name_is_given_to_the_learner_it_is_for(given: Path) -> None:
    write(given / "ogbn_arxiv", **NODES)
    write(given / "ogbg_molpcba", **GRAPHS)
    with pytest.raises(UsageError, match="ogbn-arxiv is one graph; give its name to a learner of nodes"):
        GraphRegressor(dataset="ogbn-arxiv").load_data()
    with pytest.raises(UsageError, match="ogbg-molpcba is a set of graphs; use a graph learner"):
        MultiLabelNodeClassifier(dataset="ogbg-molpcba").load_data()


def refused(load: Callable[[], Any]) -> str:
    """Return the one line that a person gets."""
    with pytest.raises(RunError) as caught:
        load()
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"raw__edge": "0,1\n1,4\n3,0\n"}, "has edge [1.0, 4.0] in line 2, but the nodes of graph 0"),
        ({"raw__edge": "0,1\n1,2\n"}, "edge.csv.gz' has 2 lines, expected 3"),
        ({"raw__edge": "0,1\n1,b\n3,0\n"}, "edge.csv.gz' has in line 2 '1,b'"),
        ({"raw__node_feat": "1\n2\n3\n"}, "node-feat.csv.gz' has 3 lines, expected 4"),
        ({"raw__node_feat": "1\n2\nnan\n3\n"}, "files that do not match: features of node 2 contain NaN"),
        ({"raw__node_label": "1\n2\n3\n"}, "node-label.csv.gz' has 3 lines, expected 4"),
        ({"raw__node_label": "1\n2\n0.5\n3\n"}, "node-label.csv.gz' has no class in line 3"),
        ({"raw__num_node_list": "4\n1\n", "raw__num_edge_list": "3\n0\n"}, "has 2 graphs, expected 1"),
        ({"raw__num_edge_list": "3\n0\n"}, "lists the nodes of 1 graphs, but the edges of 2"),
        ({"split__time__test": "4\n"}, "contains files that do not match: test has node 4"),
        ({"split__time__test": "3\n"}, "contains files that do not match: node 3 is in train and in test"),
        ({"split__time__valid": "-1\n"}, "valid.csv.gz' has -1 in line 1"),
    ],
)  # fmt: skip
def test_files_that_do_not_fit_are_named(changed: dict[str, str], message: str, given: Path) -> None:
    write(given / "ogbn_arxiv", **NODES | changed)
    assert message in refused(lambda: ogb("ogbn-arxiv"))


@pytest.mark.parametrize("file", ["raw/edge", "raw/num-node-list", "raw/node-label", "split/time/test"])
def test_a_cut_or_missing_file_is_named(file: str, given: Path) -> None:
    write(given / "ogbn_arxiv", **NODES)
    path = given / "ogbn_arxiv" / f"{file}.csv.gz"
    path.write_bytes(path.read_bytes()[:-5])
    assert f"{path.name}' cannot be read" in refused(lambda: ogb("ogbn-arxiv"))
    path.unlink()
    assert path.name in refused(lambda: ogb("ogbn-arxiv"))


def test_what_is_not_there_is_refused(given: Path) -> None:
    assert f"ogbn-arxiv: no raw/edge.csv.gz in {given / 'ogbn_arxiv'}" in refused(lambda: ogb("ogbn-arxiv"))
    with pytest.raises(UsageError, match="did you mean 'ogbn-arxiv'"):
        ogb("ogbn-arxive")
    write(given / "ogbn_arxiv", **NODES)
    assert "has no split 'random'; there are: time" in refused(lambda: ogb("ogbn-arxiv", split="random"))
    with pytest.raises(UsageError, match="unknown part 'valid'; did you mean 'validation'"):
        ogb("ogbn-arxiv").score(np.zeros((4, 3)), "valid")


# -- scores, against their definitions -----------------------------------------------------------------

Y = np.array([[1, 0], [0, np.nan], [1, 0], [0, 0]])
F = np.array([[0.9, 0.1], [0.4, 0.2], [0.3, 0.3], [0.2, 0.4]])


def test_scores_are_those_of_their_definitions() -> None:
    pairs = [(F[i, 0] > F[j, 0]) for i in (0, 2) for j in (1, 3)]
    assert score("roc_auc", Y, F) == pytest.approx(np.mean(pairs))  # the second column has no 1
    assert score("ap", Y, F) == pytest.approx((1 / 1 + 2 / 3) / 2)
    columns = [np.sqrt(np.nanmean((Y[:, k] - F[:, k]) ** 2)) for k in (0, 1)]
    assert score("rmse", Y, F) == pytest.approx(np.mean(columns))
    assert score("accuracy", np.array([0, 1, 1, 1]), F) == pytest.approx(3 / 4 - 1 / 4)


def test_scores_that_cannot_be_are_refused() -> None:
    with pytest.raises(UsageError, match="roc_auc needs a column with both a 0 and a 1"):
        score("roc_auc", Y[:, 1:], F[:, 1:])
    with pytest.raises(UsageError, match=r"rmse: targets \(4, 2\) and outputs \(4, 1\) do not match"):
        score("rmse", Y, F[:, :1])
    with pytest.raises(UsageError, match="outputs of row 1 contain NaN"):
        score("rmse", Y, np.where(F == 0.4, np.nan, F))
    with pytest.raises(UsageError, match="unknown metric 'acc'"):
        score("acc", Y, F)
