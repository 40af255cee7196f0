"""Supervised learners on problems with known answers, and the invariants they get from the engine."""

import dataclasses
import json
import warnings

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.core.population import sweep
from populace.runs.recipe import Options, of_population
from populace.runs.run import Run, run_recipe
from populace.runs.training import Stopped
from populace.supervised import (
    MLP,
    Adam,
    Classifier,
    Constant,
    Cosine,
    Data,
    Exponential,
    Momentum,
    Staircase,
)
from tests import harness
from tests.supervised.problems import blobs, classifier, line, regressor


def model_of(engine, slot: int = 0):
    group_state = engine.group_states[0]
    model = group_state.program.take(group_state.program.models(group_state.state()), slot)
    return group_state.program.signature.whole_model(model)


def evaluated(learner, steps: int, seeds: int = 2) -> dict[str, np.ndarray]:
    engine = harness.trained(sweep(learner, seeds=seeds), steps)
    group_state = engine.group_states[0]
    metrics = group_state.program.examine(group_state.program.models(group_state.state()), 1, 0)
    return {name: np.asarray(mean.value)[:seeds] for name, mean in metrics.items()}


def test_separate_clouds_are_told_apart():
    found = evaluated(classifier(), 200)
    assert (found["accuracy"] > 0.97).all()
    assert (found["loss"] < 0.15).all()


def test_least_squares_is_found():
    learner = regressor(learning_rate=0.05, schedule=Cosine(steps=600))
    engine = harness.trained(sweep(learner), 600)
    x = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    found = learner.predict(model_of(engine), x)
    np.testing.assert_allclose(found[:, 0], [5, 8, 3], atol=1e-2)
    assert evaluated(learner, 600)["r2"].min() > 0.9999


@pytest.mark.parametrize("settings", [
    {"network": MLP(hidden_sizes=(8,), norm="batch", dropout=0.1), "patience": 2, "weight_decay": 0.01},
    {"network": MLP(hidden_sizes=(8,), norm="layer"), "max_gradient_norm": 1.0, "optimizer": Momentum()},
])  # fmt: skip
def test_invariants_of_the_classifier(settings, tmp_path):
    axes = {"learning_rate": [1e-2, 3e-3]}
    harness.check_learner(classifier(**settings), axes, 23, tmp_path)


def test_invariants_of_the_regressor(tmp_path):
    harness.check_learner(regressor(loss="huber"), {"weight_decay": [0.0, 0.1]}, 17, tmp_path)


@pytest.mark.parametrize("batch", [7, 32, 64, 500])
def test_an_epoch_takes_every_training_row_once_and_no_other(batch):
    learner = classifier(batch_size=batch)
    data, state = learner.data, learner.init(jax.random.key(0))
    orders = []
    for epoch in range(2):
        state = learner.on_epoch_start(state, jax.random.key(epoch))
        order = np.asarray(state.order)
        assert len(order) == learner.epochs(1) * batch
        assert sorted(order[: len(data.train)]) == sorted(data.train.tolist())
        assert set(order.tolist()) <= set(data.train.tolist())
        orders.append(order.tolist())
    assert orders[0] != orders[1]


def test_filling_rows_weigh_nothing():
    """The last, filled-up batch moves the weights as its real rows alone would."""
    learner = classifier(batch_size=100, optimizer=Momentum(decay=0.0))  # 192 rows: the second batch has 92
    state = learner.on_epoch_start(learner.init(jax.random.key(0)), jax.random.key(1))
    state = eqx.tree_at(lambda s: s.count, state, jnp.int32(1))
    after, metrics = learner.step(state, jax.random.key(2))
    rows = np.asarray(state.order)[100:192]

    def loss(network):
        x = learner.data.inputs(jnp.asarray(learner.data.x)[rows])
        return jnp.mean(learner.losses(jax.vmap(network)(x), jnp.asarray(learner.data.y)[rows]))

    value, gradient = eqx.filter_value_and_grad(loss)(state.network)
    assert metrics["loss"].value == pytest.approx(float(value), rel=1e-5)
    assert metrics["loss"].weight == 92
    for new, old, slope in zip(
        *(
            jax.tree.leaves(eqx.filter(t, eqx.is_inexact_array))
            for t in (after.network, state.network, gradient)
        )
    ):
        if slope.ndim:  # all but the dropout rates
            np.testing.assert_allclose(new, old - learner.learning_rate * slope, atol=1e-6)


def test_early_stopping_stops_each_member_by_itself_and_for_good():
    x, y = blobs(60)
    noise = np.random.default_rng(0).permutation(y)  # nothing to learn: validation loss soon rises
    data = Data.from_classes(x, noise, validation=0.5)
    learner = Classifier(data, network=MLP(hidden_sizes=(64,)), batch_size=15, learning_rate=3e-2, patience=2)
    engine = harness.trained(sweep(learner, seeds=4), 120)
    stopped = np.asarray(engine.group_states[0].state().stopped_at)[:4]
    assert (stopped > 0).all()
    assert (stopped % learner.epoch_steps == 0).all()
    assert len(set(stopped.tolist())) > 1
    longer = harness.trained(sweep(learner, seeds=4), 200)
    for one, other in zip(*(jax.tree.leaves(e.group_states[0].state().network) for e in (engine, longer))):
        np.testing.assert_array_equal(np.asarray(one), np.asarray(other))


@pytest.mark.parametrize("size", [1, 7, 48, 1000])
def test_evaluation_does_not_depend_on_its_batches(size):
    whole, parts = classifier(evaluation_batch_size=48, top=2), classifier(evaluation_batch_size=size, top=2)
    network = whole.init(jax.random.key(3)).network
    one, other = (x.evaluate(network, jax.random.key(0)) for x in (whole, parts))
    assert set(one) == {"loss", "accuracy", "calibration_error", "top_2_accuracy"}
    for name in one:
        assert float(one[name].value) == pytest.approx(float(other[name].value), rel=1e-5, abs=1e-6)


def test_the_final_examination_is_on_the_test_part():
    learner = classifier()
    network = learner.init(jax.random.key(3)).network
    found = learner.for_test(1).evaluate(network, jax.random.key(0))
    x, y = blobs(seed=1)
    assert found["accuracy"].weight == len(y)
    assert float(found["accuracy"].value) == pytest.approx(np.mean(learner.classify(network, x) == y))


def test_dropout_rate_and_optimiser_numbers_are_hyperparameters_of_one_program():
    learner = classifier(network=MLP(hidden_sizes=(8,), dropout=0.1))
    axes = {"network.dropout": [0.0, 0.5], "optimiser.b1": [0.9, 0.5], "weight_decay": [0.0, 0.1]}
    population = sweep(learner, axes)
    assert len(population.groups) == 1
    engine = harness.trained(population, 10)
    first = jax.tree.leaves(engine.group_states[0].state().network)[0]
    assert len({np.asarray(w).tobytes() for w in first}) == 8


def test_data_is_shared_not_copied_per_member():
    population = sweep(classifier(), {"learning_rate": [1e-2, 1e-3]}, seeds=4)
    (group,) = population.groups
    assert group.learner.data.x.shape == (240, 2)
    assert not any(jax.tree.leaves(group.varied.data))


def test_a_network_of_the_users_own():
    def plan(inputs, outputs, key):
        return eqx.nn.MLP(inputs[0], outputs, 8, 1, key=key)

    assert (evaluated(classifier(plan=plan), 200)["accuracy"] > 0.97).all()


def test_equinox_dropout_is_off_in_use():
    def plan(inputs, outputs, key):
        return eqx.nn.Sequential(
            [eqx.nn.Linear(2, 8, key=key), eqx.nn.Dropout(0.5), eqx.nn.Linear(8, outputs, key=key)]
        )

    learner = classifier(plan=plan)
    network = learner.init(jax.random.key(0)).network
    state = learner.on_epoch_start(learner.init(jax.random.key(0)), jax.random.key(1))
    one, _ = learner.step(state, jax.random.key(1))
    other, _ = learner.step(state, jax.random.key(2))
    assert any((a != b).any() for a, b in zip(jax.tree.leaves(one.network), jax.tree.leaves(other.network)))
    x = blobs()[0]
    np.testing.assert_array_equal(learner.predict(network, x), learner.predict(network, x))


def adam_by_hand(gradients, w, rate, decay, clip, b1=0.9, b2=0.999, eps=1e-8):
    m = v = np.zeros_like(w)
    for t, g in enumerate(gradients, start=1):
        norm = np.linalg.norm(g)
        g = g * (clip / norm if clip and norm > clip else 1)
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        w = w - rate * (m / (1 - b1**t) / (np.sqrt(v / (1 - b2**t)) + eps) + decay * w)
    return w


@pytest.mark.parametrize("clip", [0.0, 0.5])
def test_one_step_is_what_the_formula_says(clip):
    from populace.optim.optimisers import descend

    rng = np.random.default_rng(0)
    w, gradients = rng.normal(size=(3, 2)), rng.normal(size=(5, 3, 2))
    rule, found = Adam(), jnp.asarray(w, jnp.float32)
    memory = rule.rule().init(found)
    for g in gradients:
        found, memory = descend(
            found,
            jnp.asarray(g, jnp.float32),
            memory,
            optimizer=rule,
            rate=0.1,
            weight_decay=0.2,
            max_gradient_norm=clip,
        )
    np.testing.assert_allclose(found, adam_by_hand(gradients, w, 0.1, 0.2, clip), atol=1e-5)


def test_biases_do_not_decay():
    from populace.optim.optimisers import SGD, descend

    weights = (jnp.ones((2, 2)), jnp.ones(2))
    still = jax.tree.map(jnp.zeros_like, weights)
    moved, _ = descend(
        weights,
        still,
        SGD().rule().init(weights),
        optimizer=SGD(),
        rate=0.1,
        weight_decay=1.0,
        max_gradient_norm=0.0,
    )
    np.testing.assert_allclose(moved[0], 0.9)
    np.testing.assert_allclose(moved[1], 1.0)


@pytest.mark.parametrize(("schedule", "expected"), [
    (Constant(), [1, 1, 1, 1]),
    (Cosine(steps=20, end=0.1), [1, 0.55, 0.1, 0.1]),
    (Cosine(steps=20, warmup=10), [0.1, 1, 0, 0]),
    (Exponential(decay=0.25, every=20), [1, 0.5, 0.25, 0.25**1.5]),
    (Staircase(decay=0.5, every=20), [1, 1, 0.5, 0.5]),
])  # fmt: skip
def test_schedules(schedule, expected):
    found = [float(schedule.factor(jnp.int32(t))) for t in (0, 10, 20, 30)]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_the_split_is_drawn_class_by_class_and_rows_do_not_meet():
    x, y = blobs(100, classes=4)
    data = Data.from_classes(x, y, validation=0.2)
    assert not set(data.train.tolist()) & set(data.validation.tolist())
    assert len(data.train) + len(data.validation) == 100
    assert np.bincount(y[data.validation]).tolist() == [5, 5, 5, 5]
    np.testing.assert_allclose(np.asarray(data.inputs(jnp.asarray(data.x[data.train]))).mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(np.asarray(data.inputs(jnp.asarray(data.x[data.train]))).std(0), 1, atol=1e-5)


X, Y = blobs(30)
WHOLE = Data.from_classes(X, Y, validation=0.0)
HUGE = np.where(np.arange(30)[:, None] == 26, 1e39, X)
HOLED = np.where(np.arange(30)[:, None] == 7, np.nan, X)


def too_wide(inputs, outputs, key):
    return eqx.nn.Linear(5, outputs, key=key)


def too_narrow(inputs, outputs, key):
    return eqx.nn.Linear(2, 2, key=key)


@pytest.mark.parametrize(("make", "message"), [
    (lambda: Data.from_classes(X, Y[:-1]), "y has 29 rows; expected 30, one per example"),
    (lambda: Data.from_classes(X, Y - 1), "class labels go from 0"),
    (lambda: Data.from_classes(X, Y, classes=2), "class labels go from 0 to 1"),
    (lambda: Data.from_classes(X, Y + 0.5), "is a whole number from 0"),
    (lambda: Data.from_classes(HOLED, Y), "NaN or infinity in row 7"),
    (lambda: Data.from_classes(X[:0], Y[:0]), "expected at least one example"),
    (lambda: Data.from_classes(X, np.zeros(30)), "at least two classes"),
    (lambda: Data.from_classes(X, Y[:, None]), "one label per example"),
    (lambda: Data.from_classes(X.astype(str), Y), "x must hold numbers"),
    (lambda: Data.from_classes([[1, 2], [3]], [0, 1]), "its rows differ in length"),
    (lambda: Data.from_classes(X, Y, test=(X[:, :1], Y)), r"test x has examples of shape \(1,\); those of x"),
    (lambda: Data.from_classes(X, Y, test=(X, Y + 1)), r"test y\[\d+\] is 3; class labels go from 0 to 2"),
    (lambda: Data.from_classes(X, Y, test=X), "test must be a pair"),
    (lambda: Data.from_classes(X, Y, validation=1.0), r"share in \[0, 1\)"),
    (lambda: Data.from_classes(X, Y, standardise="rows"), "standardise must be one of"),
    (lambda: Data.from_targets(X, np.full(30, np.inf)), "y has NaN or infinity in row 0"),
    (lambda: Data.from_classes(HUGE, Y), "x is beyond float32's largest, 3.4e\\+38, in row 26; rescale it"),
    (lambda: Data.from_targets(X, HUGE), "y is beyond float32's largest, 3.4e\\+38, in row 26"),
    (lambda: sweep(classifier(plan=too_wide)), r"does not take examples of shape \(2,\): dot_general"),
    (lambda: sweep(classifier(top=3)), "top must be below the number of classes, 3, got 3"),
    (lambda: classifier().classify(None, HOLED), "x has NaN or infinity in row 7"),
    (lambda: sweep(Classifier()), "Classifier has no data"),
    (lambda: sweep(classifier(plan=too_narrow)), r"gives an output of shape \(2,\) .* needs \(3,\)"),
    (lambda: sweep(Classifier(WHOLE, patience=1)), "needs validation examples"),
    (lambda: classifier(batch_size=0), "batch must be >= 1"),
    (lambda: classifier().predict(None, X[:, :1]), r"expected \(2,\)"),
])  # fmt: skip
@pytest.mark.filterwarnings("error")
def test_bad_input_gets_one_clear_line(make, message):
    with pytest.raises(UsageError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_exhibits_are_pictures():
    for learner in (classifier(), regressor()):
        network = learner.init(jax.random.key(0)).network
        for picture in learner.visualize(network, jax.random.key(0)).values():
            assert picture.image.dtype == np.uint8
            assert picture.image.ndim == 3
            assert picture.image.std() > 5
            assert "test part" in picture.caption


def test_an_exhibit_names_the_part_that_stands_for_the_test_part():
    for share, part in ((0.2, "validation"), (0.0, "training")):
        classes = Data.from_classes(*blobs(30), validation=share)
        numbers = Data.from_targets(*line(30), validation=share)
        for learner, data in ((classifier(), classes), (regressor(), numbers)):
            learner = dataclasses.replace(learner, data=data)
            network = learner.init(jax.random.key(0)).network
            for picture in learner.visualize(network, jax.random.key(0)).values():
                assert f"{part} part" in picture.caption
            assert f"{part} examples again" in learner.test_description(1)


@pytest.mark.filterwarnings("error")
def test_values_far_from_zero_are_centred_before_float32():
    """The same data moved far away has the same inputs, targets and predictions, moved as far."""
    x, y = line()
    offset = np.array([1.7e9, 0])
    moved_x, moved_y = x + offset, y + 1e9
    near = Data.from_targets(x, y, test=line(seed=1), validation=0.2)
    test_x, test_y = line(seed=1)
    far = Data.from_targets(moved_x, moved_y, test=(test_x + offset, test_y + 1e9), validation=0.2)
    np.testing.assert_allclose(far.inputs(far.x), near.inputs(near.x), atol=1e-5)
    np.testing.assert_allclose(far.inputs(far.test_x), near.inputs(near.test_x), atol=1e-5)
    for one, other in zip(far.examples("test"), (test_x + offset, (test_y + 1e9)[:, None])):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-5)
    learner, moved = (dataclasses.replace(regressor(), data=data) for data in (near, far))
    network = learner.init(jax.random.key(0)).network
    expected = np.asarray(learner.predict(network, x), np.float64) + 1e9
    np.testing.assert_allclose(moved.predict(network, moved_x), expected, rtol=0, atol=1e-3)
    for judge in ("validation", "test"):
        one, other = (
            dataclasses.replace(i, judge=judge).evaluate(network, jax.random.key(0)) for i in (learner, moved)
        )
        for name in one:
            assert float(one[name].value) == pytest.approx(float(other[name].value), rel=1e-3)


def test_data_near_zero_is_kept_as_it_comes():
    x, y = line()
    data = Data.from_targets(x, y)
    np.testing.assert_array_equal(data.x, x.astype(np.float32))
    np.testing.assert_array_equal(data.y[:, 0], y.astype(np.float32))
    assert (data.origin, data.y_origin) == (0, 0)
    pixels = np.full((5, 4, 4, 1), 200, np.uint8)
    assert Data.from_classes(pixels, [0, 1, 0, 1, 0]).x.dtype == np.uint8


def test_a_column_that_float32_cannot_carry_is_told_where_nothing_is_taken_off():
    x, y = line()
    with pytest.warns(UserWarning, match="column 1 of x does not survive float32.*; standardise it"):
        Data.from_targets(x + np.array([0, 1.7e9]), y, standardise="none")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Data.from_targets(x, y, standardise="none")
        Data.from_targets(np.full((20, 1), 0.3) + np.arange(20)[:, None] % 2 * 1e-17, np.arange(20))
        Data.from_targets(np.arange(20) + 2**40, np.arange(20))


def test_data_of_another_learner_keeps_its_type():
    replaced = dataclasses.replace(regressor(), judge="train")
    assert replaced.data.part("train")[2].shape == (160,)
    assert len(line()[0]) == 200


# -- a run that is opened with another learner ----------------------------------------------------------


@pytest.fixture(scope="module")
def halted(tmp_path_factory):
    """A run of `classifier()` that was stopped with a checkpoint."""
    folder = tmp_path_factory.mktemp("halted") / "run"
    recipe = of_population("halted", sweep(classifier()), Options(steps=40, strategy="vmap", log_every=10))
    with pytest.raises(Stopped):
        run_recipe(recipe, folder, stop=lambda: True)
    return folder


def moved(learner):
    data = Data.from_classes(blobs()[0] + 1, blobs()[1], test=blobs(seed=1), validation=0.2)
    return dataclasses.replace(learner, data=data)


OTHERS = {
    "other data": (lambda: moved(classifier()), r"data are not those that '.*run' was trained on"),
    "another width": (
        lambda: classifier(network=MLP(hidden_sizes=(9,))),
        r"differs from the recipe.*network.hidden is \[9\], the run has \[8\]",
    ),
    "another kind of optimiser": (
        lambda: classifier(optimizer=Momentum()),
        r"differs from the recipe.*optimiser.kind is 'momentum', the run has 'adam'",
    ),
    "another rate": (lambda: classifier(learning_rate=0.5), "learning_rate is 0.5, the run has 0.01"),
    "another learner": (regressor, "was trained by a Classifier, not a Regressor"),
}


@pytest.mark.parametrize(("other", "message"), OTHERS.values(), ids=OTHERS)
def test_a_run_is_not_opened_with_another_learner(halted, other, message):
    with pytest.raises(UsageError, match=message):
        Run.load(halted, other())


def test_a_checkpoint_of_another_network_is_not_called_damaged(halted):
    """Two networks of the user's own look alike to a recipe."""
    other = dataclasses.replace(classifier(), plan=lambda i, o, key: eqx.nn.Linear(i[0], o, key=key))
    for act in (lambda run: run.resume(), lambda run: run.evaluate(1)):
        with pytest.raises(UsageError, match=r"checkpoint [0-9]+ of '.*run' does not fit the learner"):
            act(Run.load(halted, other))
    assert sorted(p.name for p in (halted / "checkpoints").iterdir())


def test_data_are_told_by_their_content_alone(halted):
    learner = classifier()
    run = Run.load(halted, dataclasses.replace(learner, data=jax.tree.map(jnp.asarray, learner.data)))
    assert run.resume().finished
    assert len(json.loads((halted / "data.json").read_text())["sha256"]) == 64
    (halted / "data.json").unlink()
    assert Run.load(halted, moved(classifier())).finished, "an older folder has no digest to go by"
