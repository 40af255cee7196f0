"""Count models: by hand, that they are distributions, and known numbers on real text."""

import os

import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.text.data import datasets
from populace.text.data.text_data import TextData
from populace.text.models.count_model import CountModel, baselines
from tests.places import SHARED_DATA

# a b a c a, as numbers, in a document that begins and ends with 3.
TOKENS, OFFSETS = np.array([3, 0, 1, 0, 2, 0, 3]), np.array([0, 7])


def test_witten_bell_by_hand():
    model = CountModel(2, 4).fit(TOKENS, OFFSETS)
    # Predicted are a b a c a [3]: of 6, a 3 times and 4 different ones; after a come b, c and the end.
    a, b = (3 + 4 / 4) / (6 + 4), (1 + 4 / 4) / (6 + 4)
    assert model.distribution(np.array([], int))[:2] == pytest.approx([a, b])
    assert model.distribution(np.array([0]))[1] == pytest.approx((1 + 3 * b) / (3 + 3))
    assert model.distribution(np.array([0]))[0] == pytest.approx((0 + 3 * a) / (3 + 3))


def test_relative_frequencies_by_hand():
    model = CountModel(2, 4, "none").fit(TOKENS, OFFSETS)
    assert model.distribution(np.array([0])).tolist() == pytest.approx([0, 1 / 3, 1 / 3, 1 / 3])
    assert model.nats(TOKENS, OFFSETS) == pytest.approx(3 * np.log(3) / 6)
    assert model.nats(np.array([3, 1, 3]), np.array([0, 3])) == np.inf


def test_probabilities_add_up_to_one_after_any_context():
    rng = np.random.default_rng(0)
    tokens = rng.integers(0, 5, 300)
    model = CountModel(4, 6).fit(tokens, np.array([0, 100, 101, 300]))
    for context in ([], [0], [5], [1, 2], [4, 4, 4], [0, 1, 2, 3, 4], [5, 0, 1]):
        found = model.distribution(np.array(context, int))
        assert found.sum() == pytest.approx(1)
        assert (found > 0).all()


def test_contexts_do_not_cross_documents():
    apart = CountModel(2, 3).fit(np.array([2, 0, 2, 2, 1, 2]), np.array([0, 3, 6]))
    joined = CountModel(2, 3).fit(np.array([2, 0, 2, 2, 1, 2]), np.array([0, 6]))
    assert apart.distribution(np.array([2]))[2] < joined.distribution(np.array([2]))[2]


@pytest.fixture
def shared(monkeypatch):
    if not SHARED_DATA.is_dir():
        pytest.skip(f"the data sets are not in {SHARED_DATA}")
    monkeypatch.setenv("POPULACE_DATA", os.fspath(SHARED_DATA))


def test_the_bigram_of_all_names(shared):
    data = TextData.of(datasets.names(), validation=0, test=0)
    assert len(data.tokenizer) == 27
    model = CountModel(2, 27, "none").fit(data.tokens, data.part("train"))
    assert model.nats(data.tokens, data.part("train")) == pytest.approx(2.4540, abs=5e-5)


def test_witten_bell_of_shakespeare(shared):
    data = TextData.of(datasets.tinyshakespeare(), split="contiguous", test=0, ends=False)
    assert (len(data.tokenizer), data.predicted("train"), data.predicted("validation")) == (
        65,
        1_003_853,
        111_539,
    )
    found = baselines(data, 5, "validation")
    assert set(found) == {"unigram", "bigram", "5-gram"}
    assert found["5-gram"] == pytest.approx(1.669, abs=5e-4)


@pytest.mark.parametrize(("make", "message"), [
    (lambda: CountModel(0, 3), "order must be at least 1"),
    (lambda: CountModel(2, 3, "laplace"), "smoothing must be witten-bell or none"),
])  # fmt: skip
def test_bad_input(make, message):
    with pytest.raises(UsageError, match=message):
        make()
