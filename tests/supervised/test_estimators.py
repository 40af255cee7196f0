"""The scikit-learn estimators, through scikit-learn's own checks."""

import pickle

import numpy as np
import pytest
from scipy.special import log_softmax
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.utils.estimator_checks import estimator_checks_generator

from populace.core.errors import UsageError
from populace.supervised import Data
from populace.supervised.estimators import PopulationClassifier, PopulationRegressor
from tests.supervised.problems import blobs, line

# Every check of `sklearn.utils.estimator_checks.check_estimator` runs, most of them with `-m slow`:
# each fits several times, and each fit compiles.
QUICK = {
    "check_estimators_unfitted", "check_fit_score_takes_y", "check_estimators_nan_inf",
    "check_classifiers_train", "check_regressors_train", "check_methods_subset_invariance",
    "check_methods_sample_order_invariance", "check_supervised_y_2d", "check_fit2d_1sample",
    "check_parameters_default_constructible", "check_n_features_in", "check_classifiers_one_label",
}  # fmt: skip


def checks():
    for estimator in (PopulationClassifier(members=2), PopulationRegressor(members=2)):
        for _, check in estimator_checks_generator(estimator):
            name = check.func.__name__
            marks = () if name in QUICK else (pytest.mark.slow,)
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
    with pytest.raises(ValueError, match=r"x is beyond float32's largest, .* in row 26"):
        model.fit(huge, y)
    with pytest.raises(ValueError, match=r"X is beyond float32's largest, .* in row 26"):
        model.fit(x, y).predict(huge)
