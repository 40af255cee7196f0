"""The graph classifier: a known answer, folds, padding that changes nothing, its invariants."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.core.population import sweep
from populace.graphs.data.graph import Graph
from populace.graphs.data.graph_set import GraphSet
from populace.graphs.datasets.ogb import score
from populace.graphs.learners import graph_set_task
from populace.graphs.learners.graph_classifier import (
    GraphClassifier,
    GraphRegressor,
    MultiLabelGraphClassifier,
)
from populace.graphs.models.graph_networks import GraphGAT, GraphGCN, GraphGIN, GraphGINE
from populace.graphs.splits.protocols import best_epoch
from populace.runs.training.launch import train
from tests import harness

SMALL = {"folds": 4, "batch_size": 8}


def test_rings_and_stars_are_told_apart():
    """As they are by the GIN whose best epoch is looked for below."""
    plan = GraphGCN(layers=1, hidden_channels=8, readout="mean")
    learner = GraphClassifier(data=shapes(), network=plan, **SMALL)
    engine = harness.only_trained(sweep(learner, seeds=4), 90, "map")
    group_state = engine.group_states[0]
    found = group_state.program.test(group_state.program.models(group_state.state()), 1, 0)
    assert np.asarray(found["accuracy"].weight).tolist() == [10.0] * 4
    assert np.median(np.asarray(found["accuracy"].value)) > 0.9


@pytest.mark.parametrize("protocol", ["nested", "gin"])
def test_every_seed_is_tested_on_its_fold_and_never_trains_on_it(protocol):
    population = sweep(GraphClassifier(data=shapes(), protocol=protocol, **SMALL), seeds=8)
    learner = population.learner_of(0)

    @jax.jit
    @jax.vmap
    def parts_and_order(fold):
        own = dataclasses.replace(learner, fold=fold)
        state = own.on_epoch_start(own.init(jax.random.key(0)), jax.random.key(1))
        return [own._part(part) for part in ("test", "validation", "train")], state.order

    folds = np.array([learner.for_seed(member.seed).fold for member in population.members], np.float32)
    (every_tested, every_chooses, every_trains), orders = jax.device_get(parts_and_order(folds))
    for member, tested, chooses, trains, order in zip(
        population.members, every_tested, every_chooses, every_trains, orders
    ):
        assert (learner.division.place[tested] == member.seed % 4).all()
        assert tested.sum() == 10
        assert not (tested & trains).any()
        if protocol == "nested":
            assert not (chooses & (tested | trains)).any()
        assert trains.sum() == (20 if protocol == "nested" else 30)
        assert sorted(order[order >= 0]) == np.flatnonzero(trains).tolist()


def test_a_sets_own_split_is_taken_as_it_is(monkeypatch):
    data = shapes().with_split([*range(10), *range(20, 30)], [10, 30, 11], [12, 13, 32, 33, 34, 35, 39])
    learner = GraphClassifier(
        data=data, protocol="split", batch_size=8, network=GraphGIN(layers=1, hidden_channels=8)
    )
    population = sweep(learner, seeds=2)
    for member in population.members:
        own = population.learner_of(0).for_seed(member.seed)
        for part in ("train", "validation", "test"):
            assert np.flatnonzero(own._part(part)).tolist() == sorted(getattr(data, part).tolist())
        state = eqx.filter_jit(own.on_epoch_start)(begun(own), jax.random.key(1))
        order = np.asarray(state.order)
        assert sorted(order[order >= 0]) == sorted(data.train.tolist())
        assert own.test_description(1) == "the 7 test graphs"
    engine = harness.only_trained(population, 90, "map")
    group_state = engine.group_states[0]
    network = group_state.program.models(group_state.state())
    whole = group_state.program.signature.whole_model
    found = group_state.program.test(network, 1, 0)
    assert np.asarray(found["accuracy"].weight).tolist() == [7.0] * 2
    assert np.asarray(found["accuracy"].value).min() > 0.9
    right = own.example_scores(whole(group_state.program.take(network, 1)))
    assert right is not None
    assert right.shape == (7,)
    assert right.mean() == pytest.approx(float(np.asarray(found["accuracy"].value)[1]))
    # A part that is too large for one batch is evaluated in pieces, to the same sums.
    monkeypatch.setattr(graph_set_task, "AT_A_TIME", 3)
    pieces, whole = (one.load_data().for_test(1) for one in (learner, own))
    assert [one.batch_shapes[1].graphs for one in (pieces, whole)] == [3, 7]
    found, expected = (
        eqx.filter_jit(one.evaluate)(state.network, jax.random.key(0)) for one in (pieces, whole)
    )
    for name, mean in expected.items():
        np.testing.assert_allclose(found[name].total, mean.total, rtol=1e-5)
        assert found[name].weight == mean.weight == 7


def test_properties_of_shapes_are_told_with_gaps():
    data = uneven()
    star, large = data.y == 1, np.diff(data.node_offsets) >= 7
    y = np.stack([star, large, np.full(40, np.nan)], 1).astype(np.float32)
    y[::7, 0] = y[3::5, 1] = np.nan
    marked = dataclasses.replace(data, y=y)
    learner = MultiLabelGraphClassifier(data=marked, network=GraphGIN(layers=2, hidden_channels=8), **SMALL)
    engine = harness.only_trained(sweep(learner, seeds=4), 240, "map")
    group_state = engine.group_states[0]
    networks = group_state.program.models(group_state.state())
    found = group_state.program.test(networks, 1, 0)
    assert np.asarray(found["roc_auc"].weight).tolist() == [2.0] * 4  # of the third nothing is known
    assert np.median(np.asarray(found["roc_auc"].value)) > 0.9
    # What a program says of its fold is what scikit-learn says of the predictions.
    for slot in range(4):
        member = group_state.program.learner_of(slot)
        said = member.predict_proba(group_state.program.take(networks, slot))
        rows = np.asarray(member._part("test"))
        for name in ("roc_auc", "ap"):
            wanted = score(name, y[rows], said[rows])
            np.testing.assert_allclose(found[name].value[slot], wanted, rtol=1e-5)


def test_the_number_of_nodes_is_learned_in_its_units():
    data = shapes()
    y = 100 + 10.0 * np.diff(data.node_offsets)[:, None].astype(np.float32)
    y = np.concatenate([y, np.where(np.arange(40)[:, None] % 3, -y, np.nan)], 1)
    counted = dataclasses.replace(data, y=y)
    learner = GraphRegressor(
        data=counted, network=GraphGIN(layers=1, hidden_channels=8, dropout=0.0), **SMALL
    )
    assert learner.mode == "min"
    engine = harness.only_trained(sweep(learner, {"learning_rate": [0.05]}, seeds=4), 300, "map")
    group_state = engine.group_states[0]
    networks = group_state.program.models(group_state.state())
    found = group_state.program.test(networks, 1, 0)
    spread = 10 * np.std(np.diff(data.node_offsets))
    assert np.median(np.asarray(found["rmse"].value)) < 0.35 * spread
    member = group_state.program.learner_of(1)
    said = member.predict(group_state.program.take(networks, 1))
    rows = np.asarray(member._part("test"))
    np.testing.assert_allclose(found["rmse"].value[1], score("rmse", y[rows], said[rows]), rtol=1e-4)
    trained_on = y[np.asarray(member._part("train"))]
    np.testing.assert_allclose(member.objective.mean, np.nanmean(trained_on, 0), rtol=1e-5)


def test_graphs_that_differ_in_their_edges_only_are_told_apart():
    """Without features of edges all graphs are the same."""
    plan = GraphGINE(layers=1, hidden_channels=8)
    learner = GraphClassifier(data=bonds(), network=plan, learning_rate=0.03, **SMALL)
    engine = harness.only_trained(sweep(learner, seeds=4), 120, "map")
    group_state = engine.group_states[0]
    found = group_state.program.test(group_state.program.models(group_state.state()), 1, 0)
    assert np.median(np.asarray(found["accuracy"].value)) > 0.9


@pytest.mark.parametrize("second", [False, True])
def test_what_attention_says_of_a_graph_depends_on_its_edges_features(second):
    data = bonds()
    plan = GraphGAT(layers=1, hidden_channels=8, heads=2, second=second)
    learner = GraphClassifier(data=data, network=plan, **SMALL).load_data()
    network = begun(learner).network
    said = learner.predict_proba(network)
    other = dataclasses.replace(data, edge_features=1 - data.edge_features)
    assert np.abs(learner.predict_proba(network, other) - said).max() > 5e-5  # rounding is 1e-6
    # Of a graph the same is said by itself, where self-loops are added to it alone.
    alone = GraphSet.of([data.graph(7)], [0])
    np.testing.assert_allclose(learner.predict_proba(network, alone), said[[7]], atol=1e-5)
    bare = dataclasses.replace(data, edge_features=None)
    with pytest.raises(UsageError, match="bonds has 0 features an edge, the network takes 2"):
        learner.predict(network, bare)
    assert learner.data.graph(7).edges.count == 4 + 5


def test_a_network_that_needs_features_of_edges_says_so():
    with pytest.raises(
        UsageError, match="network gine needs features of edges, and there are none; take gin"
    ):
        begun(GraphClassifier(data=shapes(), network=GraphGINE(), **SMALL).load_data())
    plan = GraphGAT(hidden_channels=8, heads=3)
    with pytest.raises(UsageError, match="heads 3 do not divide hidden_channels 8; choose a divisor"):
        begun(GraphClassifier(data=shapes(), network=plan, **SMALL).load_data())


def test_predictions_and_explanations_of_graphs():
    data, run = shapes(), eqx.filter_jit(lambda network, batch: network(batch))
    learner = GraphClassifier(data=data, network=GraphGIN(layers=1, hidden_channels=4), **SMALL).load_data()
    network = begun(learner).network
    said = learner.predict_proba(network)
    assert said.shape == (40, 2)
    np.testing.assert_allclose(said.sum(1), 1, rtol=1e-5)
    some = GraphSet.of([data.graph(i) for i in (3, 33)], [0, 0])
    np.testing.assert_allclose(learner.predict_proba(network, some), said[[3, 33]], rtol=1e-5)
    np.testing.assert_array_equal(learner.predict(network), said.argmax(1))
    wide = GraphSet.of([data.graph(3).with_features(np.ones((8, 2), np.float32))], [0])
    with pytest.raises(UsageError, match="graphs has 2 features a node, the network takes 1"):
        learner.predict(network, wide)
    with pytest.raises(UsageError, match=r"expected a GraphSet .*, got Graph; make one with GraphSet.of"):
        learner.predict(network, data.graph(3))
    # A node's part of the output: differences as its features grow by a little.
    found = learner.explain(network, 33)
    assert found.output == said[33].argmax()
    graph, step = GraphSet.of([data.graph(33)], [0]), 1e-2
    batch = jax.device_get(jax.jit(lambda: graph.batch(jnp.array([0]), graph.batch_shape(1)))())
    for node in (0, 3):
        moved = []
        for by in (step, -step):
            x = batch.x.copy()
            x[node] *= 1 + by
            moved.append(run(network, dataclasses.replace(batch, x=x))[0, found.output])
        np.testing.assert_allclose(found.nodes[node], abs(moved[0] - moved[1]) / (2 * step), rtol=2e-3)
    with pytest.raises(UsageError, match="there is no graph 40; graphs are numbered 0 to 39"):
        learner.explain(network, 40)


# How nodes become a graph is beside how layers work on nodes: one pair for each layer and each readout.
@pytest.mark.parametrize(
    ("plan", "readout"),
    [(GraphGIN, "sum"), (GraphGCN, "mean"), (GraphGIN, "max"), (GraphGCN, "attention")],
)
def test_what_is_beside_a_graph_in_its_batch_changes_nothing(plan, readout):
    data = shapes()

    @jax.jit
    def outputs():
        network = plan(layers=2, hidden_channels=8, readout=readout).build(1, 2, key=jax.random.key(0))
        alone = [network(data.batch(np.array([i]), data.batch_shape(1)))[0] for i in (3, 30)]
        return alone, network(data.batch(np.array([3, -1, 30, 12]), data.batch_shape(4)))

    alone, together = outputs()
    np.testing.assert_allclose(together[0], alone[0], atol=1e-5)
    np.testing.assert_allclose(together[2], alone[1], atol=1e-5)


@pytest.mark.parametrize("readout", ["sum", "attention"])
def test_empty_places_have_no_part_in_gradients(readout):
    data = shapes()

    @jax.jit
    def gradient():
        plan = GraphGIN(layers=1, hidden_channels=4, readout=readout)
        network = plan.build(data.x.shape[1], 2, key=jax.random.key(0))
        batch = data.batch(np.array([3, 30, -1, -1]), data.batch_shape(4))

        def loss(weight):
            changed = eqx.tree_at(lambda n: n.layers[0].second.weight, network, weight)
            outputs, _ = changed.learn(batch, jax.random.key(2))
            return jnp.sum(jnp.where(batch.present[:, None], outputs, 0.0) ** 2)

        return jax.grad(loss)(network.layers[0].second.weight)

    found = np.asarray(gradient())
    assert np.isfinite(found).all()
    assert np.abs(found).max() > 0


def test_the_normalization_of_a_batch_is_the_graphs_own():
    """With self-loops here and there, edges that are repeated, and some that go one way only."""
    pairs = [[(0, 1), (1, 0), (0, 0)], [(0, 1), (0, 1), (1, 2), (2, 2), (2, 2)], [(0, 0)]]
    sizes = (2, 4, 1)
    graphs = [Graph.of(*np.array(some).T, n, x=np.ones((n, 1))) for some, n in zip(pairs, sizes)]
    data = GraphSet.of(graphs, [0, 1, 0])
    batch = jax.device_get(jax.jit(lambda: data.batch(jnp.array([1, 0, 2]), data.batch_shape(3)))())
    dense = np.zeros((len(batch.graph), len(batch.graph)))
    np.add.at(dense, (batch.edges.targets, batch.edges.sources), batch.symmetric_weight)
    dense[np.diag_indices(len(dense))] += batch.loop_weight
    first = 0
    for i in (1, 0, 2):
        expected, here = graphs[i].normalized("symmetric"), slice(first, first + graphs[i].nodes)
        wanted = np.zeros((graphs[i].nodes, graphs[i].nodes))
        np.add.at(wanted, (expected.edges.targets, expected.edges.sources), expected.weight)
        np.testing.assert_allclose(dense[here, here], wanted, atol=1e-6)
        first = here.stop
    # node 0 of the graph with an edge 0 - 1 and a loop at 0
    np.testing.assert_allclose(dense[4, 4:6], [0.5, 0.5], atol=1e-6)


def test_invariants(tmp_path):
    # Of features that are all alike, the eps of a GIN only adds a number to every node, which batch
    # normalization takes off again: its true gradient is zero, and where it goes is rounding's choice.
    learner = GraphClassifier(data=uneven(), network=GraphGIN(layers=1, hidden_channels=4), **SMALL)
    harness.check_learner(learner, {"learning_rate": [0.01, 0.003]}, 9, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [GraphRegressor, MultiLabelGraphClassifier])
def test_invariants_of_targets(kind, tmp_path):
    data = uneven()
    y = np.stack([data.y == 1, np.diff(data.node_offsets) >= 7], 1).astype(np.float32)
    learner = kind(
        data=dataclasses.replace(data, y=y), network=GraphGIN(layers=1, hidden_channels=4), **SMALL
    )
    harness.check_learner(learner, {"learning_rate": [0.01, 0.003]}, 9, tmp_path)


def test_the_best_epoch_is_one_and_the_same_for_all_folds(tmp_path):
    learner = GraphClassifier(
        data=shapes(), protocol="gin", network=GraphGIN(layers=2, hidden_channels=8), **SMALL
    )
    run = train(sweep(learner, seeds=4), 90, out=tmp_path / "run", evaluate_every=30, strategy="map")
    assert np.median([member["test"]["score"] for member in run.results()["members"]]) > 0.9
    found = best_epoch(run)
    table = run.metrics("evaluation").to_pydict()
    means = {
        step: np.mean([a for s, a in zip(table["step"], table["accuracy"]) if s == step])
        for step in set(table["step"])
    }
    assert found.mean == pytest.approx(max(means.values()))
    assert means[found.step] == pytest.approx(found.mean)
    assert len(found.accuracy) == 4
    with pytest.raises(UsageError, match="has no evaluations of setting 3"):
        best_epoch(run, 3)


def test_what_does_not_fit_is_named():
    with pytest.raises(UsageError, match="batch_size 64 is larger than the 20 graphs to train on"):
        GraphClassifier(data=shapes(), folds=4, batch_size=64).load_data().check()
    for data, part in ((shapes(), "train"), (shapes().with_split([0, 20], test=[1, 21]), "validation")):
        with pytest.raises(UsageError, match=f"has no {part} graphs; split it with with_split"):
            GraphClassifier(data=data, protocol="split").load_data()
    targets = GraphSet.of([shapes().graph(0)] * 3, [0.5, 1.0, 1.5])
    with pytest.raises(UsageError, match="has targets instead of classes"):
        GraphClassifier(data=targets).check()
    with pytest.raises(UsageError, match="shapes has classes, not targets"):
        GraphRegressor(data=shapes()).check()
    with pytest.raises(UsageError, match=r"label 0 of graph 0 of graphs is 0\.5"):
        MultiLabelGraphClassifier(data=targets).check()
    with pytest.raises(UsageError, match="cannot draw 10 folds of 3 examples"):
        GraphRegressor(data=targets).load_data()
    alike = dataclasses.replace(shapes(), y=np.ones((40, 2), np.float32))
    with pytest.raises(UsageError, match="fold 0 of shapes has no property with a yes and a no"):
        MultiLabelGraphClassifier(data=alike).load_data()
    with pytest.raises(UsageError, match="label of graph 1 is infinite"):
        GraphSet.of([shapes().graph(0)] * 2, [0.5, np.inf])


def begun(learner):
    """Return the state before the first step, made by one program."""
    return eqx.filter_jit(learner.init)(jax.random.key(0))


def bonds() -> GraphSet:
    """Forty stars of a center and four leaves: of one of them, told by its edge, the feature is the class."""
    draws, graphs, y = np.random.default_rng(0), [], np.arange(40) % 2
    for kind in y:
        leaves = draws.permutation([0, 0, 1, 1])
        marked = draws.choice(np.flatnonzero(leaves == kind))
        x = np.append(0.5, leaves)[:, None]
        of_edges = np.eye(2)[(np.arange(4) == marked).astype(int)]
        graphs.append(Graph.of(np.arange(1, 5), np.zeros(4, int), 5, x=x, edge_features=of_edges))
    return GraphSet.of(graphs, y, name="bonds")


def uneven() -> GraphSet:
    """The shapes, no two of them alike: where graphs are, rounding decides on ties and on small gradients."""
    data = shapes()
    x = 1 + 0.1 * np.random.default_rng(0).normal(size=data.x.shape).astype(np.float32)
    return dataclasses.replace(data, x=x)


def shapes() -> GraphSet:
    """Twenty rings and twenty stars of five to nine nodes; nodes look all the same."""
    graphs = []
    for kind in ("ring", "star"):
        for i in range(20):
            n = 5 + i % 5
            near = np.arange(n) if kind == "ring" else np.zeros(n - 1, int)
            far = (np.arange(n) + 1) % n if kind == "ring" else np.arange(1, n)
            s, t = np.concatenate([near, far]), np.concatenate([far, near])
            graphs.append(Graph.of(s, t, n, x=np.ones((n, 1), np.float32), directed=False))
    return GraphSet.of(graphs, np.repeat([0, 1], 20), name="shapes")
