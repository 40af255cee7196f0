"""Diffusion: that it learns, what it makes, invariants and refusals."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import populace as pop
from populace.core.errors import UsageError
from populace.core.population import sweep
from populace.images.diffusion.learner import Diffusion
from populace.images.diffusion.unet import UNet
from populace.images.generative.given import image_data
from tests import harness
from tests.images.bars import bars

PLAN = UNet(channels=(8, 8), groups=2)
KEY = jax.random.key(0)


X, Y = bars(4, 4)
DATA = image_data(X[:200], labels=Y[:200], test=X[200:], test_labels=Y[200:])


def small(**settings) -> Diffusion:
    options = {
        "data": DATA, "network": PLAN, "batch_size": 50, "learning_rate": 1e-2, "conditional": True,
        "timesteps": 40, "sampler_steps": 10, "ema_decay": 0.98, "prediction": "v",
    }  # fmt: skip
    return Diffusion(**(options | settings))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A trained run on bright rows and columns."""
    out = tmp_path_factory.mktemp("runs") / "diffusion"
    return pop.train(sweep(small(), seeds=2), 400, strategy="map", evaluate_every=200, out=out)


def test_it_learns(run):
    for member in run.results()["members"]:
        assert member["test"]["score"] < 3  # 8 bits are those of a pixel of which nothing is known
        assert member["test"]["metrics"]["loss"] < 0.5


def test_a_trained_member_is_used(run, tmp_path):
    member = run.best()
    made = member.sample(40, label=np.repeat([0, 1], 20))
    assert made.shape == (40, 4, 4, 1)
    assert 0 <= made.min() <= made.max() <= 1
    rows, columns = made.mean((2, 3)).var(1), made.mean((1, 3)).var(1)
    assert ((rows > columns) == np.repeat([False, True], 20)).mean() > 0.9
    np.testing.assert_array_equal(member.sample(3, seed=4), member.sample(3, seed=4))
    assert np.abs(member.sample(6, steps=40, eta=1.0) - member.sample(6)).max() > 1e-3
    found = member.log_prob(X[:8], label=Y[:8])
    assert (found > member.log_prob(X[:8], label=1 - Y[:8])).mean() > 0.8
    way = member.learner.trajectory(member.model, 6)
    np.testing.assert_allclose(way[-1], member.sample(6), atol=1e-6)
    # The way is as many images as there are steps: samples are made without it.
    parts = member.learner._drawn(member.model, np.eye(2)[[0, 1]], 1.0, 0, 3, None, None, watched=False)
    assert all(kept.ndim == 0 for _, kept in parts)
    shown = member.visualize()
    assert set(shown) == {"samples", "denoising"}
    assert all(picture.image.std() > 5 for picture in shown.values())
    member.save(tmp_path / "saved")
    loaded = pop.load_trained(tmp_path / "saved")
    np.testing.assert_allclose(loaded.sample(5), member.sample(5), atol=1e-6)


def test_what_is_judged_is_the_average():
    learner = small(ema_decay=0.5, network=UNet(channels=(4,), groups=2))

    @eqx.filter_jit
    def begin(key):
        return learner.on_epoch_start(learner.init(key), key)

    step = eqx.filter_jit(learner.step)
    states = [begin(KEY)]
    for i in range(2):
        states.append(step(states[-1], jax.random.fold_in(KEY, i))[0])
    pairs = [eqx.filter((s.network, learner.model(s)), eqx.is_array) for s in states]
    networks = [[[np.asarray(x) for x in jax.tree.leaves(n)] for n in pair] for pair in pairs]
    for first, second, third, begun, averaged in zip(
        networks[0][0], networks[1][0], networks[2][0], networks[0][1], networks[2][1]
    ):
        np.testing.assert_array_equal(begun, first)
        np.testing.assert_allclose(averaged, (second + 2 * third) / 3, atol=1e-6)


def test_invariants(tmp_path):
    plan = UNet(channels=(4,), groups=2)
    learner = small(network=plan, timesteps=5, sampler_steps=2, evaluation_batch_size=7)
    harness.check_learner(learner, {"learning_rate": [1e-2, 3e-3]}, 9, tmp_path)


def test_the_shapes_of_u_nets():
    for plan, shape in (
        (UNet(channels=(8, 16, 16), blocks=2, attention=True), (8, 4, 3)),
        (UNet((8,)), (5, 3, 1)),
    ):
        network = eqx.filter_eval_shape(lambda k, p=plan, s=shape: p.build(s, 2, key=k), KEY)
        given = (jax.ShapeDtypeStruct(s, jnp.float32) for s in (shape, (), (2,)))
        assert eqx.filter_eval_shape(network, *given).shape == shape


def call(name: str, *given, settings=None, **how):
    learner = small(**(settings or {}))
    model = eqx.filter_eval_shape(learner.build, KEY)
    return getattr(learner, name)(model, *given, **how)


@pytest.mark.parametrize(("make", "message"), [
    (lambda: small(sampler_steps=50).check(), "50 steps are more than the 40 timesteps"),
    (lambda: call("sample", 3, steps=41), "41 steps are more than the 40 timesteps"),
    (lambda: call("sample", 3, steps=[41, 3]), "times go from 40"),
    (lambda: call("sample", 3, steps=[3, 3]), "falling times from 40 to 1"),
    (lambda: call("sample", 3, steps=[3, 0]), "down to 1, got 3 to 0"),
    (lambda: call("sample", 3, eta=2.0), "eta must be in"),
    (lambda: call("sample", 3, label=2), "label must be a class from 0 to 1"),
    (lambda: call("sample", 3, label=1, settings={"conditional": False}), "one with conditional = true does"),
    (lambda: call("log_prob", X[:2]), "needs the label of each image"),
    (lambda: call("log_prob", X[:2, :3], label=0), r"the network takes \(4, 4, 1\)"),
    (lambda: small(data=image_data(X[:20])).check(), "needs the label of every image"),
    (lambda: small(network=UNet(channels=(8, 8, 8, 8))).check(), "4 x 4 pixels cannot be halved 3 times"),
    (lambda: small(network=UNet(channels=(8, 9), groups=2)).check(), "9 channels do not divide into 2"),
    (lambda: small(data=image_data(X[:20, ..., 0], labels=Y[:20])).check(), "takes images"),
    (lambda: small(timesteps=1), "timesteps must be >= 2"),
])  # fmt: skip
def test_bad_input(make, message):
    with pytest.raises(UsageError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)
