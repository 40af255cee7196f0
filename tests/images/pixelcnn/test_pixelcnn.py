"""PixelCNN: exact probabilities, who sees whom, samples by caches, invariants and refusals."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import populace as pop
from populace.core.errors import UsageError
from populace.core.population import sweep
from populace.images.generative.given import image_data
from populace.images.pixelcnn import sampling
from populace.images.pixelcnn.learner import PixelCNNLearner, log_likelihood
from populace.images.pixelcnn.network import GatedPixelCNN
from tests import harness
from tests.images.bars import bars

PLAN = GatedPixelCNN(blocks=2, hidden=3, first_kernel=5)
KEY = jax.random.key(0)


X, Y = bars(4, 5)
DATA = image_data(X[:200], labels=Y[:200], test=X[200:], test_labels=Y[200:])


def small(**settings) -> PixelCNNLearner:
    options = {"data": DATA, "network": PLAN, "batch_size": 50, "learning_rate": 1e-2, "conditional": True}
    return PixelCNNLearner(**(options | settings))


def built(shape, levels: int, classes: int = 0, plan: GatedPixelCNN = PLAN):
    return eqx.filter_jit(plan.build)(shape, levels, classes, key=KEY)


def conditions(n: int, classes: int = 0) -> np.ndarray:
    return (
        np.eye(classes, dtype=np.float32)[np.arange(n) % classes] if classes else np.zeros((n, 0), np.float32)
    )


@pytest.mark.parametrize(("shape", "levels", "nats"), [((28, 28, 1), 2, 543.427), ((16, 16, 1), 4, 354.891)])
def test_zero_logits_have_the_entropy_of_equal_levels(shape, levels, nats):
    network = eqx.tree_at(
        lambda n: n.leave, built(shape, levels), replace_fn=lambda x: jax.tree.map(jnp.zeros_like, x)
    )
    x = np.random.default_rng(0).integers(0, levels, (2, *shape))
    found = eqx.filter_jit(log_likelihood)(network, x, conditions(2))
    np.testing.assert_allclose(found, -nats, atol=1e-3)


@pytest.mark.parametrize(("shape", "levels"), [((2, 2, 1), 2), ((1, 2, 2), 3)])
def test_probabilities_of_all_images_add_up_to_1(shape, levels):
    every = np.array(list(itertools.product(range(levels), repeat=int(np.prod(shape))))).reshape(-1, *shape)
    logs = eqx.filter_jit(log_likelihood)(built(shape, levels), every, conditions(len(every)))
    assert np.exp(np.asarray(logs, np.float64)).sum() == pytest.approx(1, abs=1e-5)
    assert np.ptp(logs) > 0.1


def test_no_pixel_sees_itself_or_a_later_one():
    shape, colors = (5, 4, 3), 3
    network = built(shape, 2)

    @eqx.filter_jit
    def seen(network, x):
        # Sums over levels would cancel what softmax ignores, so the levels are told apart.
        outputs = lambda x: network(x, jnp.zeros(0)) @ jnp.array([1.0, 2.7])  # noqa: E731
        return jax.jacobian(outputs)(x)

    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    size = int(np.prod(shape))
    influence = np.abs(np.asarray(seen(network, x))).reshape(size, size)
    later = np.triu(np.ones((size, size), bool))  # of pixels in raster order, colors innermost; itself too
    assert influence[later].max() == 0
    above, left = colors * shape[1], colors
    at = 3 * above + 2 * left  # red of row 3, column 2
    for color in range(colors):
        own = influence[at + color]
        assert (own[at : at + color] > 0).all()  # earlier colors of the same pixel
        assert (own[at - left : at] > 0).all()
        assert (own[at - above - left : at - above + 2 * left] > 0).all()


@pytest.mark.parametrize(("shape", "levels", "classes"), [((5, 4, 1), 2, 0), ((3, 4, 3), 4, 3)])
def test_samples_are_those_of_whole_passes(shape, levels, classes):
    n = 12
    known = np.random.default_rng(0).integers(0, levels, (n, *shape)).astype(np.int32)
    # Weights three times as large: logits then differ between positions by far more than rounding.
    network = jax.tree.map(lambda w: 3 * w, built(shape, levels, classes))
    given = (network, conditions(n, classes), jax.random.split(KEY, n))
    for temperature, start in ((1.0, 0), (0.5, 6)):
        rest = (jnp.float32(temperature), jnp.int32(start), known)
        quick, whole = np.asarray(sampling.drawn(*given, *rest)), sampling.recomputed(*given, *rest)
        np.testing.assert_array_equal(quick, whole)
        flat = quick.reshape(n, -1, shape[2])
        np.testing.assert_array_equal(flat[:, :start], known.reshape(flat.shape)[:, :start])
        assert set(np.unique(flat[:, start:])) == set(range(levels))


def test_samples_have_the_models_probabilities():
    network, n = jax.tree.map(lambda w: 2 * w, built((2, 2, 1), 2)), 4_000
    every = np.array(list(itertools.product(range(2), repeat=4))).reshape(-1, 2, 2, 1)
    p = np.exp(eqx.filter_jit(log_likelihood)(network, every, conditions(16)))
    made = sampling.drawn(
        network, conditions(n), jax.random.split(KEY, n), jnp.float32(1), jnp.int32(0),
        np.zeros((n, 2, 2, 1), np.int32),
    )  # fmt: skip
    counts = np.bincount(np.asarray(made).reshape(n, 4) @ [8, 4, 2, 1], minlength=16)
    assert np.sum((counts - n * p) ** 2 / (n * p)) < 37.7  # 99.9 % of chi-squared with 15 degrees
    assert p.max() > 2 * p.min()


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A trained run on white rows and columns."""
    out = tmp_path_factory.mktemp("runs") / "pixelcnn"
    return pop.train(sweep(small(), seeds=2), 300, strategy="map", evaluate_every=150, out=out)


def test_it_learns(run):
    for member in run.results()["members"]:
        metrics = member["test"]["metrics"]
        score = member["test"]["score"]
        assert 1.2 < score < 2.2  # one of four rows is log 4 = 1.386 nats, and so is a column
        assert metrics["bits_per_dim"] == pytest.approx(score / (20 * np.log(2)), rel=1e-5)


def test_a_trained_member_is_used(run, tmp_path):
    member = run.best()
    made = member.sample(40, label=np.repeat([0, 1], 20))
    assert made.shape == (40, 4, 5, 1)
    assert set(np.unique(made)) == {0, 1}
    rows, columns = made.mean((2, 3)).var(1), made.mean((1, 3)).var(1)
    assert ((rows > columns) == np.repeat([False, True], 20)).mean() > 0.9
    found = member.log_prob(X[:8], label=Y[:8])
    np.testing.assert_array_equal(member.log_prob(X[:8] / np.float32(255), label=Y[:8]), found)
    assert member.log_prob(X[:8], label=1 - Y[:8]).mean() < found.mean() - 3
    again = member.learner.complete(member.model, X[:6], 3, label=Y[:6], temperature=0.0)
    assert (again == X[:6] / 255).mean() > 0.9
    np.testing.assert_array_equal(again[:, :3], X[:6, :3] / 255)
    shown = member.visualize()
    assert set(shown) == {"samples", "completions"}
    assert all(picture.image.std() > 5 for picture in shown.values())
    member.save(tmp_path / "saved")
    loaded = pop.load_trained(tmp_path / "saved")
    np.testing.assert_array_equal(loaded.sample(5), member.sample(5))


def test_invariants(tmp_path):
    learner = small(network=GatedPixelCNN(blocks=1, hidden=2, first_kernel=3), evaluation_batch_size=7)
    harness.check_learner(learner, {"learning_rate": [1e-2, 3e-3]}, 9, tmp_path)


GREY = np.random.default_rng(0).integers(0, 256, (20, 4, 5, 1)).astype(np.uint8)
FOUR = (GREY // 64).astype(np.uint8)


@pytest.mark.parametrize(("rule", "levels", "images", "expected"), [
    ("uniform", 4, GREY, FOUR), ("uniform", 256, GREY, GREY), ("none", 4, FOUR, FOUR),
    ("none", 4, (FOUR / 3).astype(np.float32), FOUR), ("uniform", 4, (GREY / 255).astype(np.float32), None),
])  # fmt: skip
def test_levels(rule, levels, images, expected):
    learner = small(levels=levels, quantization=rule, data=image_data(images), conditional=False)
    learner.check()
    given = np.asarray(learner.data.x)
    found = np.asarray(learner.training_inputs(given, jnp.arange(len(given)), KEY))
    if expected is None:
        expected = np.minimum(np.floor(images * levels), levels - 1)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_allclose(learner.quantize(images), expected / (levels - 1), atol=1e-6)


@pytest.mark.parametrize("rule", ["dynamic", "static"])
def test_black_and_white_by_chance(rule):
    learner = small(quantization=rule, data=image_data(GREY), conditional=False)
    one, other = (
        np.asarray(learner.training_inputs(GREY, jnp.arange(20), jax.random.key(s))) for s in (0, 1)
    )
    assert np.array_equal(one, other) == (rule == "static")
    assert set(np.unique(one)) == {0, 1}
    assert one.mean() == pytest.approx(GREY.mean() / 255, abs=0.06)


def as_given(images: np.ndarray, levels: int) -> PixelCNNLearner:
    return small(quantization="none", levels=levels, data=image_data(images, labels=Y[:20]))


def call(name: str, *given, settings=None, **how):
    learner = small(**(settings or {}))
    model = eqx.filter_eval_shape(learner.build, KEY)
    return getattr(learner, name)(model, *given, **how)


@pytest.mark.parametrize(("make", "message"), [
    (lambda: as_given(GREY, 2).check(), "grey, where pixels are black or white"),
    (lambda: as_given(FOUR, 3).check(), "holds 3; 3 levels are 0 to 2"),
    (lambda: as_given(FOUR / 3, 3).check(), "multiples of 1/2"),
    (lambda: small(levels=4).check(), "quantization = dynamic makes pixels black or white, and levels is 4"),
    (lambda: small(data=image_data(X[:20])).check(), "needs the label of every image"),
    (lambda: small(levels=1), "levels must be in .2, 256., got 1"),
    (lambda: small(network=GatedPixelCNN(kernel=2)).check(), "kernel size must be odd"),
    (lambda: small(data=image_data(X[:20, ..., 0], labels=Y[:20])).check(), "takes images"),
    (lambda: call("log_prob", GREY, label=0), "learner.quantize"),
    (lambda: call("log_prob", X[:2]), "needs the label of each image"),
    (lambda: call("log_prob", X[:2, :3], label=0), r"the network takes \(4, 5, 1\)"),
    (lambda: call("sample", 3, label=2), "label must be a class from 0 to 1"),
    (lambda: call("sample", 3, label=1, settings={"conditional": False}), "one with conditional = true does"),
    (lambda: call("sample", 0), "n must be a whole number"),
    (lambda: call("sample", 3, temperature=-1.0), "temperature must be at least 0"),
    (lambda: call("complete", X[:2], -1, label=0), "rows must be a whole number"),
])  # fmt: skip
def test_bad_input(make, message):
    with pytest.raises(UsageError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)
