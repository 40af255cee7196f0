"""The judge: trained once, kept, checked by hash; what it says of images; what it refuses."""

import json

import numpy as np
import pytest

from populace.core.errors import RunError, UsageError
from populace.images.judge import training
from populace.images.judge.comparison import comparison, judged
from populace.images.judge.judge import Judge
from populace.images.judge.second import accuracy_from_samples
from populace.images.judge.training import judge_of, train_judge
from populace.nn.modules.sequential import Sequential
from populace.supervised.data import Data
from tests.images.shapes import DATA, X, Y, bars, labeled

PIXELS = X / np.float32(255)


@pytest.fixture(scope="module")
def judge() -> Judge:
    return train_judge(DATA, 60)


@pytest.fixture(scope="module")
def against(judge, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("POPULACE_CACHE", str(tmp_path_factory.mktemp("cache")))
        first = comparison(judge, DATA, "test", 200)
        again = comparison(judge, DATA, "test", 200)  # from the cache
        assert sum(1 for _ in training.cache_dir().rglob("*.npz")) == 1
    for name, value in first.floor.items():
        assert float(value) == float(again.floor[name])
    np.testing.assert_array_equal(first.real.features, again.real.features)
    return again


def test_it_reads_images(judge):
    features, read = judge.look(PIXELS[300:])
    assert features.shape == (120, 64)
    assert (read == Y[300:]).mean() > 0.9
    assert judge.accuracy == pytest.approx((read == Y[300:]).mean(), abs=1e-3)
    assert (judge.look(PIXELS[DATA.train])[0] ** 2).mean() == pytest.approx(1, rel=1e-3)
    floats = labeled(X[:300] / 255, Y[:300])
    twin = Judge.of(judge_network(judge), floats, 1.0)
    assert twin.white == 1
    twin.check(floats)


def judge_network(judge: Judge):
    return Sequential([*judge.body.layers, judge.head])


def test_real_images_are_at_the_floor_and_others_are_not(judge, against):
    fresh, _ = bars(200, seed=5)
    good = judged(judge, fresh / 255, against)
    noise = judged(judge, np.random.default_rng(0).random((200, 8, 8, 1)), against)
    assert good["frechet_distance"] < 3 * good["frechet_distance_floor"] + 0.01
    assert noise["frechet_distance"] > 10 * good["frechet_distance"]
    assert noise["kernel_distance"] > 10 * abs(good["kernel_distance"])
    assert good["coverage"] > 0.8 > noise["coverage"]
    assert good["density"] > 0.5
    assert good["class_coverage"] == 1
    assert good["class_entropy"] == pytest.approx(np.log(2), abs=0.05)
    assert good["collapsed"] == 0
    one = judged(judge, np.repeat(PIXELS[:1], 200, 0), against)
    assert one["collapsed"] == 1
    assert one["class_entropy"] == 0
    assert one["class_coverage"] == 0.5


def test_it_is_made_once_and_checked_by_its_hash(monkeypatch, tmp_path):
    monkeypatch.setenv("POPULACE_CACHE", str(tmp_path))
    monkeypatch.setattr(training, "STEPS", 4)
    made = judge_of(DATA)
    monkeypatch.setattr(training, "trained_classifier", None)
    assert judge_of(DATA).sha256 == made.sha256
    (note,) = tmp_path.rglob("judge.json")
    told = json.loads(note.read_text())
    assert told["sha256"] == made.sha256
    note.write_text(json.dumps(told | {"scale": 2 * told["scale"]}))
    with pytest.raises(RunError, match="was changed or damaged; delete that folder"):
        judge_of(DATA)
    note.write_text(json.dumps(told))
    weights = note.parent / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"\0\0\0\1")
    with pytest.raises(RunError, match="was changed or damaged"):
        judge_of(DATA)
    assert training.digest(DATA) != training.digest(labeled(X[:300], Y[:300]))


def test_a_classifier_learns_from_samples_alone():
    made, labels = bars(300, seed=9)
    # What is made of the wrong class teaches the wrong thing, well.
    assert accuracy_from_samples(made / 255, 1 - labels, DATA, 60) < 0.15


UNLABELED = Data.from_targets(X[:200], np.zeros(200), standardize="none")
UNTESTED = labeled(X[:200], Y[:200])
WIDE = labeled(np.zeros((200, 8, 9, 1), np.uint8), Y[:200])
THIRD = labeled(X[:200], np.arange(200) % 3)
NAMED = labeled(X[:200], np.where(Y[:200], "row", "column"))


@pytest.mark.parametrize(("make", "message"), [
    (lambda judge, bar: judge_of(UNLABELED), "have no labels; give judge="),
    (lambda judge, bar: judge.check(WIDE), r"trained on images \(8, 8, 1\); these are \(8, 9, 1\)"),
    (lambda judge, bar: judge.check(THIRD), "has not seen the class 2, it knows 0, 1"),
    (lambda judge, bar: judge.check(NAMED), "has not seen the class column"),
    (lambda judge, bar: judge.look(np.zeros((3, 4, 4, 1))), r"these are \(4, 4, 1\)"),
    (lambda judge, bar: comparison(judge, DATA, "test", 50), "50 images are too few to be judged"),
    (lambda judge, bar: judged(judge, PIXELS[:20], bar), "of n >= 100"),
    (lambda judge, bar: judged(judge, PIXELS[:, :4], bar), r"these are \(4, 8, 1\)"),
    (lambda judge, bar: accuracy_from_samples(PIXELS[:, :4], Y, DATA), "made images have shape"),
    (lambda judge, bar: accuracy_from_samples(PIXELS, Y[:5], DATA), "labels must be 420 numbers"),
    (lambda judge, bar: accuracy_from_samples(PIXELS, Y + 1, DATA), "from 0 to 1"),
    (lambda judge, bar: accuracy_from_samples(PIXELS, 0 * Y, DATA), "all made images are of one class"),
    (lambda judge, bar: accuracy_from_samples(PIXELS, Y, UNTESTED), "no test part"),
])  # fmt: skip
def test_bad_input(make, message, judge, against):
    with pytest.raises(UsageError, match=message) as caught:
        make(judge, against)
    assert "\n" not in str(caught.value)
