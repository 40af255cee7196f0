"""The image classifier: data sets by name, augmentation, exhibits, and its invariants."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.core.population import sweep
from populace.core.settings import from_dict, to_dict
from populace.images.classification.classifier import ImageClassifier
from populace.images.classification.networks import CNN
from populace.supervised.networks import MLP, NORMS
from tests import harness

SMALL = CNN(channels=(4, 8), kernel=3, hidden_sizes=(16,))


def small(**settings) -> ImageClassifier:
    options: dict = {"network": SMALL, "batch_size": 64, "learning_rate": 5e-3} | settings
    return ImageClassifier(**options)


def test_digits_are_read():
    population = sweep(small(), seeds=2)
    engine = harness.only_trained(population, population.learner_of(0).epochs(12))
    group_state = engine.group_states[0]
    found = group_state.program.test(group_state.program.models(group_state.state()), 1, 0)
    assert np.asarray(found["accuracy"].weight)[0] == 360
    assert (np.asarray(found["accuracy"].value)[:2] > 0.85).all()


def test_invariants(tmp_path):
    network = CNN(channels=(4,), kernel=3, hidden_sizes=(), norm="batch", channel_dropout=0.1)
    learner = small(network=network, mirror=True, shift=1, batch_size=256)
    harness.check_learner(learner, {"learning_rate": [5e-3, 1e-3]}, 8, tmp_path)


@pytest.mark.parametrize("norm", NORMS)
def test_every_norm_fits_images_and_vectors(norm):
    for plan in (CNN(channels=(4,), kernel=3, norm=norm), MLP(norm=norm)):
        learner = sweep(small(network=plan)).learner_of(0)
        after, _ = eqx.filter_eval_shape(
            lambda key, its=learner: its.step(its.init(key), key), jax.random.key(0)
        )
        assert eqx.filter_eval_shape(learner.evaluate, learner.model(after), jax.random.key(0))


def test_members_and_settings_share_one_copy_of_the_data():
    population = sweep(small(), {"learning_rate": [1e-2, 1e-3], "network.dropout": [0.0, 0.5]}, seeds=3)
    (group,) = population.groups
    assert group.learner.data.x.shape == (1437, 8, 8, 1)
    assert group.learner.data.x.dtype == np.uint8
    assert not any(jax.tree.leaves(group.varied.data))


def test_reading_a_recipe_needs_no_data(monkeypatch, tmp_path):
    monkeypatch.setenv("POPULACE_DATA", str(tmp_path))
    learner = from_dict(ImageClassifier, {"dataset": "mnist"})
    population = sweep(learner, {"learning_rate": [1e-2, 1e-3]})
    assert to_dict(population.learner)["dataset"] == "mnist"
    assert population.learner.data is None


@pytest.mark.parametrize("shift", [1, 3])
def test_shifts_are_those_of_a_loop(shift):
    x = np.random.default_rng(0).normal(size=(20, 6, 5, 2)).astype(np.float32)
    found = np.asarray(eqx.filter_jit(small(shift=shift).augment)(x, jax.random.key(1)))
    seen = set()
    for image, out in zip(x, found):
        wide = np.pad(image, ((shift, shift), (shift, shift), (0, 0)))
        matches = [
            (i, j)
            for i in range(2 * shift + 1)
            for j in range(2 * shift + 1)
            if np.array_equal(wide[i : i + 6, j : j + 5], out)
        ]
        assert matches
        seen.add(matches[0])
    assert len(seen) > 3


def test_half_of_the_pictures_are_mirrored_and_none_is_lost():
    x = np.random.default_rng(0).normal(size=(200, 3, 4, 1)).astype(np.float32)
    found = np.asarray(eqx.filter_jit(small(mirror=True).augment)(x, jax.random.key(1)))
    turned = [np.array_equal(a, b[:, ::-1]) for a, b in zip(found, x)]
    same = [np.array_equal(a, b) for a, b in zip(found, x)]
    assert all(a != b for a, b in zip(turned, same))
    assert 70 < sum(turned) < 130


@pytest.fixture(scope="module")
def begun():
    """A learner and its network before the first step."""
    learner = small().load_data()
    return learner, eqx.filter_jit(learner.init)(jax.random.key(0)).network


def test_exhibits_and_logs_are_drawn(begun):
    learner, network = begun
    shown = learner.visualize(network, jax.random.key(0))
    assert set(shown) == {"confusion", "calibration", "mistakes", "filters"}
    logs = learner.log_artifacts(network, jax.random.key(0))
    assert logs["predictions"].image.std() > 5
    assert {"activations/0-Conv2d", "activations/2-max_pool"} <= set(logs)
    assert logs["activations/0-Conv2d"].shape == (64, 8, 8, 4)


def test_no_pictures_get_no_classes(begun):
    learner, network = begun
    assert learner.predict(network, np.zeros((0, 8, 8, 1))).shape == (0,)


def test_the_networks_sizes():
    plan = CNN(channels=(16, 32), kernel=5, hidden_sizes=(128,))
    network = eqx.filter_eval_shape(plan.build, (28, 28, 1), 10, key=jax.random.key(0))
    weights = sum(x.size for x in jax.tree.leaves(network) if len(getattr(x, "shape", ())))
    assert weights == 25 * 16 + 16 + 25 * 16 * 32 + 32 + 7 * 7 * 32 * 128 + 128 + 128 * 10 + 10
    outputs = eqx.filter_eval_shape(network, jax.ShapeDtypeStruct((28, 28, 1), jnp.float32))
    assert outputs.shape == (10,)


@pytest.mark.parametrize(("make", "message"), [
    (lambda: small(dataset="mnits"), "dataset must be one of digits | mnist | cifar"),
    (lambda: small(validation=1.0), "validation must be in"),
    (lambda: small(shift=-1), "shift must be >= 0"),
    (lambda: small(network=CNN(channels=(4,) * 5)).load_data().check(), "5 pools of 2 are too many"),
    (lambda: CNN().build((28, 28), 10, key=jax.random.key(0)), "expected \\(height, width, channels\\)"),
])  # fmt: skip
def test_bad_input(make, message):
    with pytest.raises(UsageError, match=message.replace("|", r"\|")):
        make()
