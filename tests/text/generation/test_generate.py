"""Generation: the state gives what the whole pass gives, batches what each alone, a resumed text the same."""

from functools import cache
from types import SimpleNamespace
from typing import Any

import equinox as eqx
import jax
import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.text.generation.generate import Writer, generate
from populace.text.models.recurrent import RecurrentNetwork
from populace.text.models.transformer import Transformer
from populace.text.tokenizers.characters import Characters
from populace.text.tokenizers.words import Words
from tests.nn.draws import filled

LETTERS = Characters().train(["abcdefgh"], ends=False)
ENDED = Characters().train(["abcdefgh"], ends=True)
BLOCK = 6


def member(network: Any, tokenizer: Any = LETTERS) -> Any:
    return SimpleNamespace(model=network, learner=SimpleNamespace(trained_tokenizer=tokenizer))


def gpt(seed: int = 0, **options: Any) -> Transformer:
    sizes = {"block": BLOCK, "layers": 1, "heads": 2, "width": 8} | options
    return filled(lambda key: Transformer(len(LETTERS), **sizes, key=key), seed)


@cache
def lstm(seed: int = 0, vocabulary: int = len(LETTERS)) -> RecurrentNetwork:
    return filled(lambda key: RecurrentNetwork(vocabulary, width=6, hidden=8, layers=1, key=key), seed)


MEMBERS = {
    "softmax": lambda: member(gpt()),
    "linear": lambda: member(gpt(attention="linear", positions="rotary")),
    "lstm": lambda: member(lstm()),
}


def greedy_by_whole_passes(network: Any, tokens: list[int], length: int) -> tuple[list[int], list[float]]:
    """Write by the whole pass over all tokens, or over the last ones, at every token."""
    passed = eqx.filter_jit(network)  # tokens behind the last one are padding, which it does not see
    written, said = list(tokens), []
    for _ in range(length):
        seen = written[-network.context :]
        logits = np.asarray(passed(np.pad(seen, (0, (network.context or 16) - len(seen)))))[len(seen) - 1]
        written.append(int(logits.argmax()))
        said.append(-np.log(np.exp(logits - logits.max()).sum()))
    return written[len(tokens) :], said


@pytest.mark.parametrize("name", ["softmax", "lstm"])
def test_greedy_text_is_that_of_whole_passes_also_past_the_block(name: str):
    who, prompt, length = MEMBERS[name](), "abc", 8
    found = generate(who, prompt, length=length, temperature=0)
    expected, said = greedy_by_whole_passes(who.model, LETTERS.encode(prompt).tolist(), length)
    assert LETTERS.encode(found.text).tolist() == expected
    np.testing.assert_allclose(found.log_probabilities, said, atol=1e-5)
    assert [best[0][1] for best in found.likeliest] == [1.0] * length


@pytest.mark.parametrize("name", ["softmax", "linear"])
def test_prompts_of_unequal_length_are_continued_as_each_alone(name: str):
    who, prompts = MEMBERS[name](), ["a", "bcde", "abcdefghab"]
    how = {"length": 9, "seed": 3, "temperature": 0.8, "top_k": 5}
    together = generate(who, prompts, **how)
    for prompt, found in list(zip(prompts, together))[1:]:
        alone = generate(who, prompt, **how)
        assert alone.text == found.text
        assert len(found.text) == 9
        np.testing.assert_allclose(alone.log_probabilities, found.log_probabilities, atol=1e-5)
        for tokens, likeliest in zip(found.tokens, found.likeliest):
            assert tokens in [token for token, _ in likeliest]
            assert len(likeliest) == 5
            assert sum(p for _, p in likeliest) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("name", ["softmax", "linear"])
def test_a_long_prompt_passes_in_pieces_and_a_text_finds_more_room(name: str):
    options = {"block": 300} if name == "softmax" else {"attention": "linear", "positions": "rotary"}
    who = member(gpt(**options))
    prompt = "".join(np.random.default_rng(0).choice(list("abcdefgh"), 250))
    writer = Writer([who], [prompt], temperature=0)
    writer.more(2)
    found = writer.more(8)[0]  # beyond the 256 that there was room for
    logits = np.asarray(eqx.filter_jit(who.model)(LETTERS.encode(prompt + found.text)[:-1]))[249:]
    assert logits.argmax(1).tolist() == LETTERS.encode(found.text).tolist()
    np.testing.assert_allclose(found.log_probabilities, jax.nn.log_softmax(logits).max(1), atol=1e-4)


def test_a_text_that_is_stopped_goes_on_to_the_same_end():
    who = MEMBERS["softmax"]()
    whole = generate(who, "ab", length=12, seed=5)
    writer = Writer([who], ["ab"], seed=5)
    first = writer.more(3)[0]
    assert whole.text.startswith(first.text)
    assert len(first.text) == 3
    assert writer.more(9)[0].text == whole.text
    stopped = Writer([who], ["ab"], seed=5)
    asked = iter([True, False, False])
    assert len(stopped.more(150, stop=lambda: next(asked))[0].text) == 64 - 1


def test_seeds_and_samples_differ_and_come_again():
    who = MEMBERS["lstm"]()
    texts = [generate(who, "a", length=12, seed=seed).text for seed in (0, 1, 0)]
    assert texts[0] == texts[2] != texts[1]
    samples = generate(who, ["a", "b"], length=12, samples=2)
    assert [s.prompt for s in samples] == ["a", "a", "b", "b"]
    assert samples[0].text == texts[0] != samples[1].text


def test_an_ensemble_writes_by_the_mean_of_its_probabilities():
    members = [member(lstm(seed)) for seed in range(3)]
    found = generate(members, "abc", length=1)
    passed = eqx.filter_jit(lambda n: jax.nn.softmax(n(LETTERS.encode("abc"))[-1]))
    mean = np.mean([np.asarray(passed(m.model)) for m in members], axis=0)
    said = dict(found.likeliest[0])
    for token, p in zip(LETTERS.tokens, mean):
        assert said[token] == pytest.approx(p, abs=1e-5)
    assert np.exp(found.log_probabilities[0]) == pytest.approx(said[found.tokens[0]], abs=1e-5)


def test_a_document_begins_and_ends_with_its_token():
    network = lstm(vocabulary=len(ENDED))
    bias = np.zeros(len(ENDED), np.float32)
    bias[ENDED.end] = 1e4
    network = eqx.tree_at(lambda n: n.bias, network, bias)
    found = generate(member(network, ENDED), "", length=5)
    assert (found.text, found.tokens) == ("", ("[END]",))
    several = generate(member(lstm(vocabulary=len(ENDED)), ENDED), ["", "abc"], length=40, seed=1)
    for one in several:
        assert "[END]" not in one.tokens[:-1]
        assert len(one.tokens) == 40 or one.tokens[-1] == "[END]"


def test_unknown_words_are_told_and_never_written():
    words = Words(vocabulary=6).train(["b a c"], ends=True)
    network = lstm(vocabulary=len(words))
    bias = np.where(np.arange(len(words)) < 2, 50, 0).astype(np.float32)
    network = eqx.tree_at(lambda n: n.bias, network, bias)
    found = generate(member(network, words), "a zebra, b", length=6)
    assert found.unknown == ("zebra", ",")
    assert not {"[PAD]", "[UNK]"} & set(found.tokens)


@pytest.mark.parametrize(("call", "message"), [
    (lambda: generate(MEMBERS["lstm"](), "abz"), r"prompt: character 'z' \(U\+007A\) at position 2 is none"),
    (lambda: generate(MEMBERS["lstm"](), ""), "the prompt is empty, and the model knows no begin"),
    (lambda: generate(MEMBERS["lstm"](), []), "there is no prompt"),
    (lambda: generate(MEMBERS["lstm"](), [3]), "a prompt is text, got int"),
    (lambda: generate(MEMBERS["lstm"](), "a", length=0), "length must be a whole number of at least 1"),
    (lambda: generate(MEMBERS["lstm"](), "a", seed=-1), "seed must be a whole number"),
    (lambda: generate(MEMBERS["lstm"](), "a", samples=0), "samples must be a whole number"),
    (lambda: generate(member(lstm(), None), "a"), "writes no text"),
    (lambda: generate([], "a"), "there is no member"),
    (lambda: generate(3, "a"), "writes text, not int"),
    (lambda: generate([MEMBERS["lstm"](), member(lstm(), ENDED)], "a"), "different tokenizers"),
    (lambda: generate([MEMBERS["lstm"](), MEMBERS["softmax"]()], "a"), "different structures"),
])  # fmt: skip
def test_bad_input(call, message):
    with pytest.raises(UsageError, match=message):
        call()
