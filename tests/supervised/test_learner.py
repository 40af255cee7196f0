"""Supervised learners on problems with known answers, and the invariants they get from the engine."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.core.population import sweep
from populace.runs.outcome import held_out
from populace.statistics import held_out_intervals
from populace.supervised import (
    MLP,
    Classifier,
    Cosine,
    Data,
    Momentum,
    Patience,
)
from tests import harness
from tests.supervised.problems import begun, blobs, classifier, line, regressor


def model_of(engine, slot: int = 0):
    group_state = engine.group_states[0]
    model = group_state.program.take(group_state.program.models(group_state.state()), slot)
    return group_state.program.signature.whole_model(model)


def evaluated(engine) -> dict[str, np.ndarray]:
    group_state = engine.group_states[0]
    metrics = group_state.program.test(group_state.program.models(group_state.state()), 1, 0)
    count = len(group_state.group.members)
    return {
        n: np.asarray(mean.total)[:count] / np.asarray(mean.weight)[:count] for n, mean in metrics.items()
    }


def test_separate_clouds_are_told_apart():
    engine = harness.trained(sweep(classifier(), seeds=2), 200)
    found = evaluated(engine)
    assert (found["accuracy"] > 0.97).all()
    assert (found["loss"] < 0.15).all()
    # The score of each example, from which follows what is owed to which examples are in the test part.
    right = np.stack([classifier().example_scores(model_of(engine, slot)) for slot in range(2)])
    assert right.shape == (2, 240)
    np.testing.assert_allclose(right.mean(axis=1), found["accuracy"], rtol=1e-6)
    held = held_out.measured(engine, [0], [])[0]
    assert held == held_out_intervals(right)
    assert held_out.entry(held)["examples"]["over_seeds_and_examples"] is None
    assert held_out.measured(harness.trained(sweep(regressor(), seeds=2), 10), [0], []) == {}


def test_least_squares_is_found():
    learner = regressor(learning_rate=0.05, schedule=Cosine(steps=600))
    engine = harness.only_trained(sweep(learner, seeds=2), 600)
    x = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    found = learner.predict(model_of(engine), x)
    np.testing.assert_allclose(found[:, 0], [5, 8, 3], atol=1e-2)
    assert evaluated(engine)["r2"].min() > 0.9999


def test_invariants_of_the_classifier(tmp_path):
    network = MLP(hidden_sizes=(8,), norm="batch", dropout=0.1)
    learner = classifier(network=network, early_stopping=Patience(epochs=2), weight_decay=0.01)
    harness.check_learner(learner, {"learning_rate": [1e-2, 3e-3]}, 23, tmp_path)


def test_invariants_of_the_regressor(tmp_path):
    learner = regressor(
        network=MLP(hidden_sizes=(8,), norm="layer"),
        loss="huber",
        max_gradient_norm=1.0,
        optimizer=Momentum(),
        learning_rate=1e-2,
    )
    harness.check_learner(learner, {"weight_decay": [0.0, 0.1]}, 17, tmp_path)


@pytest.mark.parametrize("batch", [7, 32, 64, 500])
def test_an_epoch_takes_every_training_row_once_and_no_other(batch):
    learner = classifier(batch_size=batch)
    data, state = learner.data, begun(learner)
    orders = []
    for epoch in range(2):
        state = eqx.filter_jit(learner.on_epoch_start)(state, jax.random.key(epoch))
        order = np.asarray(state.order)
        assert len(order) == learner.epochs(1) * batch
        assert sorted(order[: len(data.train)]) == sorted(data.train.tolist())
        assert set(order.tolist()) <= set(data.train.tolist())
        orders.append(order.tolist())
    assert orders[0] != orders[1]


def test_filling_rows_weigh_nothing():
    """The last, filled-up batch moves the weights as its real rows alone would."""
    learner = classifier(batch_size=100, optimizer=Momentum(decay=0.0))  # 192 rows: the second batch has 92
    state = eqx.filter_jit(learner.on_epoch_start)(begun(learner), jax.random.key(1))
    state = eqx.tree_at(lambda s: s.count, state, np.int32(1))
    rows = np.asarray(state.order)[100:192]

    @eqx.filter_jit
    def both(state):
        def loss(network):
            x, y = learner.data.inputs(jnp.asarray(learner.data.x[rows])), learner.data.y[rows]
            return jnp.mean(learner.losses(jax.vmap(network)(x), y))

        return learner.step(state, jax.random.key(2)), eqx.filter_value_and_grad(loss)(state.network)

    (after, metrics), (value, gradient) = both(state)
    assert metrics["loss"].value == pytest.approx(float(value), rel=1e-5)
    assert metrics["loss"].weight == 92
    for new, old, slope in zip(
        *(
            jax.tree.leaves(eqx.filter(t, eqx.is_inexact_array))
            for t in (after.network, state.network, gradient)
        )
    ):
        if slope.ndim:  # all but the dropout rates
            expected = np.asarray(old) - learner.learning_rate * np.asarray(slope)
            np.testing.assert_allclose(new, expected, atol=1e-6)


def test_early_stopping_stops_each_member_by_itself_and_for_good():
    x, y = blobs(60)
    noise = np.random.default_rng(0).permutation(y)  # nothing to learn: validation loss soon rises
    data = Data.from_classes(x, noise, validation=0.5)
    learner = Classifier(
        data,
        network=MLP(hidden_sizes=(64,)),
        batch_size=15,
        learning_rate=3e-2,
        early_stopping=Patience(epochs=2),
    )
    engine = harness.only_trained(sweep(learner, seeds=4), 120)
    stopped = np.asarray(engine.group_states[0].state().early_stopping.stopped_at)[:4]
    assert (stopped > 0).all()
    assert (stopped % learner.epoch_steps == 0).all()
    assert len(set(stopped.tolist())) > 1
    before = [np.array(leaf) for leaf in jax.tree.leaves(engine.group_states[0].state().network)]
    harness.train(engine, 200, evaluate_every=0, evaluate_last=False)
    for one, other in zip(before, jax.tree.leaves(engine.group_states[0].state().network)):
        np.testing.assert_array_equal(one, np.asarray(other))


@pytest.mark.parametrize("size", [1, 7, 48, 1000])
def test_evaluation_does_not_depend_on_its_batches(size):
    whole, parts = classifier(evaluation_batch_size=48, top=2), classifier(evaluation_batch_size=size, top=2)
    network = begun(whole, 3).network
    one, other = (eqx.filter_jit(x.evaluate)(network, jax.random.key(0)) for x in (whole, parts))
    assert set(one) == {"loss", "accuracy", "calibration_error", "top_2_accuracy"}
    for name in one:
        assert float(one[name].value) == pytest.approx(float(other[name].value), rel=1e-5, abs=1e-6)


def test_the_final_evaluation_is_on_the_test_part():
    learner = classifier()
    network = begun(learner, 3).network
    found = eqx.filter_jit(learner.for_test(1).evaluate)(network, jax.random.key(0))
    x, y = blobs(seed=1)
    assert found["accuracy"].weight == len(y)
    assert float(found["accuracy"].value) == pytest.approx(np.mean(learner.predict(network, x) == y))


def test_dropout_rate_and_optimizer_numbers_are_hyperparameters_of_one_program():
    learner = classifier(network=MLP(hidden_sizes=(8,), dropout=0.1))
    axes = {"network.dropout": [0.0, 0.5], "optimizer.b1": [0.9, 0.5], "weight_decay": [0.0, 0.1]}
    population = sweep(learner, axes)
    assert len(population.groups) == 1
    engine = harness.only_trained(population, 10)
    first = jax.tree.leaves(engine.group_states[0].state().network)[0]
    assert len({np.asarray(w).tobytes() for w in first}) == 8


def test_data_is_shared_not_copied_per_member():
    population = sweep(classifier(), {"learning_rate": [1e-2, 1e-3]}, seeds=4)
    (group,) = population.groups
    assert group.learner.data.x.shape == (240, 2)
    assert not any(jax.tree.leaves(group.varied.data))


def test_a_network_of_the_users_own():
    def network_fn(inputs, outputs, key):
        return eqx.nn.MLP(inputs[0], outputs, 8, 1, key=key)

    engine = harness.only_trained(sweep(classifier(network_fn=network_fn), seeds=2), 200)
    assert (evaluated(engine)["accuracy"] > 0.97).all()


def test_equinox_dropout_is_off_in_use():
    def network_fn(inputs, outputs, key):
        return eqx.nn.Sequential(
            [eqx.nn.Linear(2, 8, key=key), eqx.nn.Dropout(0.5), eqx.nn.Linear(8, outputs, key=key)]
        )

    learner = classifier(network_fn=network_fn)
    network = begun(learner).network
    state = eqx.filter_jit(learner.on_epoch_start)(begun(learner), jax.random.key(1))
    one, other = (eqx.filter_jit(learner.step)(state, jax.random.key(i))[0].network for i in (1, 2))
    leaves = (jax.tree.leaves(eqx.filter(network, eqx.is_array)) for network in (one, other))
    assert any((np.asarray(a) != np.asarray(b)).any() for a, b in zip(*leaves))
    x = blobs()[0]
    np.testing.assert_array_equal(learner.outputs(network, x), learner.outputs(network, x))


X, Y = blobs(30)
WHOLE = Data.from_classes(X, Y, validation=0.0)
HOLED = np.where(np.arange(30)[:, None] == 7, np.nan, X)


def too_wide(inputs, outputs, key):
    return eqx.nn.Linear(5, outputs, key=key)


def too_narrow(inputs, outputs, key):
    return eqx.nn.Linear(2, 2, key=key)


@pytest.mark.parametrize(("make", "message"), [
    (lambda: sweep(classifier(network_fn=too_wide)), r"does not take examples of shape \(2,\): dot_general"),
    (lambda: sweep(classifier(top=3)), "top must be below the number of classes, 3, got 3"),
    (lambda: classifier().predict(None, HOLED), "x has NaN or infinity in row 7"),
    (lambda: sweep(Classifier()), "Classifier has no data"),
    (lambda: sweep(classifier(network_fn=too_narrow)), r"gives an output of shape \(2,\) .* needs \(3,\)"),
    (lambda: sweep(Classifier(WHOLE, early_stopping=Patience(epochs=1))), "needs validation examples"),
    (lambda: classifier(batch_size=0), "batch_size must be >= 1"),
    (lambda: classifier().predict(None, X[:, :1]), r"expected \(2,\)"),
])  # fmt: skip
@pytest.mark.filterwarnings("error")
def test_bad_input_gets_one_clear_line(make, message):
    with pytest.raises(UsageError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_a_member_stops_after_as_many_epochs_without_a_better_loss_as_it_is_patient():
    learner = classifier(early_stopping=Patience(epochs=2))
    state = learner.init(jax.random.key(0))
    loss = float(learner.evaluate(state.network, jax.random.key(0))["loss"].value)
    state = learner.on_epoch_start(state, jax.random.key(1))
    seen = state.early_stopping
    assert (float(seen.best_loss), int(seen.waited)) == (pytest.approx(loss, rel=1e-5), 0)
    for epoch, stopped_at in ((1, -1), (2, 14), (3, 14)):  # the network stays as it is: no loss is better
        state = eqx.tree_at(lambda s: s.count, state, jnp.int32(7 * epoch))
        state = learner.on_epoch_start(state, jax.random.key(1))
        seen = state.early_stopping
        assert (int(seen.waited), int(seen.stopped_at)) == (epoch, stopped_at)


def test_rows_of_a_regression_do_not_meet():
    data = Data.from_targets(*line(50), validation=0.3)
    assert (len(data.train), len(data.validation)) == (35, 15)
    assert sorted([*data.train.tolist(), *data.validation.tolist()]) == list(range(50))
    train = np.asarray(data.inputs(jnp.asarray(data.x[data.train])))
    np.testing.assert_allclose(train.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(train.std(0), 1, atol=1e-5)


def test_rows_that_fill_a_batch_up_change_nothing_under_batch_normalization():
    learner = classifier(network=MLP(hidden_sizes=(8,), norm="batch"), batch_size=100)
    state, rows = begun(learner), np.asarray(learner.data.train)
    order = np.concatenate([rows, np.zeros(2 * 100 - len(rows), int)])
    step = eqx.filter_jit(lambda order: learner.step(
        eqx.tree_at(lambda s: (s.order, s.count), state, (order, jnp.int32(1))), jax.random.key(0)
    ))  # fmt: skip
    after, found = step(order)
    order[len(rows) :] = rows[-8:]
    other, again = step(order)
    arrays = [eqx.filter(made, eqx.is_array) for made in ((after.network, found), (other.network, again))]
    for a, b in zip(*map(jax.tree.leaves, arrays)):
        np.testing.assert_array_equal(a, b)
