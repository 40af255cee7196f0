"""Tokenizers: what text becomes, what comes back, and what is refused."""

import json
import string

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from populace.core.errors import UsageError
from populace.text.tokenizers import kept
from populace.text.tokenizers.bpe import BPE
from populace.text.tokenizers.bytes import Bytes
from populace.text.tokenizers.characters import Characters
from populace.text.tokenizers.words import Words, split_words

TEXTS = st.lists(st.text(max_size=40), min_size=1, max_size=4)


def test_punctuation_stands_alone_and_words_are_lower_case():
    assert " ".join(split_words("Add 2 cups, stir; don't")) == "add 2 cups , stir ; don ' t"
    assert split_words("A-b", lowercase=False) == ["A", "-", "b"]
    assert split_words(f"x{string.punctuation}y") == ["x", *string.punctuation, "y"]
    assert split_words("¿qué?»…—") == ["¿", "qué", "?", "»", "…", "—"]


def test_the_most_frequent_words_are_kept_and_ties_go_by_code_point():
    found = Words(vocabulary=6).train(["b a z b", "a b c"], ends=True)
    assert found.tokens == ("[PAD]", "[UNK]", "[END]", "b", "a", "c")
    assert found.encode("z a").tolist() == [1, 4]
    assert found.decode([4, 1, 2, 0]) == "a [UNK]"


def test_texts_of_a_fixed_length_are_cut_or_filled_up():
    found = Words(vocabulary=10).train(["a b c"], ends=False)
    assert found.encode_batch(["a b c", "c"], 2).tolist() == [[2, 3], [4, 0]]
    assert [one.tolist() for one in found.encode_batch(["a b c", "c"])] == [[2, 3, 4], [4]]
    with pytest.raises(UsageError, match="has no"):
        Bytes().train([], ends=True).encode_batch(["a"], 3)


@given(TEXTS, st.booleans())
@settings(max_examples=150, deadline=None)
def test_a_text_comes_back_from_its_tokens(texts: list[str], ends: bool):
    for config in (Characters(), Bytes(), Words(vocabulary=1000)):
        tokenizer = config.train(texts, ends=ends)
        assert (tokenizer.end is not None) == ends
        for text in texts:
            numbers = tokenizer.encode(text)
            assert numbers.dtype == np.int32
            assert tokenizer.decode(numbers) == tokenizer.normalized(text)
            assert tokenizer.encode(tokenizer.decode(numbers)).tolist() == numbers.tolist()
    assert Characters().train(texts, ends=ends).normalized(texts[0]) == texts[0]


@given(TEXTS, st.text(max_size=30))
@settings(max_examples=25, deadline=None)
def test_byte_pairs_give_any_text_back(texts: list[str], other: str):
    pytest.importorskip("tokenizers")
    tokenizer = BPE(vocabulary=280).train(texts, ends=True)
    for text in (*texts, other, "[END] is no token here"):
        numbers = tokenizer.encode(text)
        assert tokenizer.decode(numbers) == tokenizer.normalized(text)
        assert tokenizer.end not in numbers


def test_many_texts_are_encoded_as_each_alone():
    pytest.importorskip("tokenizers")
    texts = [f"{'ab' * (i % 7)} \ud800 {i}" for i in range(1_030)]  # more than are encoded at a time
    for tokenizer in (BPE(vocabulary=270).train(texts, ends=True), Bytes().train(texts, ends=True)):
        found = tokenizer.encode_batch(texts)
        assert [one.tolist() for one in found] == [tokenizer.encode(text).tolist() for text in texts]


def test_byte_pairs_are_learned_alike_every_time():
    pytest.importorskip("tokenizers")
    text = ["the cat and the hat; that is that", "the end"] * 3
    one, other = (BPE(vocabulary=270).train(text, ends=True) for _ in range(2))
    assert one == other
    assert len(one) == 270
    assert len(one.encode("the that")) < len("the that") / 2


def test_a_character_that_is_unknown_is_named_with_its_place():
    tokenizer = Characters().train(["abc"], ends=False)
    with pytest.raises(UsageError, match=r"character 'é' \(U\+00E9\) at position 2 is none of the 3"):
        tokenizer.encode("abé")


@pytest.mark.parametrize("config", [Characters(), Bytes(), Words(vocabulary=20), BPE(vocabulary=260)])
def test_a_tokenizer_is_read_back_as_it_was_kept(config):
    if isinstance(config, BPE):
        pytest.importorskip("tokenizers")
    tokenizer = config.train(["Some text, é", "more"], ends=True)
    again = kept.load(kept.dump(tokenizer))
    assert again == tokenizer
    assert hash(again) == hash(tokenizer)
    assert again.encode("more text").tolist() == tokenizer.encode("more text").tolist()
    assert again != config.train(["Some other text", "more"], ends=False)


def test_a_half_character_of_bytes_is_shown_as_unknown():
    tokenizer = Bytes().train([], ends=False)
    assert tokenizer.decode(tokenizer.encode("é")[:1]) == "�"


@pytest.mark.parametrize(("make", "message"), [
    (lambda: Words(vocabulary=3).train(["a"], ends=True), "vocabulary must be above 3, the number"),
    (lambda: BPE(vocabulary=100).train(["a"], ends=True), "vocabulary must be at least 257"),
    (lambda: Bytes().train([], ends=True).decode([300]), "token 300 at position 0 is none of the 257"),
    (lambda: Words().train(["a"], ends=True).encode_batch(["a"], -1), "length must be 0"),
    (lambda: kept.load("{"), "no JSON"),
    (lambda: kept.load("[]"), "has no kind"),
    (lambda: kept.load('{"kind": "word"}'), "unknown tokenizer 'word'"),
    (lambda: kept.load(json.dumps({"kind": "words", "tokens": ["a", "a"], "special": []})), "damaged"),
    (lambda: kept.load(json.dumps({"kind": "words", "tokens": ["a"], "special": ["b"]})), "lacks a special"),
    (lambda: kept.load(json.dumps({"kind": "words", "tokens": 3, "special": []})), "damaged"),
])  # fmt: skip
def test_bad_input(make, message):
    with pytest.raises(UsageError, match=message):
        make()
