"""The graph classifier: a known answer, folds, padding that changes nothing, its invariants."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from populace.errors import UsageError
from populace.graphs import graph_classifier
from populace.graphs.graph import Graph
from populace.graphs.graph_classifier import GraphClassifier
from populace.graphs.graph_networks import GraphGCN, GraphGIN, symmetric
from populace.graphs.graph_set import GraphSet
from populace.graphs.protocols import best_epoch
from populace.population import sweep
from populace.run import train
from tests import harness

SMALL = {"folds": 4, "batch": 8}


@pytest.mark.parametrize("plan", [GraphGIN(layers=2, hidden=8), GraphGCN(layers=2, hidden=8, readout="mean")])
def test_rings_and_stars_are_told_apart(plan):
    learner = GraphClassifier(data=shapes(), network=plan, **SMALL)
    engine = harness.trained(sweep(learner, seeds=4), 90, "map", window=30)
    cohort = engine.cohorts[0]
    found = cohort.program.examine(cohort.program.snapshot(cohort.state()), 1, 0)
    assert np.asarray(found["accuracy"].weight).tolist() == [10.0] * 4
    assert np.median(np.asarray(found["accuracy"].value)) > 0.9


@pytest.mark.parametrize("protocol", ["nested", "gin"])
def test_every_seed_is_tested_on_its_fold_and_never_trains_on_it(protocol):
    population = sweep(GraphClassifier(data=shapes(), protocol=protocol, **SMALL), seeds=8)
    for member in population.members:
        learner = population.learner_of(0).for_seed(member.seed)
        tested, chooses, trains = (np.asarray(learner._part(p)) for p in ("test", "validation", "train"))
        assert (learner.fold_of[tested] == member.seed % 4).all()
        assert tested.sum() == 10
        assert not (tested & trains).any()
        if protocol == "nested":
            assert not (chooses & (tested | trains)).any()
        assert trains.sum() == (20 if protocol == "nested" else 30)
        state = learner.turn(learner.init(jax.random.key(0)), jax.random.key(1))
        order = np.asarray(state.order)
        assert sorted(order[order >= 0]) == np.flatnonzero(trains).tolist()


def test_a_sets_own_split_is_taken_as_it_is(monkeypatch):
    data = shapes().with_split([*range(10), *range(20, 30)], [10, 30, 11], [12, 13, 32, 33, 34, 35, 39])
    learner = GraphClassifier(data=data, protocol="split", batch=8, network=GraphGIN(layers=2, hidden=8))
    population = sweep(learner, seeds=2)
    for member in population.members:
        own = population.learner_of(0).for_seed(member.seed)
        for part in ("train", "validation", "test"):
            assert np.flatnonzero(own._part(part)).tolist() == sorted(getattr(data, part).tolist())
        state = own.turn(own.init(jax.random.key(0)), jax.random.key(1))
        order = np.asarray(state.order)
        assert sorted(order[order >= 0]) == sorted(data.train.tolist())
        assert own.examined(1) == "the 7 test graphs"
    engine = harness.trained(population, 90, "map", window=30)
    cohort = engine.cohorts[0]
    network = cohort.program.snapshot(cohort.state())
    found = cohort.program.examine(network, 1, 0)
    assert np.asarray(found["accuracy"].weight).tolist() == [7.0] * 2
    assert np.asarray(found["accuracy"].value).min() > 0.9
    # A part that is too large for one batch is evaluated in pieces, to the same sums.
    monkeypatch.setattr(graph_classifier, "AT_A_TIME", 3)
    pieces, whole = (one.ready().examiner(1) for one in (learner, own))
    assert [one.rooms[1].graphs for one in (pieces, whole)] == [3, 7]
    found, expected = (one.evaluate(state.network, jax.random.key(0)) for one in (pieces, whole))
    for name, mean in expected.items():
        np.testing.assert_allclose(found[name].total, mean.total, rtol=1e-5)
        assert found[name].weight == mean.weight == 7


@pytest.mark.parametrize("readout", ["sum", "mean", "max", "attention"])
@pytest.mark.parametrize("plan", [GraphGIN, GraphGCN])
def test_what_is_beside_a_graph_in_its_batch_changes_nothing(plan, readout):
    data = shapes()
    network = plan(layers=2, hidden=8, readout=readout).build(data.x.shape[1], 2, key=jax.random.key(0))
    alone = [network(data.batch(jnp.array([i]), data.room(1)))[0] for i in (3, 30)]
    together = network(data.batch(jnp.array([3, -1, 30, 12]), data.room(4)))
    np.testing.assert_allclose(together[0], alone[0], atol=1e-5)
    np.testing.assert_allclose(together[2], alone[1], atol=1e-5)


@pytest.mark.parametrize("readout", ["sum", "attention"])
def test_empty_places_have_no_part_in_gradients(readout):
    data = shapes()
    network = GraphGIN(layers=1, hidden=4, readout=readout).build(data.x.shape[1], 2, key=jax.random.key(0))

    def loss(weight, graphs):
        import equinox as eqx

        changed = eqx.tree_at(lambda n: n.layers[0].second.weight, network, weight)
        batch = data.batch(graphs, data.room(4))
        outputs, _ = changed.learn(batch, jax.random.key(2))
        return jnp.sum(jnp.where(batch.present[:, None], outputs, 0.0) ** 2)

    gradient = jax.grad(loss)(network.layers[0].second.weight, jnp.array([3, 30, -1, -1]))
    assert np.isfinite(gradient).all()
    assert np.abs(gradient).max() > 0


def test_the_normalisation_of_a_batch_is_the_graphs_own():
    graph = shapes().graph(25)
    scale, weight = symmetric(graph.arcs)
    expected = graph.normalised("symmetric")
    dense = np.zeros((graph.nodes, graph.nodes))
    np.add.at(dense, (graph.arcs.targets, graph.arcs.sources), np.asarray(weight))
    dense[np.diag_indices(graph.nodes)] += np.asarray(scale) ** 2
    wanted = np.zeros_like(dense)
    np.add.at(wanted, (expected.arcs.targets, expected.arcs.sources), expected.weight)
    np.testing.assert_allclose(dense, wanted, atol=1e-6)


def test_invariants(tmp_path):
    plan = GraphGIN(layers=1, hidden=4)
    harness.check_learner(
        GraphClassifier(data=shapes(), network=plan, **SMALL), {"learning_rate": [0.01, 0.003]}, 9, tmp_path
    )


def test_the_best_epoch_is_one_and_the_same_for_all_folds(tmp_path):
    learner = GraphClassifier(data=shapes(), protocol="gin", network=GraphGIN(layers=1, hidden=4), **SMALL)
    run = train(sweep(learner, seeds=4), 12, out=tmp_path / "run", evaluate_every=4, strategy="map")
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
    with pytest.raises(UsageError, match="batch 64 is larger than the 20 graphs to train on"):
        GraphClassifier(data=shapes(), folds=4, batch=64).ready().check()
    for data, part in ((shapes(), "train"), (shapes().with_split([0, 20], test=[1, 21]), "validation")):
        with pytest.raises(UsageError, match=f"has no {part} graphs; give it all three parts"):
            GraphClassifier(data=data, protocol="split").ready()
    targets = GraphSet.of([shapes().graph(0)] * 3, [0.5, 1.0, 1.5])
    with pytest.raises(UsageError, match="has targets, not classes"):
        GraphClassifier(data=targets).check()


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
