"""The scikit-learn estimators, through scikit-learn's own checks."""

import pickle

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.model_selection import cross_val_score
from sklearn.utils.estimator_checks import estimator_checks_generator

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


@pytest.mark.parametrize(("estimator", "check"), checks())
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
