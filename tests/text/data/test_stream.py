"""Text in a file: the same parts, tokens and counts as in memory, and windows read as rows."""

import os
from pathlib import Path

import numpy as np
import pytest

from populace.core.errors import RunError, UsageError
from populace.text.data.load import load_text
from populace.text.data.read import read_documents
from populace.text.data.stream import stream_text
from populace.text.data.text_data import TextData
from populace.text.data.token_file import TokenFile, WindowRows
from populace.text.data.windows import Windows
from populace.text.models.count_model import CountModel, baselines, pieces
from populace.text.models.gpt import GPT
from populace.text.tokenizers.bytes import Bytes
from populace.text.tokenizers.characters import Characters
from populace.text.tokenizers.words import Words

rng = np.random.default_rng(3)
LINES = ["".join(rng.choice(list("abñ c"), rng.integers(0, 30))) + "." for _ in range(80)] + ["same."] * 8


@pytest.fixture
def path(tmp_path: Path, monkeypatch) -> Path:
    """A text of lines, and a cache folder of its own."""
    monkeypatch.setenv("POPULACE_CACHE", str(tmp_path / "cache"))
    found = tmp_path / "text.txt"
    found.write_text("\r\n".join([LINES[0], "", *LINES[1:]]), "utf-8")
    return found


def streamed(path, tokenizer=None, ends=True, split="documents", test=0.2, memory=10_000, **options):
    how = Characters() if tokenizer is None else tokenizer
    settings = {"column": "text", "documents": "lines", "validation": 0.1, "seed": 5} | options
    return stream_text(str(path), tokenizer=how, ends=ends, split=split, test=test, memory=memory, **settings)


@pytest.mark.parametrize("split", ["documents", "contiguous"])
@pytest.mark.parametrize(
    ("tokenizer", "ends"), [(Characters(), True), (Words(vocabulary=12), True), (Bytes(), False)]
)
def test_a_stream_holds_what_data_in_memory_do(path, tokenizer, ends, split):
    texts = read_documents(path, documents="lines")
    whole = TextData.of(texts, tokenizer, split=split, validation=0.1, test=0.2, seed=5, ends=ends)
    for _ in range(2):  # made, and found again
        found = streamed(path, tokenizer, ends, split)
        assert found.tokenizer == whole.tokenizer
        assert found.tokens.dtype == whole.tokens.dtype
        np.testing.assert_array_equal(found.tokens[:], whole.tokens)
        np.testing.assert_array_equal(np.concatenate([*found.tokens.blocks()]), whole.tokens)
        np.testing.assert_array_equal(found.counts, whole.counts)
        for mine, theirs in zip(found.offsets, whole.offsets):
            np.testing.assert_array_equal(mine, theirs)
        assert found.copies == whole.copies
        assert found.told == whole.told


def test_copies_are_found_without_their_text(path):
    found = streamed(path, seed=1)
    assert max(found.copies) >= 1
    assert "training documents too" in found.told


def test_windows_are_rows_of_the_file_in_any_order(path):
    found = streamed(path)
    windows = Windows.of(found.part("train"), 7)
    rows = WindowRows(found.tokens, windows, 7)
    asked = rng.permutation(len(rows))[:50]
    out = np.zeros((50, 8), rows.dtype)
    rows.read(asked, out)
    np.testing.assert_array_equal(out, found.rows(windows.starts[asked], 7))
    memory = found.tokens[:]
    last = len(memory) - 3
    np.testing.assert_array_equal(found.rows(np.array([last]), 7)[0], [*memory[last:], *[memory[-1]] * 5])
    assert rows.row_bytes == 8 * rows.dtype.itemsize


def test_counting_goes_through_a_file_in_pieces_and_predicts_each_token_once(path):
    texts = read_documents(path, documents="lines")
    whole, found = TextData.of(texts, Characters(), validation=0.1, test=0.2, seed=5), streamed(path)
    assert baselines(found, 3, "test") == pytest.approx(baselines(whole, 3, "test"))
    model = CountModel(1, len(found.tokenizer)).fit(np.asarray(whole.tokens), whole.part("train"))
    everything = -np.log(model.probabilities(np.asarray(whole.tokens), whole.part("train"))).sum()
    for most in (2, 5, 17):
        parts = [model.probabilities(*piece) for piece in pieces(found, "train", most)]
        assert sum(map(len, parts)) == found.predicted("train")
        assert -np.log(np.concatenate(parts)).sum() == pytest.approx(everything)


def test_a_changed_file_and_a_damaged_one_are_named(path, tmp_path):
    found = streamed(path)
    (folder,) = (tmp_path / "cache" / "texts").iterdir()
    os.utime(folder / "tokens.npy", ns=(1, 1))
    with pytest.raises(RunError, match=r"tokens.npy' was changed or removed while it was in use"):
        found.tokens[0]
    (folder / "documents.npz").write_bytes(b"no")
    with pytest.raises(RunError, match="were changed or damaged; delete that folder to make them anew"):
        streamed(path)


def test_the_text_is_encoded_anew_where_it_changed(path):
    one = streamed(path)
    path.write_text("\n".join(LINES[:40]), "utf-8")
    assert len(streamed(path).tokens) < len(one.tokens)


def gpt(path, **options) -> GPT:
    return GPT(path=str(path), documents="lines", memory=10_000, **options)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda p: streamed(p, documents="file", memory=100), "is one document of .*, and memory is 100;"),
        (lambda p: streamed(p, test=0.95), "leave nothing to train on; lower them"),
        (lambda p: gpt(p, sampling="random").check(), "memory needs sampling shuffled, .* got random"),
        (lambda p: GPT(memory=5).check(), "memory is for text of your own: give its path, or leave"),
        (lambda p: streamed(p.with_name("none.txt")), "there is no such file or folder"),
    ],
)  # fmt: skip
def test_refusals(path, call, said):
    with pytest.raises(UsageError, match=said):
        call(path)


def test_a_cache_that_cannot_be_written_is_named(path, tmp_path):
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(RunError, match=r"cannot write tokens to .* set POPULACE_CACHE to a folder"):
        streamed(path)


def test_a_learner_reads_its_text_from_a_file(path):
    load_text.cache_clear()
    learner = gpt(path, block=8).load_data()
    assert isinstance(learner.data.tokens, TokenFile)
    assert learner.feed.shape == (len(learner.batches.train.starts), 9)
    assert learner.evaluated_part()[1].tolist() == list(range(len(learner.batches.scored[0].starts)))
