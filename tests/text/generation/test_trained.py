"""Text from a run: members and their average in Python and on the command line, and from a saved member."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import populace as pop
from populace import text
from populace.core.population import sweep
from tests.conftest import Outcome

DOCUMENTS = ["abab", "aba", "ab", "abababab"] * 6


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Any:
    data = text.TextData.of(DOCUMENTS, seed=1)
    learner = text.LSTMLanguageModel(data=data, block=8, width=4, hidden=8, batch_size=8, learning_rate=2e-2)
    path = tmp_path_factory.mktemp("text") / "run"
    return pop.train(sweep(learner, seeds=2), 60, out=path, strategy="vmap")


def test_members_write_alone_and_together(run: Any):
    alone = text.generate(run.member(0), "a", length=4, temperature=0)
    assert alone.text.startswith("b")
    together = text.generate(run, "a", length=1)
    p = np.mean([run.member(i).predict_proba(["a"])[0] for i in range(2)], axis=0)
    said = dict(together.likeliest[0])
    tokens = run.member(0).learner.trained_tokenizer.tokens
    assert [said[token] for token in tokens] == pytest.approx(p.tolist(), abs=1e-5)
    assert run.best().predict(["a", "aba"]).tolist() == ["b", "b"]


def test_what_members_say_together_is_better_than_their_mean(run: Any):
    found = text.agreement(run, "validation")
    evaluated = run.metrics("evaluation").to_pandas().groupby("member")["nats"].min()
    assert found.alone == pytest.approx(evaluated.to_numpy(), rel=1e-4)
    assert found.gain > 0
    assert found.agreement[0, 0] == pytest.approx(1)
    assert 0.3 < found.agreement[0, 1] <= 1
    assert "a gain of" in repr(found)


def test_a_saved_member_writes_without_its_text(run: Any, tmp_path: Path, cli: Callable[..., Outcome]):
    best = run.best()
    best.save(tmp_path / "member")
    loaded = pop.load_trained(tmp_path / "member")
    assert loaded.learner.data.predicted("train") == 0
    how = {"length": 6, "seed": 4}
    assert text.generate(loaded, "ab", **how).text == text.generate(best, "ab", **how).text
    done = cli("generate", tmp_path / "member", "--prompt", "ab", "--length", "6", "--seed", "4", "--json")
    (found,) = json.loads(done.out)["texts"]
    assert found["text"] == text.generate(best, "ab", **how).text
    assert found["tokens"][0]["chosen_from"].keys() == {"a", "b", "[END]"}
    shown = cli("generate", tmp_path / "member", "-p", "ab", "--length", "3", "--temperature", "0").out
    assert "100.0 %" in shown
    assert "nats each" in shown
    wrong = cli("generate", tmp_path / "member", "--prompt", "abc")
    assert wrong.code == 2
    assert "character 'c' (U+0063) at position 2" in wrong.err
