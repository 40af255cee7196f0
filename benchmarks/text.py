"""Language models beside their peers: training, generation, and tokenizing.

    POPULACE_DATA=DATA python benchmarks/text.py [train] [generate] [tokenize]
        [--torch PYTHON] [--nanogpt FOLDER] [--repeats 3] [--one-thread]

PYTHON is an interpreter with what `requirements-text.txt` lists, FOLDER a checkout of nanoGPT.

Training: tokens per second, of all members together. The transformer is that of nanoGPT's CPU setting (4
layers, 4 heads, width 128, block 64, batch 12, 65 characters, AdamW, clipping), the LSTM an embedding of 100,
128 units and a softmax over 10,000 words on batches of 32 x 200. A peer trains one member after the other on
all cores, or two at a time in processes of one thread each, whose rates add up. populace runs its learners in
the engine's loop, with the batches drawn and the watch for NaN in their time.

Generation: tokens per second of sampling after one token, random weights, beside Hugging Face's GPT-2 with
its cache; a first call, which compiles, is not timed.

Figures are of processes of their own, which take turns, round by round; medians and ranges over the rounds.
On a machine that others use too, tokens per second of processor time say more: PyTorch's threads wait for
each other where one of them is held up, and its single-threaded processes do not.
"""

import argparse
import json
import math
import statistics
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from children import child, machine

HERE = Path(__file__).resolve()
PEERS = HERE.parent / "peers"
SIZES = {"recipe": (4, 4, 128, 65), "small": (12, 12, 768, 50_257)}
WRITTEN = {
    "recipe": [(batch, length) for length in (64, 2_048) for batch in (1, 8)],
    "small": [(1, 64), (8, 64)],
}
WORDS = 10_000


def text_of(vocabulary: int, total: int, documents: int) -> Any:
    """Return text data of random tokens, in documents of one length, of which one in ten is held out."""
    import numpy as np

    from populace.text import TextData
    from populace.text.tokenizers.characters import CharacterTokenizer

    tokenizer = CharacterTokenizer([chr(256 + i) for i in range(vocabulary)])
    ends = np.linspace(0, total, documents + 1).astype(np.int64)
    cut = max(int(0.9 * documents), 1)
    offsets = (ends[: cut + 1], ends[cut:], ends[-1:])
    tokens = np.random.default_rng(0).integers(0, vocabulary, total).astype(np.uint16)
    return TextData(tokens, offsets, np.ones((3, 3), np.float32), tokenizer, (0, 0))


def rates(tokens: int, seconds: float, busy: float) -> dict:
    """Return tokens per second, of time and of processor time."""
    return {"tokens_per_second": tokens / seconds, "tokens_per_processor_second": tokens / busy}


def train_worker(kind: str, members: int, steps: int, strategy: str) -> dict:
    """Return tokens per second of all members in the engine's loop."""
    import jax

    import populace as pop
    from populace.engine.training_loop import Engine
    from populace.optim.optimizers import Adam
    from populace.optim.schedules import Cosine
    from populace.text import GPT, LSTMLanguageModel

    pop.setup()
    if kind == "gpt":
        learner: Any = GPT(
            data=text_of(65, 1_000_000, 2), block=64, sampling="random", batch_size=12, layers=4, heads=4,
            width=128, bias=False, learning_rate=1e-3, weight_decay=0.1, max_gradient_norm=1.0,
            optimizer=Adam(b2=0.99), schedule=Cosine(steps=2_000, warmup=100, end=0.1),
        )  # fmt: skip
    else:
        learner = LSTMLanguageModel(
            data=text_of(WORDS, 1_000 * 201, 1_000), block=200, batch_size=32, width=100, hidden=128,
        )  # fmt: skip
    group_state = Engine(pop.sweep(learner, seeds=members), strategy).group_states[0]
    carry, _ = group_state.program.advance(group_state.carry, 3)
    jax.block_until_ready(carry.step)
    start, began = time.perf_counter(), time.process_time()
    carry, _ = group_state.program.advance(carry, 3 + steps)
    jax.block_until_ready(carry.step)
    seconds, busy = time.perf_counter() - start, time.process_time() - began
    tokens = learner.batch_size * learner.block
    return rates(members * steps * tokens, seconds, busy)


def write_worker(batch: int, length: int, size: str) -> dict:
    """Return tokens per second of generation, of a request that was made before."""
    import jax

    from populace import setup
    from populace.text import generate
    from populace.text.models.transformer import Transformer
    from populace.text.tokenizers.characters import CharacterTokenizer

    setup()
    layers, heads, width, vocabulary = SIZES[size]
    tokenizer = CharacterTokenizer([chr(0x1000 + i) for i in range(vocabulary)])
    block = max(length + 1, 128)
    make = lambda key: Transformer(  # noqa: E731
        vocabulary, block=block, layers=layers, heads=heads, width=width, key=key
    )
    member = SimpleNamespace(
        model=jax.jit(make)(jax.random.key(0)), learner=SimpleNamespace(trained_tokenizer=tokenizer)
    )

    def write() -> dict:
        start, began = time.perf_counter(), time.process_time()
        found: Any = generate(member, [tokenizer.tokens[0]] * batch, length=length)
        assert all(len(one.tokens) == length for one in found)
        return rates(batch * length, time.perf_counter() - start, time.process_time() - began)

    write()
    return write()


def tokenize_worker(kind: str) -> dict:
    """Return the seconds of learning a vocabulary of 10,000 from the recipes, and of encoding them."""
    from populace.text import BPE, DATASETS, Words

    texts = DATASETS["recipes"]()
    start = time.perf_counter()
    made: Any = {"words": Words, "bpe": BPE}[kind]
    tokenizer = made(vocabulary=WORDS).train(texts, ends=True)
    learned = time.perf_counter() - start
    tokens = sum(map(len, tokenizer.encode_each(texts)))
    encoded = time.perf_counter() - start - learned
    if kind == "words":
        return {"learned": learned, "encoded": encoded, "tokens": tokens}
    start = time.perf_counter()
    own = sum(len(one.ids) for one in tokenizer._model.encode_batch(list(texts), add_special_tokens=False))
    assert own == tokens
    return {
        "learned": learned, "encoded": encoded, "tokens": tokens, "library": time.perf_counter() - start
    }  # fmt: skip


def pair(words: list[str]) -> dict:
    """Return the sum of two processes of one thread, side by side."""
    both = [subprocess.Popen([*words, "--threads", "1"], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    found = [json.loads(one.communicate()[0].strip().splitlines()[-1]) for one in both]
    total = {"tokens_per_second": sum(one["tokens_per_second"] for one in found)}
    key = "tokens_per_processor_second"
    return total | {key: statistics.mean(one[key] for one in found)}


def compared(title: str, runs: dict[str, Any], repeats: int) -> str:
    """Run everything in turns; return a table of tokens per second of time and of processor time."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, (how, words) in runs.items():
            found[name].append(how(words))
            rate = found[name][-1]["tokens_per_second"]
            print(f"{title}, {name}: {rate:,.0f} tokens/s", file=sys.stderr, flush=True)
    middle = {
        key: {name: statistics.median(one[key] for one in many) for name, many in found.items()}
        for key in ("tokens_per_second", "tokens_per_processor_second")
    }
    peers = [name for name in runs if not name.startswith("populace")]
    best = {key: max((rates[name] for name in peers), default=math.nan) for key, rates in middle.items()}
    lines = [
        f"| {title} | tokens/s in all | range | times the quickest peer | tokens per processor second "
        "| times the thriftiest peer |",
        "|---|---|---|---|---|---|",
    ]
    for name, many in found.items():
        rates = [one["tokens_per_second"] for one in many]
        cells = [name, f"{statistics.median(rates):,.0f}", f"{min(rates):,.0f} to {max(rates):,.0f}"]
        for key, rate in middle.items():
            cells += [f"{rate[name]:,.0f}"] * (key != "tokens_per_second") + [f"{rate[name] / best[key]:.2f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def one(words: list[str]) -> dict:
    return child(*words)


def training(torch: str | None, nanogpt: str | None, repeats: int) -> list[str]:
    """Return the tables of training."""
    me, peer, tables = [sys.executable, str(HERE), "--worker"], str(PEERS / "torch_text.py"), []
    for kind, title, steps in (("gpt", "nanoGPT's CPU setting", 40), ("lstm", "LSTM over 10,000 words", 3)):
        runs: dict[str, Any] = {
            "populace, 1 member": (one, [*me, "train", kind, "1", str(steps), "map"]),
            "populace, 8 members": (one, [*me, "train", kind, "8", str(max(steps // 4, 2)), "map"]),
        }
        if torch and (nanogpt or kind == "lstm"):
            words = [torch, peer, "nanogpt" if kind == "gpt" else "lstm", "--steps", str(steps)]
            words += ["--source", str(nanogpt)] if kind == "gpt" else []
            name = "nanoGPT on PyTorch" if kind == "gpt" else "PyTorch"
            runs[f"{name}, one after the other"] = (one, words)
            runs[f"{name}, two processes"] = (pair, words)
            if kind == "lstm":
                runs["Keras on JAX"] = (one, [torch, str(PEERS / "keras_lstm.py"), "--steps", str(steps)])
        tables.append(compared(title, runs, repeats))
    return tables


def writing(torch: str | None, repeats: int, one_thread: bool) -> list[str]:
    """Return the tables of generation."""
    me, peer, tables = [sys.executable, str(HERE), "--worker"], str(PEERS / "torch_text.py"), []
    for size, pairs in WRITTEN.items():
        for batch, length in pairs:
            runs: dict[str, Any] = {"populace": (one, [*me, "write", str(batch), str(length), size])}
            if torch:
                words = [torch, peer, "generate", "--batch", str(batch), "--length", str(length)]
                runs["Hugging Face, 1 thread"] = (one, [*words, "--size", size, "--threads", "1"])
                if not one_thread:
                    runs["Hugging Face, all threads"] = (one, [*words, "--size", size])
            layers, _, width, _ = SIZES[size]
            title = f"{layers} layers of {width}, {batch} texts of {length:,}"
            tables.append(compared(title, runs, repeats))
    return tables


def tokenizing(repeats: int) -> list[str]:
    """Return the table of tokenizing."""
    lines = [
        "| recipes | learned in | encoded in | tokens | by the library's batch |",
        "|---|---|---|---|---|",
    ]
    for kind in ("words", "bpe"):
        found = [child(sys.executable, str(HERE), "--worker", "tokenize", kind) for _ in range(repeats)]
        names = ("learned", "encoded", "library")
        times = [f"{statistics.median(f[name] for f in found):.2f} s" for name in names if name in found[0]]
        learned, encoded, *batch = times
        cells = [kind, learned, encoded, f"{found[0]['tokens']:,}", *(batch or [""])]
        lines.append(f"| {' | '.join(cells)} |")
    return ["\n".join(lines)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", nargs="*", help="train, generate, tokenize; all of them by default")
    parser.add_argument("--torch", help="interpreter that has PyTorch, transformers and Keras")
    parser.add_argument("--nanogpt", help="checkout of nanoGPT")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--one-thread", action="store_true", help="leave out Hugging Face on all threads")
    parser.add_argument("--worker", nargs="+", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        what, *rest = args.worker
        if what == "train":
            found = train_worker(rest[0], int(rest[1]), int(rest[2]), rest[3])
        elif what == "write":
            found = write_worker(int(rest[0]), int(rest[1]), rest[2])
        else:
            found = tokenize_worker(rest[0])
        print(json.dumps(found))
        return
    asked = args.what or ["train", "generate", "tokenize"]
    tables = training(args.torch, args.nanogpt, args.repeats) if "train" in asked else []
    tables += writing(args.torch, args.repeats, args.one_thread) if "generate" in asked else []
    tables += tokenizing(args.repeats) if "tokenize" in asked else []
    print("\n\n".join([machine(), *tables]))


if __name__ == "__main__":
    main()
