"""The scikit-learn estimators, through scikit-learn's own checks."""

import dataclasses
import json
import pickle

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse as sp
from scipy.special import log_softmax
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.utils.estimator_checks import estimator_checks_generator

from populace.core.errors import UsageError
from populace.supervised import Classifier, Data
from populace.supervised.estimators import PopulationClassifier, PopulationRegressor
from tests.supervised.problems import begun, blobs, line

# Every check of `sklearn.utils.estimator_checks.check_estimator` runs, most of them with `-m slow`:
# each fits several times, and each fit compiles.
QUICK = {
    "check_estimators_unfitted", "check_fit_score_takes_y", "check_estimators_nan_inf",
    "check_classifiers_train", "check_regressors_train", "check_methods_subset_invariance",
    "check_methods_sample_order_invariance", "check_supervised_y_2d", "check_fit2d_1sample",
    "check_parameters_default_constructible", "check_n_features_in", "check_classifiers_one_label",
    "check_all_zero_sample_weights_error", "check_classifiers_one_label_sample_weights",
}  # fmt: skip
# Of what both do by the same lines, one of them shows it.
SHARED = {
    "check_fit_score_takes_y", "check_estimators_nan_inf", "check_methods_sample_order_invariance",
    "check_fit2d_1sample", "check_n_features_in",
}  # fmt: skip


# Weights are summed in float32 in another order than repeated examples, and training carries the rounding on:
# the check asks for seven digits. `test_weights_are_repetition` asks for what float32 gives.
ROUNDS = {"check_sample_weight_equivalence_on_dense_data"}


def checks():
    for estimator in (PopulationClassifier(members=2), PopulationRegressor(members=2)):
        for _, check in estimator_checks_generator(estimator):
            name = check.func.__name__
            quick = QUICK - SHARED if isinstance(estimator, PopulationClassifier) else QUICK
            marks = [] if name in quick else [pytest.mark.slow]
            if name in ROUNDS:
                marks.append(pytest.mark.xfail(raises=AssertionError, reason="float32", strict=True))
            yield pytest.param(estimator, check, id=f"{type(estimator).__name__}-{name}", marks=marks)


@pytest.mark.parametrize(("estimator", "check"), list(checks()))
def test_scikit_learn_check(estimator, check):
    check(estimator)


def test_iris():
    x, y = load_iris(return_X_y=True, as_frame=False)
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    scores = cross_val_score(PopulationClassifier(members=2, epochs=40), x, names, cv=3)
    assert scores.mean() > 0.93


def test_members_disagree_far_from_the_data():
    x, y = line()
    model = PopulationRegressor(members=4, epochs=30).fit(x, y)
    assert model.score(x, y) > 0.98
    far = model.spread(np.array([[30.0, -30.0]]))
    assert far.mean() > 5 * model.spread(x).mean()


def test_a_pickled_estimator_predicts_the_same():
    x, y = blobs()
    model = PopulationClassifier(members=2, epochs=5).fit(x, y)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(model.predict_proba(x), again.predict_proba(x))
    assert model.predict_proba(x).sum(1) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("kind", [PopulationClassifier, PopulationRegressor])
def test_early_stopping_predicts_with_the_weights_of_the_lowest_validation_loss(kind):
    """Nothing can be learned: the validation loss soon rises, and the last weights are among the worst."""
    x, y = blobs(60)
    y = np.random.default_rng(0).permutation(y)
    held = {"members": 2, "validation": 0.5, "learning_rate": 3e-2, "batch_size": 15}

    def losses(**how):
        model = kind(**held, **how).fit(x, y)
        if kind is PopulationRegressor:
            data = Data.from_targets(x, y, validation=0.5)
            return ((model._every(x)[:, data.validation] - y[data.validation]) ** 2).mean(1)
        data = Data.from_classes(x, y, validation=0.5)
        outputs = log_softmax(model._outputs(x)[:, data.validation], axis=-1)
        return -np.take_along_axis(outputs, y[data.validation][None, :, None], -1).mean((1, 2))

    best, early, last = losses(epochs=12, patience=12), losses(epochs=5), losses(epochs=12)
    assert (best <= 1.0001 * np.minimum(early, last)).all()
    assert best.mean() < 0.98 * last.mean()


@pytest.mark.parametrize(("parameters", "message"), [
    ({"epochs": 0}, "epochs must be at least 1, got 0"),
    ({"epochs": -5}, "epochs must be at least 1, got -5"),
    ({"epochs": "5"}, "epochs must be a whole number, got '5'"),
    ({"members": 2.5}, "members must be a whole number, got 2.5"),
    ({"members": 0}, "members must be at least 1, got 0"),
    ({"batch_size": None}, "batch_size must be a whole number, got None"),
    ({"strategy": "foo"}, "strategy must be auto, vmap, map or a number of members at a time, got 'foo'"),
    ({"learning_rate": "fast"}, "learning_rate must be a float, got 'fast'"),
])  # fmt: skip
def test_a_parameter_that_cannot_be_is_told_by_fit(parameters, message):
    model = PopulationClassifier(**parameters)
    with pytest.raises(UsageError) as refused:
        model.fit(*blobs(30))
    assert str(refused.value) == message


def test_parameters_may_be_numbers_of_numpy():
    search = GridSearchCV(
        PopulationClassifier(epochs=np.int64(1), batch_size=np.int64(64), strategy=1),
        {"members": np.arange(1, 3)},
        cv=2,
        refit=False,
    )
    assert len(search.fit(*blobs(60)).cv_results_["params"]) == 2
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_values_far_from_zero_are_learned_as_well():
    x, y = blobs(120)
    model = PopulationClassifier(members=1, epochs=20).fit(x + 1.7e9, y)
    assert model.score(x + 1.7e9, y) > 0.95
    x, y = line()
    model = PopulationRegressor(members=1, epochs=30).fit(x, y + 1e9)
    assert model.score(x, y + 1e9) > 0.98


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_values_beyond_float32_are_refused():
    x, y = blobs(30)
    huge = np.where(np.arange(30)[:, None] == 26, 1e39, x)
    model = PopulationClassifier(members=1, epochs=1)
    with pytest.raises(ValueError, match=r"X is beyond float32's largest, .* in row 26"):
        model.fit(huge, y)
    with pytest.raises(ValueError, match=r"X is beyond float32's largest, .* in row 26"):
        model.fit(x, y).predict(huge)


@pytest.mark.parametrize(("kind", "y"), [
    (PopulationClassifier, np.array(["ant", "bee", "cat"])[blobs(60)[1]]), (PopulationRegressor, line(60)[1]),
])  # fmt: skip
def test_weights_are_repetition(kind, y):
    """In whole batches, so that the order of examples does not matter, and over the same number of steps."""
    x, counts = blobs(60)[0], np.arange(60) % 4
    how = {"members": 1, "epochs": 20, "batch_size": 1000, "learning_rate": 3e-3}
    weighted = kind(**how).fit(pd.DataFrame(x), y, sample_weight=pd.array(counts, "Int64"))
    often = kind(**how).fit(np.repeat(x, counts, axis=0), np.repeat(y, counts))
    plain = kind(**how).fit(x, y)
    one, other, third = (model._outputs(x) for model in (weighted, often, plain))
    np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)
    assert np.abs(one - third).max() > 0.01
    expected = often.score(np.repeat(x, counts, axis=0), np.repeat(y, counts))
    assert weighted.score(x, y, counts) == pytest.approx(expected, rel=1e-4)


def test_weights_of_classes_move_the_border():
    _, y = blobs(60)
    names = np.array(["ant", "bee", "cat"])[y]
    x = np.random.default_rng(0).normal(size=(60, 2))  # which tells nothing of the class
    how = {"members": 1, "epochs": 10}
    shares = [
        (PopulationClassifier(**how, class_weight=rule).fit(x, names).predict_proba(x).mean(0))
        for rule in (None, {"bee": 1000.0})
    ]
    assert shares[1][1] > 2 * shares[0][1]
    with pytest.raises(UsageError, match="unknown class 'owl' in class_weight; known: ant, bee, cat"):
        PopulationClassifier(**how, class_weight={"owl": 2.0}).fit(x, names)


def test_tables_are_accepted_alike_by_fit_predict_and_score():
    x, y = blobs(30)
    names = [("ant", "bee", "cat")[i] for i in y]
    columns = {"u": x[:, 0], "v": x[:, 1]}
    frame = pd.DataFrame(columns)
    tables = [frame, frame.convert_dtypes(), frame.astype(object), pl.DataFrame(columns), pa.table(columns)]
    models = [PopulationClassifier(members=1, epochs=3).fit(table, names) for table in tables]
    learner = Classifier(Data.from_classes(tables[1], pd.Series(names, dtype="string")))
    model = begun(learner).network
    for one, table in zip(models, tables):
        assert one.feature_names_in_.tolist() == list(learner.data.columns) == ["u", "v"]
        np.testing.assert_array_equal(one.predict(table), models[0].predict(frame))
        for labels in (names, pd.Series(names, dtype="string"), pl.Series(names), pa.array(names)):
            assert one.score(table, labels) == models[0].score(frame, names)
        said = learner.predict(model, table)
        assert set(said) <= set(names)
        np.testing.assert_array_equal(said, learner.predict(model, x))
    scaling = json.loads(json.dumps(learner.data.scaling(), default=np.ndarray.tolist))
    saved = dataclasses.replace(learner, data=Data.from_scaling(scaling))
    np.testing.assert_array_equal(saved.predict(model, x), learner.predict(model, x))


HOLE = pd.DataFrame({"u": pd.array([1, 2, None], "Int64"), "v": [1.0, 2.0, 3.0]})


@pytest.mark.parametrize(("table", "message"), [
    (sp.csr_array(np.eye(3, 2)), r"[xX] is a sparse csr_array of shape \(3, 2\); give it dense"),
    (HOLE, "column 'u' of .*[xX] has a missing value in row 2; remove or fill it"),
    (pl.from_pandas(HOLE), "column 'u' of .*[xX] has a missing value in row 2; remove or fill it"),
    (pa.table(HOLE), "column 'u' of .*[xX] has a missing value in row 2; remove or fill it"),
    (HOLE.astype(object), "column 'u' of .*[xX] has a missing value in row 2; remove or fill it"),
    (pd.DataFrame({"u": ["a", "b", "c"], "v": 1.0}), "column 'u' of .*[xX] must hold numbers, not text"),
    (np.array([["1", "2"]] * 3), "[xX] must hold numbers, not text; row 0, column 0 has '1'"),
    ([[1, 2], [3, None], [1, 2]], "[xX] has a missing value in row 1, column 1"),
    (np.array([[1, 2], [3, np.inf], [1, 2]]), "[xX] has NaN or infinity in row 1; remove or fill it"),
    (np.zeros((3, 0)), r"[xX] has 0 feature\(s\)"),
], ids=lambda v: type(v).__module__)  # fmt: skip
def test_what_cannot_be_read_is_refused_alike_everywhere(fitted, table, message):
    model, learner, network = fitted
    answers = np.array([0, 1, 1])
    for act in (
        lambda: PopulationClassifier().fit(table, answers),
        lambda: PopulationRegressor().fit(table, answers),
        lambda: model.predict(table),
        lambda: model.predict_proba(table),
        lambda: model.spread(table),
        lambda: model.score(table, answers),
        lambda: Data.from_classes(table, answers),
        lambda: Data.from_targets(table, answers),
        lambda: Data.from_classes(np.eye(3, 2), answers, test=(table, answers)),
        lambda: learner.predict(network, table),
        lambda: learner.predict_proba(network, table),
    ):
        with pytest.raises(UsageError, match=message) as caught:
            act()
        assert "\n" not in str(caught.value)


@pytest.fixture(scope="module")
def fitted():
    """An estimator, and a learner with an untrained network, of two columns."""
    x, y = blobs(30)
    learner = Classifier(Data.from_classes(pd.DataFrame(x, columns=["u", "v"]), y))
    return PopulationClassifier(members=1, epochs=1).fit(x, y), learner, begun(learner).network


@pytest.mark.parametrize(("columns", "message"), [
    (["v", "u"], "x has its columns in another order: 'v' is where the training examples have 'u'"),
    (["u", "w"], "x has a column 'w', which the training examples have not; drop it"),
    (["u"], "x has no column 'v', which the training examples have"),
])  # fmt: skip
def test_columns_must_be_those_of_training(fitted, columns, message):
    _, learner, network = fitted
    frame = pd.DataFrame(np.zeros((3, len(columns))), columns=columns)
    with pytest.raises(UsageError, match=message):
        learner.predict(network, frame)
    kept = dataclasses.replace(learner, data=Data.from_scaling(learner.data.scaling()))
    with pytest.raises(UsageError, match=message):
        kept.predict(network, frame)
    if len(columns) == 2:
        with pytest.raises(UsageError, match=f"test {message}"):
            Data.from_classes(
                pd.DataFrame(np.eye(3, 2), columns=["u", "v"]), [0, 1, 0], test=(frame, [0, 1, 0])
            )
