"""Autoencoder, VAE and conditional VAE: that they learn, what they make, invariants and refusals."""

import dataclasses
import math
import warnings

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import populace as pop
from populace.core.errors import UsageError
from populace.core.population import sweep
from populace.images.autoencoders import pictures
from populace.images.autoencoders.autoencoder import Autoencoder
from populace.images.autoencoders.networks import Convolutional, Dense
from populace.images.autoencoders.vae import VAE, ConditionalVAE
from populace.images.datasets.splits import resolved
from populace.images.generative.given import image_data
from populace.images.generative.pictures import tiled
from tests import harness
from tests.images.bars import bars

KINDS = {"autoencoder": Autoencoder, "vae": VAE, "conditional-vae": ConditionalVAE}
DENSE = Dense(hidden_sizes=(32,))
OPTIONS: dict = {"strategy": "map"}
RNG = np.random.default_rng(0)


X, Y = bars(5, 6, ground=12, bright=240)
DATA = image_data(X[:200], labels=Y[:200], test=X[200:], test_labels=Y[200:])


def small(kind: str, **settings):
    options = {
        "data": DATA,
        "network": DENSE,
        "batch_size": 50,
        "learning_rate": 1e-2,
        "importance_samples": 20,
    }
    if kind == "autoencoder":
        del options["importance_samples"]
    return KINDS[kind](**(options | settings))


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A trained run of each kind."""
    folder = tmp_path_factory.mktemp("runs")
    return {
        kind: pop.train(
            sweep(small(kind), seeds=2), 400, strategy="map", evaluate_every=200, out=folder / kind
        )
        for kind in KINDS
    }


def test_they_learn(runs):
    found = {kind: run.results()["members"] for kind, run in runs.items()}
    errors = [m["test"]["score"] for m in found["autoencoder"]]
    assert max(errors) < 0.3 * (X / 255.0).var(), errors
    for kind in ("vae", "conditional-vae"):
        for member in found[kind]:
            metrics = member["test"]["metrics"] | {"elbo": member["test"]["score"]}
            # Knowing the mean of each pixel alone takes 16.3 nats, and the entropy of the noise is about 6.
            assert -14 < metrics["elbo"] <= metrics["log_p"] < -6, metrics
            assert metrics["elbo"] == pytest.approx(-metrics["reconstruction"] - metrics["kl"], abs=1e-3)
            assert metrics["loss"] == pytest.approx(-metrics["elbo"], abs=1e-3)
            assert metrics["active_units"] >= 1
    assert runs["vae"].metrics("evaluation").num_rows


def test_the_asked_class_is_made(runs):
    member = runs["conditional-vae"].best()
    made = member.sample(60, label=np.repeat([0, 1], 30))[..., 0]
    rows, columns = made.mean(2).var(1), made.mean(1).var(1)
    assert ((rows > columns) == np.repeat([False, True], 30)).mean() > 0.9
    np.testing.assert_array_equal(member.sample(4), member.sample(4, label=[0, 1, 0, 1]))


@pytest.mark.parametrize("kind", KINDS)
def test_a_trained_member_is_used(kind, runs, tmp_path):
    member = runs[kind].best()
    told = {"label": Y[:6]} if kind == "conditional-vae" else {}
    z = member.encode(X[:6], **told)
    assert z.shape == (6, 2)
    np.testing.assert_array_equal(member.encode(X[:6] / np.float32(255), **told), z)
    again = member.decode(z, **told)
    assert again.shape == (6, 5, 6, 1)
    assert 0 <= again.min() <= again.max() <= 1
    one = {"label": 0} if told else {}
    path = member.interpolate(X[0], X[1], steps=5, **one)
    ends = member.decode(member.encode(X[:2], **one), **one)
    np.testing.assert_allclose(path[[0, -1]], ends, atol=1e-5)
    np.testing.assert_array_equal(member.sample(3, seed=4), member.sample(3, seed=4))
    assert np.ptp(member.sample(8, temperature=0.0, **one), 0).max() < 1e-5
    member.save(tmp_path / "saved")
    loaded = pop.load_trained(tmp_path / "saved")
    np.testing.assert_array_equal(loaded.encode(X[:6], **told), z)
    np.testing.assert_allclose(loaded.sample(5), member.sample(5), atol=1e-5)


def test_a_vae_has_a_likelihood(runs):
    member = runs["vae"].best()
    binary = member.learner.binarize(X[200:])
    assert set(np.unique(binary)) == {0, 1}
    np.testing.assert_allclose(binary.mean(), X[200:].mean() / 255, atol=0.03)
    one, many = (member.log_prob(binary, samples=k).mean() for k in (1, 200))
    assert one < many < -6
    noise = member.log_prob((RNG.random((40, 5, 6, 1)) < 0.5).astype(np.float32), samples=20)
    assert noise.mean() < many - 5


def test_grey_images_have_a_likelihood_of_their_levels(tmp_path):
    learner = small("vae", likelihood="logistic", network=Dense(hidden_sizes=(32,)))
    run = pop.train(sweep(learner, seeds=1), 600, strategy="map", out=tmp_path / "run")
    metrics = run.results()["members"][0]["test"]["metrics"]
    elbo = metrics["reconstruction"] + metrics["kl"]  # nats, with the sign of a loss
    assert metrics["bits_per_dim"] == pytest.approx(elbo / 30 / math.log(2), rel=1e-4)
    assert metrics["log_p"] >= -elbo
    assert metrics["bits_per_dim"] < 5  # uniform levels take 8
    member = run.best()
    grey = X[200:220].astype(np.float32) / 255
    found = member.log_prob(grey, samples=20)
    assert found.mean() > -8 * 30 * math.log(2)
    np.testing.assert_allclose(member.log_prob(grey + 1e-4, samples=20), found, rtol=1e-5)
    assert member.sample(3).shape == (3, 5, 6, 1)


def test_a_dense_encoder_is_told_the_class_by_a_number_each():
    shapes = eqx.filter_eval_shape(small("conditional-vae").build, jax.random.key(0))
    first = next(layer for layer in shapes.encoder.layers if hasattr(layer, "weight"))
    assert first.weight.shape == (32, 5 * 6 + small("conditional-vae").classes)


def test_collapse_is_said_of_the_final_evaluation():
    learner = small("vae", latents=3)
    said = learner.caveats({"active_units": np.array([3.0, 0.0, 2.0, np.nan])})
    assert [note.partition(":")[2].partition(";")[0] for note in said] == [
        " 0 to 2 of 3 latents carry something, the others nothing"
    ]
    assert said[0].startswith("Posterior collapse in 2 of 4 members: ")
    assert not learner.caveats({"active_units": np.array([3.0, 3.0])})


def test_pictures_are_drawn_and_collapse_is_warned(runs):
    member = runs["vae"].best()
    shown = member.visualize()
    assert set(shown) == {"latent", "reconstructions", "grid", "samples", "information"}
    assert all(picture.image.std() > 5 for picture in shown.values())
    dead = eqx.tree_at(lambda m: m.encoder.layers[-1].weight, member.model, replace_fn=jnp.zeros_like)
    with pytest.warns(UserWarning, match="posterior collapse: 2 of 2 latents"):
        caption = pictures.information(member.learner, dead).caption
    assert "0 of 2 are active" in caption
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        shown = runs["autoencoder"].best().visualize()
    assert set(shown) == {"latent", "reconstructions", "grid", "samples"}
    logged = runs["conditional-vae"].best()
    assert set(logged.learner.log_artifacts(logged.model, jax.random.key(0))) == {
        "reconstructions",
        "samples",
    }


@pytest.mark.parametrize("latents", [1, 5])
def test_pictures_of_any_latent(latents):
    learner = small("vae", latents=latents, data=image_data(X[:40] / 255))
    network = eqx.filter_jit(learner.build)(jax.random.key(0))
    shown = learner.visualize(network, jax.random.key(0))
    assert shown["grid"].image.std() > 5
    assert ("principal" in shown["latent"].caption) == (latents > 2)


def test_tiles_are_where_they_belong():
    images = np.arange(3, dtype=np.float32).reshape(3, 1, 1, 1).repeat(2, 1) / 2
    picture = tiled(images, 2)
    assert picture.shape == (5, 3, 3)
    assert picture[:, :, 0].tolist() == [[0, 128, 128]] * 2 + [[128] * 3] + [[255, 128, 128]] * 2


# A conditional VAE does all that a VAE does.
@pytest.mark.parametrize(
    "kind", ["autoencoder", "conditional-vae", pytest.param("vae", marks=pytest.mark.slow)]
)
def test_invariants(kind, tmp_path):
    axes = {"learning_rate": [1e-2, 3e-3]} if kind == "autoencoder" else {"beta": [1.0, 0.3]}
    network = Convolutional(channels=(3, 4)) if kind == "autoencoder" else DENSE
    # Several batches: XLA unrolls the loop over a single one, and may then round by what it finds around it.
    learner = small(kind, network=network, batch_size=90, evaluation_batch_size=7)
    harness.check_learner(learner, axes, 9, tmp_path)


@eqx.filter_jit
def terms_of(learner, step: int = 0):
    """Return the terms and the losses of nine images, in the step after so many."""
    network = learner.build(jax.random.key(0))
    x = learner.training_inputs(X[:9], jnp.arange(9), jax.random.key(1))
    outputs, _ = learner.training_pass(network, x, Y[:9], jax.random.key(2), jnp.ones(9), jnp.int32(step))
    return outputs, outputs.elbo, learner.losses(outputs, Y[:9])


def test_beta_and_its_warm_up_change_the_loss():
    _, elbo, loss = terms_of(small("vae"))
    np.testing.assert_allclose(loss, -elbo, rtol=1e-6)
    heavy, _, more = terms_of(small("vae", beta=4.0))
    np.testing.assert_allclose(more - loss, 3 * np.asarray(heavy.kl).sum(1), rtol=1e-3)
    warming = small("vae", beta=2.0, beta_warmup=10.0)
    assert [float(warming.beta_at(jnp.int32(t))) for t in (0, 4, 9, 99)] == pytest.approx(
        [0.2, 1.0, 2.0, 2.0]
    )
    np.testing.assert_allclose(terms_of(warming, 4)[2], loss, rtol=1e-5)


@pytest.mark.parametrize("rule", ["dynamic", "static", "none"])
def test_binarization(rule):
    data = image_data((X > 128).astype(np.float32)) if rule == "none" else DATA
    learner = small("vae", binarization=rule, data=data)
    images = np.asarray(learner.data.x)[:50]
    inputs = eqx.filter_jit(learner.training_inputs)
    one, other = (np.asarray(inputs(images, jnp.arange(50), jax.random.key(seed))) for seed in range(2))
    assert set(np.unique(one)) == {0, 1}
    assert np.array_equal(one, other) == (rule != "dynamic")
    if rule == "static":
        assert one.mean() == pytest.approx(X[:50].mean() / 255, abs=0.05)
        moved = dataclasses.replace(learner, binarization_seed=1)
        assert not np.array_equal(one, moved.training_inputs(images, jnp.arange(50), jax.random.key(0)))


def test_the_networks_shapes():
    plan = Convolutional(channels=(4, 8))
    for shape in ((28, 28, 1), (9, 5, 3), (1, 2, 1)):
        network = eqx.filter_eval_shape(
            lambda key, s=shape: plan.build(s, 6, 3, 2, key=key), jax.random.key(0)
        )
        image, told = jax.ShapeDtypeStruct(shape, jnp.float32), jax.ShapeDtypeStruct((2,), jnp.float32)
        assert eqx.filter_eval_shape(network.encode, image, told).shape == (6,)
        z = jax.ShapeDtypeStruct((3,), jnp.float32)
        assert eqx.filter_eval_shape(network.decode, z, told).shape == shape


def test_mnist_is_taken_where_it_is(monkeypatch, tmp_path):
    monkeypatch.setenv("POPULACE_DATA", str(tmp_path))
    monkeypatch.setenv("POPULACE_CACHE", str(tmp_path))
    assert resolved("mnist-or-digits") == "digits"
    for part, size in (("train", "images-idx3"), ("train", "labels-idx1"), ("t10k", "images-idx3"),
                       ("t10k", "labels-idx1")):  # fmt: skip
        assert Autoencoder().task_name == "digits"
        (tmp_path / f"{part}-{size}-ubyte").touch()
    assert Autoencoder().task_name == "mnist"


GREY = image_data(X[:20])
TARGETS = image_data(X[:20] / 255.0)
Z = np.zeros((2, 2))


def built(kind: str, **settings):
    learner = small(kind, **settings)
    return learner, eqx.filter_eval_shape(learner.build, jax.random.key(0))


def call(name: str, kind: str, *given, **how):
    learner, model = built(kind)
    return getattr(learner, name)(model, *given, **how)


@pytest.mark.parametrize(("make", "message"), [
    (lambda: small("conditional-vae", data=GREY).check(), "needs the label of every image"),
    (lambda: small("vae", binarization="none").check(), "image 0 is grey, a Bernoulli likelihood"),
    (lambda: call("log_prob", "vae", X[:2]), "is grey"),
    (lambda: call("encode", "vae", np.zeros((2, 5, 5, 1))), r"the network takes \(5, 6, 1\)"),
    (lambda: call("encode", "vae", X[:2].astype(np.float32)), "holds 240; images of floats"),
    (lambda: small("vae", data=image_data(X[:20] * 2.0)).check(), "an image holds"),
    (lambda: small("vae", data=image_data(X[:20, ..., 0])).check(), "takes images"),
    (lambda: call("encode", "conditional-vae", X[:2]), "needs the label of each image"),
    (lambda: call("encode", "conditional-vae", X[:2], label=2), "label must be a class from 0 to 1"),
    (lambda: call("encode", "conditional-vae", X[:2], label="cat"), "unknown class 'cat'"),
    (lambda: call("encode", "conditional-vae", X[:2], label=[0, 1, 1]), "one class, or one for each of 2"),
    (lambda: call("sample", "vae", 3, label=1), "knows no labels"),
    (lambda: call("sample", "vae", 0), "n must be a whole number of at least 1"),
    (lambda: call("sample", "vae", 3, temperature=-1), "temperature must be at least 0"),
    (lambda: call("decode", "vae", np.zeros((2, 3))), r"expected \(N, 2\)"),
    (lambda: small("vae", network_fn=lambda *a: None).check(), "takes no network_fn"),
    (lambda: image_data(X, labels=Y, test=X), "the test images have no labels"),
    (lambda: small("vae", beta=-1.0), "beta must be >= 0"),
    (lambda: small("vae", latents=0), "latents must be >= 1"),
])  # fmt: skip
def test_bad_input(make, message):
    with pytest.raises(UsageError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_who_has_no_likelihood_says_so(runs):
    with pytest.raises(UsageError, match="Autoencoder has no likelihood"):
        runs["autoencoder"].best().log_prob(X)


def test_samples_from_the_command_line(runs, tmp_path, cli):
    from PIL import Image

    out = tmp_path / "grid.png"
    folder = str(runs["conditional-vae"].best().save(tmp_path / "saved"))
    found = cli("sample", folder, "--n", "6", "--label", "1", "--out", str(out))
    assert found.code == 0, found.err
    assert found.out.strip().endswith("grid.png")
    with Image.open(out) as picture:
        width, height = picture.size
    assert (width / 20, height / 11) == (32, 32)  # 3 x 2 images of 6 x 5 with lines between them, enlarged
    found = cli("sample", folder, "--label", "7")
    assert found.code == 2
    assert "label must be a class from 0 to 1" in found.err
    assert "ends with .png" in cli("sample", folder, "--out", "grid.gif").err
    assert (
        "takes no --guidance; it is one of diffusion models" in cli("sample", folder, "--guidance", "2").err
    )
