"""Learners of text: probes with known answers, the invariants of every learner, and what is measured."""

import dataclasses
import itertools
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import populace as pop
from populace.core.errors import UsageError
from populace.core.population import sweep
from populace.engine.training_loop import Engine
from populace.optim.schedules import Cosine
from populace.text.data.load import load_text
from populace.text.data.text_data import TextData
from populace.text.data.windows import Windows
from populace.text.models.batches import Batches
from populace.text.models.evaluation import evaluated
from populace.text.models.gpt import GPT
from populace.text.models.lstm import LSTMLanguageModel
from tests import harness, quick

rng = np.random.default_rng(0)
# What follows "a" depends on the letter before it, which a bigram cannot tell: x a x, y a y.
PROBE = ["".join(f"{c}a{c}" for c in rng.choice(list("xy"), 5)) for _ in range(60)]
# Of each document's 16 tokens, 5 letters are free, and of whether the document ends the length tells.
FREE = 5 * np.log(2) / 16
DATA = TextData.of(PROBE)


def gpt(**options) -> GPT:
    small = {"block": 16, "layers": 1, "heads": 2, "width": 16, "batch_size": 16, "learning_rate": 1e-2}
    return GPT(data=DATA, **(small | options))


def lstm(**options) -> LSTMLanguageModel:
    small = {"block": 16, "width": 8, "hidden": 16, "batch_size": 16, "learning_rate": 2e-2}
    return LSTMLanguageModel(data=DATA, **(small | options))


@pytest.mark.parametrize("make", [gpt, lstm], ids=["gpt", "lstm"])
def test_a_probe_is_learned_down_to_what_is_free(make, tmp_path: Path):
    path = tmp_path / "text.txt"
    path.write_text("\n".join(PROBE))
    learner = make(max_gradient_norm=1.0, schedule=Cosine(steps=300, warmup=10, end=0.1))
    learner = dataclasses.replace(learner, data=None, path=str(path), documents="lines")
    run = pop.train(sweep(learner, seeds=2), 300, out=tmp_path / "run", strategy="vmap", evaluate_every=100)
    best = run.results()["best"]
    assert FREE - 0.02 < best["test"]["iqm"][0] < FREE + 0.06
    found = {name: column[-1].as_py() for name, column in zip(*columns(run.metrics("evaluation")))}
    assert found["bits_per_character"] == pytest.approx(found["nats"] * 16 / 15 / np.log(2), rel=1e-4)
    assert found["bits_per_byte"] == pytest.approx(found["bits_per_character"])
    assert found["perplexity"] == pytest.approx(np.exp(found["nats"]), rel=1e-4)
    assert found["word_perplexity"] == pytest.approx(np.exp(found["nats"] * 16), rel=1e-3)
    assert found["accuracy"] > 0.7
    assert (tmp_path / "run" / "learner" / "tokenizer.json").is_file()
    shown = run.best().visualize()
    assert set(shown) == {"counting", "surprise", "likeliest", "calibration"}
    assert "The network beats counting by" in shown["counting"].caption
    assert "240 of" not in shown["counting"].caption
    # Nobody uses the run with another text.
    path.write_text("\n".join(line.replace("x", "z") for line in PROBE))
    load_text.cache_clear()
    with pytest.raises(UsageError, match=r"tokenizer.json' is not what the learner's data make"):
        pop.Run.load(run.path).best()


def test_what_fills_a_batch_up_weighs_nothing():
    batches = Batches.of(DATA, "shuffled", 5, 36, 0)
    steps = batches.epoch_steps(36)
    assert steps * 36 > len(batches.train.starts) > (steps - 1) * 36
    order = batches.order(jax.random.key(0), 36)
    drawn = [batches.draw(jax.random.key(1), order, jnp.int32(step), 36, 5)[1] for step in range(steps)]
    assert int(np.sum(drawn)) == DATA.predicted("train")


def test_text_in_a_file_trains_the_same_members(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("POPULACE_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "text.txt"
    path.write_text("\n".join(PROBE[:31] + [line[:7] for line in PROBE]))
    few = {"documents": "lines", "block": 6, "evaluation_batch_size": 3, "evaluation_stride": 5}
    found = []
    with quick.as_shipped():  # bits of two programs are compared
        for memory in (0, 2_000):
            learner = dataclasses.replace(gpt(**few, dropout=0.1), data=None, path=str(path), memory=memory)
            engine = Engine(sweep(learner, {"learning_rate": [1e-2, 1e-3]}), "vmap")
            harness.train(engine, 25, window=7, evaluate_every=12)
            (group,) = engine.group_states
            found.append(
                (
                    group.state(),
                    group.best.model,
                    group.best.score,
                    group.program.test(group.best.model, 1, 0),
                )
            )
    one, other = jax.device_get(found)
    for mine, theirs in zip(jax.tree.leaves(one[:2]), jax.tree.leaves(other[:2]), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    for mine, theirs in zip(jax.tree.leaves(one[2:]), jax.tree.leaves(other[2:]), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4)  # perplexity of a word multiplies rounding


def columns(table):
    return table.column_names, table.columns


def test_invariants_of_a_gpt(tmp_path: Path):
    learner = gpt(dropout=0.1, positions="rotary", batch_size=8)
    harness.check_learner(learner, {"learning_rate": [1e-2, 1e-3]}, 9, tmp_path)


def test_invariants_of_an_lstm_that_carries_its_state(tmp_path: Path):
    learner = lstm(sampling="consecutive", batch_size=4, block=8)
    harness.check_learner(learner, {"learning_rate": [1e-2, 1e-3]}, 9, tmp_path)


def test_random_windows_learn_too():
    learner = gpt(sampling="random", attention="linear", positions="none")
    engine = harness.only_trained(sweep(learner, seeds=1), 5)
    assert engine.step == 5
    assert engine.diverged_at().tolist() == [-1]


def test_an_epoch_reads_every_window_once():
    batches = Batches.of(DATA, "shuffled", 4, 8, 0)
    steps = batches.epoch_steps(8)
    order = batches.order(jax.random.key(0), 8)
    drawn = [batches.draw(jax.random.key(1), order, jnp.int32(i), 8, 4) for i in range(steps)]
    starts = np.concatenate([np.asarray(s) for s, _ in drawn])
    lengths = np.concatenate([np.asarray(n) for _, n in drawn])
    assert sorted(starts[lengths > 0]) == sorted(batches.train.starts)
    assert lengths.sum() == DATA.predicted("train")


def test_lanes_read_on_where_they_stopped():
    batches = Batches.of(DATA, "consecutive", 5, 3, 0)
    starts = np.stack(
        [batches.draw(jax.random.key(0), None, jnp.int32(i), 3, 5)[0] for i in range(batches.epoch_steps(3))]
    )
    assert (np.diff(starts, axis=0) == 5).all()
    assert (np.diff(starts[0]) == (DATA.predicted("train") + len(DATA.part("train")) - 2) // 3).all()


def test_the_memory_of_a_lane_is_that_of_reading_on(tmp_path: Path):
    learner = lstm(sampling="consecutive", batch_size=2, block=4, learning_rate=1e-9).load_data()

    @eqx.filter_jit
    def two_steps(key):
        state = learner.on_epoch_start(learner.init(key), key)
        after, _ = learner.step(learner.step(state, key)[0], key)
        tokens = jnp.asarray(DATA.tokens)[learner.batches.train[1] + jnp.arange(8)].astype(jnp.int32)
        network = state.network
        return after.memory, jax.lax.scan(lambda s, t: network.step(s, t), network.init_state(), tokens)[0]

    memory, expected = two_steps(jax.random.key(0))
    for found, one in zip(jax.tree.leaves(memory), jax.tree.leaves(expected)):
        np.testing.assert_allclose(found[1], one, atol=1e-5)


class Fixed(eqx.Module):
    """Says that the next token is the one that came, with a logit of its number."""

    def __call__(self, tokens):
        return jax.nn.one_hot(tokens, len(DATA.tokenizer)) * tokens[:, None]


def of_fixed(part: str) -> tuple[float, int]:
    """Return nats per token of `Fixed` on a part of the text, by a loop over its tokens, and how many."""
    stream, offsets = DATA.tokens.astype(int), DATA.part(part)
    total, count = 0.0, 0
    for a, b in itertools.pairwise(offsets):
        for place in range(a + 1, b):
            logits = np.eye(len(DATA.tokenizer))[stream[place - 1]] * stream[place - 1]
            total += np.log(np.exp(logits).sum()) - logits[stream[place]]
            count += 1
    return total / count, count


def test_a_part_is_measured_whole_whatever_its_windows():
    expected, count = of_fixed("validation")
    for block, stride in ((16, 0), (5, 0), (5, 2)):
        windows = Windows.of(DATA.part("validation"), block, stride)
        found = eqx.filter_jit(evaluated)(Fixed(), DATA, windows, "validation", block, 4)
        assert float(found["nats"].weight) == count
        assert float(found["nats"].value) == pytest.approx(expected, rel=1e-5)


def test_a_learner_is_judged_by_validation_text_and_at_the_end_by_test_text():
    learner = gpt().load_data()
    for part, judge in (("validation", learner), ("test", learner.for_test(1))):
        found = eqx.filter_jit(judge.evaluate)(Fixed(), jax.random.key(0))
        expected, count = of_fixed(part)
        assert float(found["nats"].weight) == count
        assert float(found["nats"].value) == pytest.approx(expected, rel=1e-5)


def test_micro_batches_change_no_gradient():
    one, other = lstm().load_data(), lstm(micro_batches=4).load_data()

    @eqx.filter_jit
    def stepped(key):
        state = one.on_epoch_start(one.init(key), key)
        return [learner.step(state, key) for learner in (one, other)]

    (a, loss), (b, other_loss) = stepped(jax.random.key(0))
    for x, y in zip(jax.tree.leaves(a.network), jax.tree.leaves(b.network)):
        np.testing.assert_allclose(x, y, atol=2e-4)
    assert float(loss["loss"].value) == pytest.approx(float(other_loss["loss"].value), rel=1e-5)


def test_an_untrained_member_says_that_it_does_not_beat_counting():
    learner = gpt().load_data()
    network = eqx.filter_jit(learner.init)(jax.random.key(0)).network
    from populace.text.measures.plots import counting

    assert "does NOT beat counting" in counting(learner, network).caption


@pytest.mark.parametrize(("make", "message"), [
    (lambda: gpt(block=17).load_data(), "block is 17, and the longest training document has 16 tokens"),
    (lambda: lstm(sampling="consecutive", batch_size=100, block=16).load_data(), "are shorter than a block"),
    (lambda: gpt(heads=3).check(), "width 16 does not divide into 3 heads"),
    (lambda: gpt(width=6, positions="rotary").check(), "turns pairs"),
    (lambda: gpt(sampling="consecutive").check(), "carries no state"),
    (lambda: gpt(micro_batches=3).check(), "does not divide into 3 micro_batches"),
    (lambda: gpt(evaluation_stride=17).check(), "evaluation_stride 17 is above block"),
    (lambda: lstm(tied=True).check(), "tied needs width = hidden, got 8 and 16"),
    (lambda: GPT(path="nowhere.txt").load_data(), "no text at 'nowhere.txt'"),
    (lambda: GPT(validation=0.0).check(), "hold some out"),
    (lambda: GPT(dataset="poems"), "dataset must be one of names"),
])  # fmt: skip
def test_bad_input(make, message):
    with pytest.raises(UsageError, match=message):
        make()
