"""Times language models of PyTorch, training and generation, and prints one JSON line.

    python torch_text.py nanogpt --source NANOGPT --steps 40     nanoGPT's CPU setting
    python torch_text.py nanogpt --source NANOGPT --steps 2000 --text input.txt --seed 1337     its quality
    python torch_text.py lstm --steps 3                          embedding, nn.LSTM, linear, Adam
    python torch_text.py generate --batch 8 --length 64 --size small     Hugging Face's GPT-2 with its cache

NANOGPT is a checkout of github.com/karpathy/nanoGPT, whose `model.py` is imported; the loop is that of its
`train.py` (AdamW with decay on matrices, warm-up and cosine, clipping at 1), not compiled, as its README says
for a CPU. With a text its first nine tenths are trained on, and the nats are those of the whole rest, in
windows that do not overlap.
"""

import argparse
import json
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

BLOCK, BATCH, LAYERS, HEADS, WIDTH = 64, 12, 4, 4, 128
WARMUP, HIGHEST, LOWEST = 100, 1e-3, 1e-4
WORDS, LSTM_BATCH, LSTM_LENGTH, EMBEDDED, HIDDEN = 10_000, 32, 200, 100, 128
SIZES = {"recipe": (4, 4, 128, 65), "small": (12, 12, 768, 50_257)}


def timed(tokens: int, work: Callable[[], object]) -> dict:
    """Return tokens per second of what is done, of time and of processor time."""
    start, began = time.perf_counter(), time.process_time()
    work()
    seconds, busy = time.perf_counter() - start, time.process_time() - began
    return {
        "tokens_per_second": tokens / seconds,
        "tokens_per_processor_second": tokens / busy,
        "seconds": seconds,
    }


def rate_of(it: int, steps: int) -> float:
    """Return the learning rate of train.py's `get_lr`."""
    if it < WARMUP:
        return HIGHEST * (it + 1) / (WARMUP + 1)
    share = (it - WARMUP) / max(steps - WARMUP, 1)
    return LOWEST + 0.5 * (1 + math.cos(math.pi * share)) * (HIGHEST - LOWEST)


def nanogpt(source: Path, steps: int, text: Path | None, seed: int) -> dict:
    """Train nanoGPT's CPU setting."""
    sys.path.insert(0, str(source))
    from model import GPT, GPTConfig  # pyright: ignore[reportMissingImports]

    torch.manual_seed(seed)
    if text is None:
        vocabulary, train, held = 65, torch.randint(65, (1_000_000,)), None
    else:
        letters = text.read_text()
        number = {letter: i for i, letter in enumerate(sorted(set(letters)))}
        tokens = torch.tensor([number[letter] for letter in letters])
        first = int(0.9 * len(tokens))
        vocabulary, train, held = len(number), tokens[:first], tokens[first:]
    config = GPTConfig(BLOCK, vocabulary, LAYERS, HEADS, WIDTH, 0.0, False)
    model = GPT(config)
    optimizer = model.configure_optimizers(0.1, HIGHEST, (0.9, 0.99), "cpu")

    def step(it: int) -> None:
        for group in optimizer.param_groups:
            group["lr"] = rate_of(it, steps if text else 2000)
        starts = torch.randint(len(train) - BLOCK, (BATCH,))
        x = torch.stack([train[i : i + BLOCK] for i in starts])
        y = torch.stack([train[i + 1 : i + 1 + BLOCK] for i in starts])
        _, loss = model(x, y)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    untimed = 0 if text else 5
    for it in range(untimed):
        step(it)
    found = timed(steps * BATCH * BLOCK, lambda: [step(it) for it in range(untimed, untimed + steps)])
    return found if held is None else found | {"nats": validated(model, held)}


@torch.no_grad()
def validated(model: torch.nn.Module, held: torch.Tensor) -> float:
    """Return nats per token of all tokens but the first, in windows that do not overlap."""
    model.eval()
    total = 0.0
    for start in range(0, len(held) - 1, BLOCK):
        x, y = held[start : start + BLOCK][: len(held) - 1 - start], held[start + 1 : start + BLOCK + 1]
        total += model(x[None], y[None])[1].item() * len(y)
    return total / (len(held) - 1)


def lstm(steps: int) -> dict:
    """Train embedding, LSTM and softmax over 10,000 words."""

    class Network(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = torch.nn.Embedding(WORDS, EMBEDDED)
            self.lstm = torch.nn.LSTM(EMBEDDED, HIDDEN, batch_first=True)
            self.output = torch.nn.Linear(HIDDEN, WORDS)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.output(self.lstm(self.embedding(x))[0])

    torch.manual_seed(0)
    network = Network()
    optimizer = torch.optim.Adam(network.parameters(), 1e-3)
    tokens = torch.randint(WORDS, (LSTM_BATCH, LSTM_LENGTH + 1))

    def step() -> None:
        logits = network(tokens[:, :-1])
        loss = torch.nn.functional.cross_entropy(logits.reshape(-1, WORDS), tokens[:, 1:].reshape(-1))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    step()
    return timed(steps * LSTM_BATCH * LSTM_LENGTH, lambda: [step() for _ in range(steps)])


def generate(batch: int, length: int, size: str) -> dict:
    """Sample with Hugging Face's GPT-2 and its cache, from random weights, after one token."""
    import transformers

    layers, heads, width, vocabulary = SIZES[size]
    config = transformers.GPT2Config(
        vocab_size=vocabulary, n_positions=max(length + 1, 128), n_embd=width, n_layer=layers, n_head=heads,
        bos_token_id=0, eos_token_id=None,
    )  # fmt: skip
    torch.manual_seed(0)
    model = transformers.GPT2LMHeadModel(config).eval()
    prompt = torch.zeros((batch, 1), dtype=torch.long)

    def write(length: int) -> None:
        found = model.generate(
            prompt, attention_mask=torch.ones_like(prompt), do_sample=True, top_k=0, use_cache=True,
            max_new_tokens=length, min_new_tokens=length, pad_token_id=0,
        )  # fmt: skip
        assert found.shape == (batch, length + 1)

    with torch.inference_mode():
        write(8)
        return timed(batch * length, lambda: write(length))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", choices=("nanogpt", "lstm", "generate"))
    parser.add_argument("--source", type=Path, help="checkout of nanoGPT")
    parser.add_argument("--text", type=Path, help="text to train nanoGPT on")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--length", type=int, default=64)
    parser.add_argument("--size", choices=SIZES, default="recipe")
    parser.add_argument("--threads", type=int, default=0, help="torch.set_num_threads; 0 leaves the default")
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    if args.what == "nanogpt":
        found = nanogpt(args.source, args.steps, args.text, args.seed)
    elif args.what == "lstm":
        found = lstm(args.steps)
    else:
        found = generate(args.batch, args.length, args.size)
    print(json.dumps(found | {"version": torch.__version__, "threads": torch.get_num_threads()}))


if __name__ == "__main__":
    main()
