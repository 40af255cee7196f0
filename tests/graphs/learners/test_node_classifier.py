"""The node classifier: known answers, splits, protocols, its invariants, and what it refuses."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.core.population import sweep
from populace.engine.training_loop import Engine
from populace.graphs.data.features import SparseFeatures
from populace.graphs.data.formats import convert
from populace.graphs.data.graph import Graph
from populace.graphs.data.node_names import NodeNames
from populace.graphs.datasets.karate import karate
from populace.graphs.datasets.ogb import score
from populace.graphs.learners.node_classifier import MultiLabelNodeClassifier, NodeClassifier, NodeRegressor
from populace.graphs.models.node_network import drop
from populace.graphs.models.node_networks import APPNP, GAT, GCN, GIN, SAGE, SGC
from populace.graphs.plots import explain, layer_activations
from populace.optim.early_stopping import Patience, Window
from tests import harness

PLANS = [
    GCN(), SGC(), SAGE(), SAGE(how="max"), GIN(), APPNP(hidden_sizes=(16,)), GAT(hidden_sizes=(4,), heads=2),
    GAT(hidden_sizes=(4,), heads=2, second=True),
]  # fmt: skip


@pytest.mark.parametrize("plan", PLANS, ids=lambda p: f"{p.kind}{'-max' * (getattr(p, 'how', '') == 'max')}")
def test_two_cliques_are_told_apart(plan):
    # Two cliques and one bridge, one labeled node in each: whoever listens to neighbors knows the rest.
    graph = cliques()
    population = sweep(NodeClassifier.of(graph, network=plan, learning_rate=0.03), seeds=3)
    engine = harness.only_trained(population, 120)
    group_state = engine.group_states[0]
    found = group_state.program.test(group_state.program.models(group_state.state()), 1, 0)
    accuracy = np.asarray(found["accuracy"].value)[:3]
    assert (np.asarray(found["accuracy"].weight)[:3] == 12).all()
    assert np.median(accuracy) >= 0.9, accuracy


def test_invariants(tmp_path):
    plan = GCN(hidden_sizes=(8,))
    learner = NodeClassifier(network=plan, early_stopping=Patience(epochs=6, watch="loss-or-score"))
    harness.check_learner(learner, {"learning_rate": [0.03, 0.01]}, 20, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [MultiLabelNodeClassifier, NodeRegressor])
def test_invariants_of_targets(kind, tmp_path):
    graph = targets().with_split([0, 1, 12, 13], [2, 4, 10, 11], [5, 6, 7, 8])
    early_stopping = Patience(epochs=6, watch="loss-or-score")
    learner = kind.of(graph, network=GCN(hidden_sizes=(4,)), early_stopping=early_stopping)
    harness.check_learner(learner, {"learning_rate": [0.03, 0.01]}, 20, tmp_path)


@pytest.mark.parametrize(
    ("kind", "metric", "bar"), [(MultiLabelNodeClassifier, "roc_auc", 0.95), (NodeRegressor, "rmse", 0.2)]
)
def test_targets_with_gaps_are_learned_and_scored(kind, metric, bar):
    graph = targets()
    learner = kind.of(graph, network=GCN(hidden_sizes=(8,), dropout=0.0), learning_rate=0.03, l2=0.0)
    engine = harness.only_trained(sweep(learner, seeds=3), 150)
    group_state = engine.group_states[0]
    models = group_state.program.models(group_state.state())
    found = group_state.program.test(models, 1, 0)[metric].value
    for slot in range(3):
        model = group_state.program.signature.whole_model(group_state.program.take(models, slot))
        said = learner.predict_proba(model) if kind.has_probabilities else learner.predict(model)
        np.testing.assert_allclose(
            found[slot], score(metric, graph.y[graph.test], said[graph.test]), rtol=1e-4
        )
    assert found.max() < bar if learner.mode == "min" else found.min() > bar


@pytest.mark.parametrize("kind", [MultiLabelNodeClassifier, NodeRegressor])
def test_splits_of_targets_are_drawn_from_what_is_known(kind):
    graph = targets()
    y = graph.y.copy()
    y[[2, 9]] = np.nan
    graph = graph.with_split(None).with_labels(y)
    learner = kind.of(graph, split="random", train_nodes=5, validation_nodes=3, test_nodes=0)
    parts = np.asarray(Engine(sweep(learner, seeds=3), "vmap").group_states[0].carry.state.model.part.value)[
        :3
    ]
    assert (parts[:, [2, 9]] == 0).all()
    assert [[np.sum(part == i) for i in (1, 2, 3)] for part in parts] == [[5, 3, 4]] * 3
    with pytest.raises(UsageError, match="cliques has targets instead of classes; set split = random"):
        kind.of(graph, split="per-class").check()


def test_numbers_of_nodes_are_shown_against_their_targets():
    learner = NodeRegressor.of(targets())
    shown = learner.visualize(begun(learner), jax.random.key(0))
    assert set(shown) == {"predictions"}
    assert "test" in shown["predictions"].caption


def test_sparse_and_dense_features_train_alike():
    draws = np.random.default_rng(0)
    x = draws.uniform(0.5, 1, (14, 6)) * (draws.random((14, 6)) < 0.4)
    import scipy.sparse

    dense = cliques().with_features(x.astype(np.float32))
    sparse = dense.with_features(scipy.sparse.csr_array(x))
    assert isinstance(sparse.x, SparseFeatures)
    ends = []
    for graph in (dense, sparse):
        learner = NodeClassifier.of(graph, network=GCN(dropout=0.0))
        ends.append(harness.states(harness.trained(sweep(learner, seeds=2), 30)))
    for member in ends[0]:
        for a, b in zip(ends[0][member], ends[1][member]):
            np.testing.assert_allclose(a, b, rtol=2e-3, atol=2e-4)


def test_dropout_of_sparse_features_touches_only_what_is_there():
    import scipy.sparse

    x = SparseFeatures.of(scipy.sparse.random_array((50, 40), density=0.2, rng=np.random.default_rng(0)))
    thin = eqx.filter_jit(drop)(x, np.float32(0.25), jax.random.key(0))
    kept = np.asarray(thin.values) != 0
    assert 0.65 < kept.mean() < 0.85
    np.testing.assert_allclose(np.asarray(thin.values)[kept], x.values[kept] / 0.75, rtol=1e-6)


@pytest.mark.parametrize("split", ["random", "per-class"])
def test_every_seed_draws_a_split_of_its_own(split):
    per = 4 if split == "per-class" else 8
    learner = NodeClassifier(split=split, train_nodes=per, validation_nodes=6, test_nodes=0)
    population = sweep(learner, seeds=4)
    parts = np.asarray(harness.only_trained(population, 2).group_states[0].carry.state.model.part.value)[:4]
    graph = karate()
    for part in parts:
        assert [np.sum(part == i) for i in (1, 2, 3)] == [8, 6, 20]
        if split == "per-class":
            assert (np.bincount(graph.y[part == 1]) == 4).all()
    assert not np.array_equal(parts[0], parts[1])


def test_nodes_without_a_label_are_in_no_part():
    graph = cliques()
    y = graph.y.copy()
    y[[3, 9]] = -1
    graph = graph.with_split(None).with_labels(y)
    learner = NodeClassifier.of(graph, split="random", train_nodes=4, validation_nodes=2, test_nodes=0)
    parts = np.asarray(Engine(sweep(learner, seeds=5), "vmap").group_states[0].carry.state.model.part.value)
    assert (parts[:, [3, 9]] == 0).all()
    assert (np.sum(parts == 3, axis=1) == 6).all()


RULES = [Window(epochs=3), Patience(epochs=3, watch="loss-or-score")]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.kind)
def test_a_member_that_stopped_stays_as_it_is(rule):
    # A learning rate that is far too large makes validation worse soon.
    learner = NodeClassifier(learning_rate=1.0, early_stopping=rule)
    population = sweep(learner, seeds=4)
    engine = harness.only_trained(population, 60, "map")
    early = jax.tree.map(np.array, engine.group_states[0].carry.state)
    harness.train(engine, 80, evaluate_every=0, evaluate_last=False)
    late = jax.tree.map(np.asarray, engine.group_states[0].carry.state)
    stopped = early.early_stopping.stopped_at[:4]
    assert (stopped > 0).any()
    for member in np.flatnonzero(stopped > 0):
        assert int(early.count[member]) == stopped[member]
        for a, b in zip(jax.tree.leaves(early), jax.tree.leaves(late)):
            np.testing.assert_array_equal(a[member], b[member])


def test_what_mattered_to_a_node_is_what_it_can_hear():
    # A path 0 - 1 - 2 - 3 - 4: two layers carry features over two edges, no further.
    s = [0, 1, 1, 2, 2, 3, 3, 4]
    t = [1, 0, 2, 1, 3, 2, 4, 3]
    graph = Graph.of(s, t, 5, x=np.eye(5, dtype=np.float32), y=[0, 0, 0, 1, 1], train=[0, 4], directed=False)
    for plan in (GCN(), GAT(hidden_sizes=(4,), heads=2)):
        learner = NodeClassifier.of(graph, network=plan)
        network = begun(learner, 1).network
        found = explain.influence(learner.graph, network, 0)
        assert (found[:3] > 0).all()
        np.testing.assert_array_equal(found[3:], 0)
    share = explain.attention(learner.graph, network)
    sums = np.bincount(learner.graph.edges.targets, share)
    np.testing.assert_allclose(sums, 1, atol=1e-5)


def test_an_explanation_is_of_the_graph_as_the_network_takes_it():
    """Of a linear network it is known: node j adds `(A^2)_ij x_j W_c` to output c of node i."""
    graph = cliques()
    learner = NodeClassifier.of(graph, network=SGC())
    model = begun(learner)
    a = convert.to_scipy(graph.normalized("symmetric")).toarray().T
    weight = np.asarray(model.network.layers[0].weight)
    chosen = int((a @ a @ weight)[2].argmax())
    for given in (None, graph, learner.graph):  # prepared once, whoever gives it
        found = learner.explain(model, 2, given)
        assert found.output == chosen
        np.testing.assert_allclose(found.nodes, np.abs((a @ a)[2] * weight[:, chosen]), atol=1e-6)
        assert found.edges.shape == (learner.graph.edges.count,)
    other = learner.explain(model, 2, output=1 - chosen)
    np.testing.assert_allclose(other.nodes, np.abs((a @ a)[2] * weight[:, 1 - chosen]), atol=1e-6)
    refused = r"cliques is as it was given, .*; learner.explain\(model, node\) pre"
    for call in (explain.influence, explain.explained, layer_activations.steps):
        with pytest.raises(UsageError, match=refused):
            call(graph, model.network, 2)
    with pytest.raises(UsageError, match=refused):
        explain.attention(graph, model.network)
    with pytest.raises(
        UsageError, match=r"is normalized as 'mean', but the network takes normalized\('symmetric'\)"
    ):
        explain.influence(graph.normalized("mean"), model.network, 2)
    for index, output, words in ((14, None, "there is no node 14"), (0, 2, "there is no output 2")):
        with pytest.raises(UsageError, match=words):
            learner.explain(model, index, output=output)


def test_names_of_nodes_are_kept_to_the_predictions():
    names = [f"node {i}" for i in range(14)]
    graph = dataclasses.replace(cliques(), node_names=NodeNames(names), names=("left", "node"))
    learner = NodeClassifier.of(graph, network=SGC())
    model = begun(learner)
    table = learner.prediction_table(model)
    said = learner.predict_proba(model)
    assert table.column_names == ["node", "prediction", "p(left)", "p(node)"]
    assert table["node"].to_pylist() == names
    assert table["prediction"].to_pylist() == [("left", "node")[i] for i in said.argmax(1)]
    np.testing.assert_array_equal(table["p(left)"], said[:, 0])
    assert learner.explain(model, "node 2").output == learner.explain(model, 2).output
    assert learner.prediction_table(model, cliques())["node"].to_pylist() == list(range(14))


def test_a_graph_is_prepared_for_every_network_of_a_sweep():
    graph = cliques()
    networks = [SAGE(hidden_sizes=(4,)), GCN(hidden_sizes=(4,)), GCN(hidden_sizes=(5,))]
    population = sweep(NodeClassifier.of(graph), {"network": networks})
    learners = [population.learner_of(i) for i in range(3)]
    assert [one.graph.normalization for one in learners] == ["none", "symmetric", "symmetric"]
    assert learners[0].graph.weight is None
    assert population.learner_of(0).graph is learners[0].graph
    wanted = graph.normalized("symmetric")
    np.testing.assert_array_equal(learners[2].graph.weight, wanted.weight)
    with pytest.raises(
        UsageError, match=r"cliques is as it was given, .*; NodeClassifier.of\(graph, ...\) pre"
    ):
        NodeClassifier(graph=graph).check()


def test_it_shows_pictures():
    learner = NodeClassifier().load_data()
    shown = learner.visualize(begun(learner), jax.random.key(0))
    assert set(shown) == {"confusion", "neighbors", "graph", "convolution"}
    assert all(picture.image.ndim == 3 and picture.caption for picture in shown.values())
    assert shown["confusion"].caption.startswith("Confusion matrix on the test part")


FIRST = [(p, {"gin": "feature 0", "appnp": ""}.get(p.kind, "edges into the node")) for p in PLANS]
FIRST += [
    (GAT(hidden_sizes=(), last_heads=3), "edges into the node"),
    (APPNP(hidden_sizes=()), "edges into the node"),
]


@pytest.mark.parametrize(("plan", "first"), FIRST)
def test_the_steps_drawn_are_those_of_the_first_layer(plan, first):
    graph = dataclasses.replace(karate(), weight=None).normalized(plan.normalization)
    # A bias that is not zero, as after training.
    built = eqx.filter_jit(plan.build)(34, 5, key=jax.random.key(0))
    network = jax.tree.map(lambda w: jnp.asarray(np.asarray(w) + np.float32(0.1)), built)
    layer, x = network.layers[0], jnp.asarray(graph.x)
    run = eqx.filter_jit(layer)
    found = layer_activations.steps(graph, network, x)
    assert (found.titles[0] if found else "") == first
    if not found:
        return  # the first layer of APPNP's MLP does not listen to other nodes
    before, middle, after = found.values
    weight = () if plan.kind == "gat" else (graph.weight,)
    np.testing.assert_allclose(after, np.asarray(run(x, graph.edges, *weight))[:, 0], rtol=1e-5)
    if plan.kind == "gin":
        np.testing.assert_array_equal(before, np.eye(34)[0])
        around = convert.to_scipy(graph).toarray()[0]
        np.testing.assert_allclose(middle, around + (1 + np.asarray(layer.eps)) * np.eye(34)[0], rtol=1e-5)
        return
    np.testing.assert_array_equal(before, np.diff(graph.edges.rows.offsets))
    # A node that hears nobody else shows what is its own.
    alone = convert.from_edges([] if plan.kind == "sage" else [(i, i) for i in range(34)], nodes=34).edges
    bias = 0 if plan.kind == "appnp" else np.asarray(run(np.zeros_like(x), alone))
    np.testing.assert_allclose(middle, (np.asarray(run(x, alone)) - bias)[:, 0], atol=1e-5)


def test_layers_without_aggregation_are_not_drawn_and_without_a_test_part_another_is_judged():
    graph = karate().with_split([0, 33], [1, 2])
    learner = NodeClassifier.of(graph, network=APPNP(hidden_sizes=(4,)))
    shown = learner.visualize(begun(learner), jax.random.key(0))
    assert "convolution" not in shown
    assert shown["confusion"].caption.startswith("Confusion matrix on the validation part")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"split": "random", "train_nodes": 300}, "karate has 34 labeled nodes, but the split needs 1800"),
        ({"split": "per-class", "train_nodes": 20}, "class 0 of karate has 17 nodes, fewer than train_nodes"),
        ({"evaluation_split": "exam"}, "evaluation_split must be train, validation, test, got 'exam'"),
    ],
)
def test_what_does_not_fit_is_named(change, words):
    with pytest.raises(UsageError, match=words):
        NodeClassifier(**change).load_data().check()


@pytest.mark.parametrize(
    ("graph", "words"),
    [
        (lambda: cliques().with_features(None), "has no features; give it some"),
        (lambda: cliques().with_split(None).with_labels(None), "has no classes of nodes"),
        (lambda: cliques().with_split(None), "has no split; give it one with with_split"),
        (lambda: cliques().with_split([0, 7]).with_labels(np.zeros(14, int)), "has only one class"),
        (lambda: targets(), "has no classes of nodes; .* for numbers NodeRegressor"),
    ],
)
def test_a_graph_that_does_not_do_is_refused(graph, words):
    with pytest.raises(UsageError, match=words):
        NodeClassifier.of(graph()).check()


def test_targets_that_do_not_do_are_refused():
    with pytest.raises(UsageError, match="cliques has no targets of nodes; give it floats"):
        NodeRegressor.of(cliques()).check()
    with pytest.raises(UsageError, match="cliques has no labels of yes or no; give it floats"):
        MultiLabelNodeClassifier.of(cliques()).check()
    y = targets().y.copy()
    y[1:13] = 1
    with pytest.raises(UsageError, match="part 'test' of cliques has no property with a yes and a no"):
        MultiLabelNodeClassifier.of(targets().with_labels(y)).check()


def begun(learner, seed=0):
    """Return the model before the first step, made by one program."""
    return eqx.filter_jit(learner.init)(jax.random.key(seed)).model


def targets() -> Graph:
    """The cliques, with two numbers of each node that are 0 or 1; some are not known."""
    graph = cliques()
    y = np.stack([graph.y, 1 - graph.y], 1).astype(np.float32)
    y[3, 0] = y[9, 1] = np.nan
    return graph.with_labels(y)


def cliques() -> Graph:
    """Two cliques of seven nodes and a bridge; node i of each is told by its own feature."""
    pairs = [(i, j) for c in (0, 7) for i in range(c, c + 7) for j in range(c, c + 7) if i != j]
    pairs += [(6, 7), (7, 6)]
    s, t = np.transpose(pairs)
    y = np.repeat([0, 1], 7)
    x = np.eye(14, dtype=np.float32)
    return Graph.of(s, t, x=x, y=y, train=[0, 13], test=range(1, 13), directed=False, name="cliques")
