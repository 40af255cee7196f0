"""What examples and classes count for: in the split, the statistics, the loss, and every metric."""

import dataclasses

import equinox as eqx
import jax
import numpy as np
import pytest
from scipy.special import softmax
from sklearn import metrics as theirs
from sklearn.utils.class_weight import compute_sample_weight

from populace.core import settings
from populace.core.errors import UsageError
from populace.core.population import sweep
from populace.supervised import MLP, Classifier, Data, Momentum, Regressor
from tests import harness
from tests.supervised.problems import begun, blobs, line

COUNTS = np.arange(60) % 4
X, Y = blobs(60)
TARGETS = line(60)[1] + np.arange(60) / 10
NAMES = np.array(["ant", "bee", "cat"])[Y]
SMALL: dict = {"network": MLP(hidden_sizes=(4,)), "optimizer": Momentum(decay=0.0), "batch_size": 200}


def repeated(*arrays, by=COUNTS):
    return [np.repeat(a, by, axis=0) for a in arrays]


def pairs(**how):
    """Yield a learner whose examples have weights, and one that has each as often as its weight says."""
    for kind, make, y in ((Classifier, Data.from_classes, Y), (Regressor, Data.from_targets, TARGETS)):
        x_often, y_often = repeated(X, y)
        part, often = (X, y, COUNTS), (x_often, y_often)
        yield (
            kind(make(*part[:2], sample_weight=COUNTS, validation=part, test=part, **how), **SMALL),
            kind(make(*often, validation=often, test=often, **how), **SMALL),
        )


def test_an_example_of_weight_two_counts_as_two():
    """In the statistics of the data, in a step of gradient descent, and in every metric."""
    for weighted, often in pairs():
        for name in ("mean", "deviation", "y_mean", "y_deviation", "counts"):
            one, other = (getattr(learner.data, name) for learner in (weighted, often))
            if one is not None:
                np.testing.assert_allclose(one, other, rtol=1e-6)
        assert len(weighted.data.train) == np.count_nonzero(COUNTS)
        assert weighted.test_description(1) == f"the {np.count_nonzero(COUNTS)} test examples"
        state = begun(weighted)

        @eqx.filter_jit
        def told(learner, network):
            start = eqx.tree_at(lambda s: s.network, learner.init(jax.random.key(0)), network)
            start = learner.on_epoch_start(start, jax.random.key(1))
            after, training = learner.step(start, jax.random.key(2))
            judged = [
                learner.evaluate(network, jax.random.key(0)),
                learner.for_test(1).evaluate(network, None),
            ]
            return after.network, training, judged

        (network, training, judged), (other, more, again) = (
            told(learner, state.network) for learner in (weighted, often)
        )
        for a, b in zip(*(jax.tree.leaves(eqx.filter(n, eqx.is_array)) for n in (network, other))):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
        for one, two in ((training, more), *zip(judged, again)):
            assert set(one) == set(two)
            for name in one:
                assert float(one[name].value) == pytest.approx(float(two[name].value), rel=1e-4, abs=1e-6)


def test_metrics_are_those_of_scikit_learn():
    weight = np.linspace(0, 3, 60)
    for kind, make, y in ((Classifier, Data.from_classes, Y), (Regressor, Data.from_targets, TARGETS)):
        options = SMALL | ({"class_weight": "balanced"} if kind is Classifier else {"loss": "mae"})
        learner = kind(make(X, y, test=(X, y, weight), validation=0.2), **options)
        network = begun(learner).network
        found = eqx.filter_jit(learner.for_test(1).evaluate)(network, jax.random.key(0))
        said = np.asarray(learner.outputs(network, X))
        if kind is Classifier:
            balanced = compute_sample_weight("balanced", Y[learner.data.train])
            factor = np.array([balanced[Y[learner.data.train] == c][0] for c in range(3)])
            loss = theirs.log_loss(y, softmax(said.astype(float), 1), sample_weight=weight * factor[Y])
            expected = {
                "accuracy": theirs.accuracy_score(y, said.argmax(1), sample_weight=weight),
                "loss": loss,
            }
        else:
            expected = {
                "r2": theirs.r2_score(y, said, sample_weight=weight),
                "mae": theirs.mean_absolute_error(y, said, sample_weight=weight),
                "rmse": theirs.root_mean_squared_error(y, said, sample_weight=weight),
            }
        for name, value in expected.items():
            assert float(found[name].value) == pytest.approx(value, rel=1e-4), name


def test_an_example_of_weight_zero_is_not_there():
    weight, there = np.where(COUNTS > 0, 2.5, 0), COUNTS > 0
    x = np.where(there[:, None], X, 1e9)
    for make, y in ((Data.from_classes, Y), (Data.from_targets, TARGETS)):
        data, less = (
            make(x, y, sample_weight=weight, validation=0.2),
            make(X[there], y[there], validation=0.2),
        )
        assert data.weight is None, "all that are there count the same"
        for name in ("mean", "deviation", "y_mean", "y_deviation", "counts"):
            assert np.asarray(getattr(data, name)).tobytes() == np.asarray(getattr(less, name)).tobytes()
        for part in ("train", "validation"):
            for one, other in zip(data.examples(part), less.examples(part)):
                np.testing.assert_array_equal(one, other)


def test_weights_in_files_give_the_bits_of_weights_in_memory(tmp_path):
    """Trained with weights of examples and of classes, and judged with them."""
    np.save(tmp_path / "x.npy", X.astype(np.float32))
    np.save(tmp_path / "weight.npy", COUNTS + 0.5)
    found = []
    for x, weight in ((X.astype(np.float32), COUNTS + 0.5), (tmp_path / "x.npy", tmp_path / "weight.npy")):
        data = Data.from_classes(x, NAMES, sample_weight=weight, validation=0.2)
        options = SMALL | {"batch_size": 16, "evaluation_batch_size": 5, "class_weight": {"bee": 3.0}}
        engine = harness.only_trained(sweep(Classifier(data, **options), seeds=2), 7)
        (group_state,) = engine.group_states
        metrics = group_state.program.test(group_state.program.models(group_state.state()), 1, 0)
        found.append([np.asarray(leaf) for leaf in jax.tree.leaves((group_state.state().network, metrics))])
    for one, other in zip(*found, strict=True):
        assert one.tobytes() == other.tobytes()


@pytest.mark.parametrize(("rule", "expected"), [
    ("none", None),
    (None, None),
    ("balanced", [0.5, 1.0, 0.0, 2.0]),
    ({"a": 3, "d": 0.5}, [3.0, 1.0, 1.0, 0.5]),
    ({"kind": "per_class", "classes": ["b"], "values": [4.0]}, [1.0, 4.0, 1.0, 1.0]),
])  # fmt: skip
def test_weights_of_classes(rule, expected):
    """Balanced: 14 / (3 classes that there are * their examples), here in halves, ones and twos."""
    y = np.repeat(["a", "b", "d"], [8, 4, 2])
    data = Data.from_classes(np.arange(14)[:, None], y, names=["a", "b", "c", "d"], validation=0.0)
    learner = Classifier(data, class_weight=rule)
    learner.class_weight.check(data)
    again = settings.from_dict(Classifier, settings.to_dict(learner))
    assert again.class_weight == learner.class_weight
    weights = learner.class_weight.weights(data)
    if expected is None:
        assert weights is None
        return
    scale = 14 / (3 * 4) if rule == "balanced" else 1
    np.testing.assert_allclose(weights, scale * np.array(expected), rtol=1e-6)
    codes = np.asarray(data.y)
    assert np.asarray(learner.class_weight.factors(data))[codes].mean() == pytest.approx(1, rel=1e-6)


def test_a_sweep_over_weights_of_classes_has_a_group_for_each():
    learner = Classifier(Data.from_classes(X, Y, validation=0.2), **SMALL)
    population = sweep(learner, {"class_weight": ["none", "balanced", {1: 2.0}]})
    assert [type(group.learner.class_weight).kind for group in population.groups] == [
        "none", "balanced", "per_class",
    ]  # fmt: skip


def weighed(weight, **how):
    return Data.from_targets(X, TARGETS, sample_weight=weight, **how)


def classed(rule):
    return dataclasses.replace(Classifier(Data.from_classes(X, NAMES)), class_weight=rule).check()


@pytest.mark.parametrize(("make", "message"), [
    (lambda: weighed(COUNTS[:-1]), "sample_weight has 59 rows; expected 60, one per example"),
    (lambda: weighed(COUNTS[:, None]), r"sample_weight has shape \(60, 1\); expected \(60,\), one"),
    (lambda: weighed(COUNTS - 1), r"sample_weight\[0\] is -1; a weight is a finite number of at least 0"),
    (lambda: weighed(np.where(COUNTS == 3, np.nan, 1)), r"sample_weight\[3\] is nan; a weight is a finite"),
    (lambda: weighed(np.full(60, np.inf)), r"sample_weight\[0\] is inf; a weight is a finite number"),
    (lambda: weighed(0 * COUNTS), "sample_weight is zero for all examples; some weight must be above 0"),
    (lambda: weighed(np.full(60, 1e38)), "sample_weight adds up to more than float32's largest"),
    (lambda: weighed(["1"] * 60), "sample_weight must hold numbers, not text"),
    (lambda: weighed(None, test=(X, TARGETS, COUNTS[:-1])), "test sample_weight has 59 rows; expected 60"),
    (lambda: weighed(None, validation=(X, TARGETS, 0 * COUNTS)), "validation sample_weight is zero for all"),
    (lambda: weighed(None, test=(X, TARGETS, COUNTS, 1)), r"test must be \(x, y\) or .*, got tuple of 4"),
    (lambda: Data.from_classes(X, Y, sample_weight=Y == 1), "all examples to train on are of the class 1; a"),
    (lambda: classed({"owl": 1.0}), "unknown class 'owl' in class_weight; known: ant, bee, cat"),
    (lambda: classed({"ant": -1.0}), "class_weight.values must be >= 0, got -1.0"),
    (lambda: classed({"ant": "2"}), "class_weight must have a number for each class, got '2'"),
    (lambda: classed({"ant": 0, "bee": 0, "cat": 0}), "class_weight is zero for all training examples"),
    (lambda: classed("blanced"), "unknown kind 'blanced' of class_weight; did you mean 'balanced'"),
    (lambda: classed([1, 2, 3]), "class_weight must be one of none, balanced, per_class"),
])  # fmt: skip
@pytest.mark.filterwarnings("error")
def test_weights_that_cannot_be_get_one_clear_line(make, message):
    with pytest.raises(UsageError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)
