"""Text data: splits before windows, windows inside documents, and what is counted."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from populace.core.errors import UsageError
from populace.text.data.split import split_documents
from populace.text.data.text_data import TextData
from populace.text.data.windows import RandomWindows, Windows, read
from populace.text.tokenizers.bytes import Bytes

NAMES = [f"name{i}" for i in range(20)]


def test_documents_are_split_at_random_and_none_is_in_two_parts():
    parts = split_documents(NAMES, validation=0.1, test=0.2, seed=1)
    assert [len(part) for part in parts] == [14, 2, 4]
    assert sorted([name for part in parts for name in part]) == sorted(NAMES)
    assert parts != split_documents(NAMES, validation=0.1, test=0.2, seed=2)
    assert all(part == sorted(part, key=NAMES.index) for part in parts)


def test_a_contiguous_split_cuts_the_text_itself():
    train, validation, test = split_documents(
        ["abcdefgh", "ij"], split="contiguous", validation=0.2, test=0.3
    )
    assert (train, validation, test) == (["abcde"], ["fg"], ["h", "ij"])
    text = "x" * 1_115_394
    parts = split_documents([text], split="contiguous", validation=0.1, test=0)
    assert len(parts[0][0]) == int(0.9 * len(text))


def test_parts_are_encoded_with_ends_and_what_is_predicted_is_counted():
    data = TextData.encoded((["añb", "c d"], ["a"], []), Bytes().train([], ends=True))
    end, stream = data.tokenizer.end, data.stream("train").tolist()
    assert stream == [end, *data.tokenizer.encode("añb"), end, end, *data.tokenizer.encode("c d"), end]
    assert data.tokens.dtype == np.uint16
    assert data.predicted("train") == 5 + 4
    assert data.counted("train") == {"characters": 6, "bytes": 7, "words": 3}
    assert data.called("test") == "validation"
    assert data.predicted("test") == 2
    bare = TextData.encoded((["añb"], [], []), Bytes().train([], ends=False), ends=False)
    assert bare.predicted("train") == 3
    assert bare.counted("train") == {"characters": 2, "bytes": 3, "words": 1}


def test_documents_in_two_parts_are_told():
    data = TextData.of(["same"] * 8 + ["a", "b"], validation=0.3, test=0, seed=0)
    assert data.copies[0] >= 1
    assert f"{data.copies[0]} of them training documents too" in data.told


@given(st.lists(st.integers(1, 30), min_size=1, max_size=6), st.integers(1, 9), st.integers(0, 9))
@settings(max_examples=200, deadline=None)
def test_windows_score_every_token_once_and_stay_inside_documents(lengths, block, stride):
    stride = min(stride, block)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    windows = Windows.of(offsets, block, stride)
    scored = []
    for start, length, context in zip(windows.starts, windows.lengths, windows.context):
        assert 1 <= length <= block
        document = np.searchsorted(offsets, start, side="right") - 1
        assert start + length < offsets[document + 1]
        scored += range(start + 1 + context, start + 1 + length)
    expected = [t for a, b in itertools.pairwise(offsets) for t in range(a + 1, b)]
    assert scored == expected


def test_random_windows_begin_anywhere_and_stay_inside_documents():
    offsets = np.array([0, 10, 13, 14])
    windows = RandomWindows.of(offsets, 4)
    draw = jax.jit(lambda key: windows.draw(key, 2000))
    starts, lengths = map(np.asarray, draw(jax.random.key(0)))
    found = dict(zip(*np.unique(starts, return_counts=True)))
    assert set(found) == {0, 1, 2, 3, 4, 5, 10}
    assert min(found.values()) > 200
    assert set(lengths[starts < 10]) == {4}
    assert set(lengths[starts == 10]) == {2}


def test_what_lies_beyond_a_window_is_zero_and_weighs_nothing():
    tokens = jnp.asarray(np.arange(1, 11, dtype=np.uint8))
    inputs, targets, weight = read(tokens, jnp.array([2, 7]), jnp.array([4, 2]), 4)
    assert inputs.tolist() == [[3, 4, 5, 6], [8, 9, 0, 0]]
    assert targets.tolist() == [[4, 5, 6, 7], [9, 10, 0, 0]]
    assert weight.tolist() == [[1, 1, 1, 1], [1, 1, 0, 0]]


@pytest.mark.parametrize(("make", "message"), [
    (lambda: TextData.of(["one text"]), r'3 parts need at least 3 documents, and there is 1; .*"contiguous"'),
    (lambda: TextData.of([]), "there is no document with text"),
    (lambda: TextData.of("text"), "put it into a list"),
    (lambda: TextData.of(["a", b"b"]), "document 1 is bytes; expected text"),
    (lambda: TextData.of(NAMES, split="random"), "split must be one of documents"),
    (lambda: TextData.of(NAMES, validation=0.6, test=0.4), "leave nothing to train on"),
    (lambda: TextData.of(["a"], split="contiguous", test=0), "the train part has no text"),
    (lambda: TextData.encoded((["a"], [], []), Bytes().train([], ends=False)), r"has no \[END\]"),
])  # fmt: skip
def test_bad_input(make, message):
    with pytest.raises(UsageError, match=message):
        make()
