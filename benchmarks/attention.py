"""Attention: time against length for softmax, linear attention and PyTorch; errors of the approximations.

    python benchmarks/attention.py [--torch TORCH_PYTHON] [--repeats 5] [--one-core]

One head of width 64, one sequence, float32. Time is that of the clock, with all cores; or, with
`--one-core`, that of the processor with everybody on one core, which other processes disturb little.
Rounds take turns between the cases, so that a slow minute of the machine falls on all of them; figures are
medians over the rounds. Exponents are the slopes of a least-squares line through the logarithms of the
medians, from 1,024 tokens up, with 95 % intervals.
"""

import argparse
import json
import math
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

from populace.nn.attention.dot_product import attention
from populace.nn.attention.feature_maps import RandomFeatures
from populace.nn.attention.linear import linear_attention
from populace.nn.attention.low_rank import ProjectedAttention, rank_errors

WIDTH = 64
SHORTEST = 16
FIT_FROM = 1024
SOFTMAX_GRADIENT_TO = 16_384  # four times as long takes sixteen times as long
PEER = Path(__file__).parent / "peers" / "torch_attention.py"
TORCH = "PyTorch"

CASES: dict[str, Callable[..., jax.Array]] = {
    "softmax": attention,
    "softmax, causal": lambda q, k, v: attention(q, k, v, causal=True),
    "linear": linear_attention,
    "linear, causal": lambda q, k, v: linear_attention(q, k, v, causal=True),
}
Times = dict[tuple[str, int], float]


def table(torch_python: str | None, repeats: int) -> str:
    """Return all tables of this file as Markdown, measured in a process of their own.

    Args:
        torch_python: an interpreter that has PyTorch, or None to leave it out.
        repeats: rounds in which every case runs once.

    """
    words = [sys.executable, str(Path(__file__).resolve()), "--repeats", str(repeats)]
    words += ["--torch", torch_python] if torch_python else []
    return subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True).stdout


def report(torch_python: str | None, repeats: int, longest: int, one_core: bool) -> str:
    lengths = [2**i for i in range(int(math.log2(SHORTEST)), int(math.log2(longest)) + 1)]
    if one_core:  # before JAX makes its threads; PyTorch inherits it
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    kind = "processor time on one" if one_core else "time by the clock, all"
    text = [f"{platform.machine()}, {os.cpu_count()} cores, {kind}; JAX {jax.__version__}; {repeats} rounds."]
    for what, gradient in (("forward", False), ("forward and gradient", True)):
        times = measure(lengths, gradient, torch_python, repeats, process_time if one_core else perf_counter)
        text += [f"### Time of attention, {what}", times_table(times), crossings(times)]
    text += ["### Working memory of the compiled programs, MiB", memory_table(longest)]
    text += ["### Error of random features", feature_table(), "### Error of low rank", rank_table()]
    return "\n\n".join(text)


def measure(
    lengths: list[int],
    gradient: bool,
    torch_python: str | None,
    repeats: int,
    clock: Callable[[], float],
) -> Times:
    """Return the median seconds of every case and length."""
    calls = {
        (name, n): partial(finish, program(function, gradient), inputs(n))
        for name, function in CASES.items()
        for n in lengths
        if not (gradient and name.startswith("softmax") and n > SOFTMAX_GRADIENT_TO)
    }
    for call in calls.values():
        call()  # compiled before any clock starts
    found: dict[tuple[str, int], list[float]] = {}
    for turn in range(repeats):
        print(f"round {turn + 1}, load {os.getloadavg()[0]:.1f}", file=sys.stderr, flush=True)
        for case, call in calls.items():
            found.setdefault(case, []).append(seconds(call, clock))
        if torch_python:
            limit = SOFTMAX_GRADIENT_TO if gradient else lengths[-1]
            words = [torch_python, str(PEER), "--width", str(WIDTH), "--lengths"]
            words += [str(n) for n in lengths if n <= limit] + ["--gradient"] * gradient
            words += ["--clock", clock.__name__]
            done = subprocess.run(words, capture_output=True, text=True, check=True)
            peer = json.loads(done.stdout.strip().splitlines()[-1])
            for name, by_length in peer["seconds"].items():
                for n, value in by_length.items():
                    found.setdefault((f"{TORCH}, {name}", int(n)), []).append(value)
    return {case: median(values) for case, values in found.items()}


def program(function: Callable[..., jax.Array], gradient: bool) -> Any:
    """Return the compiled function, or its gradient by queries, keys and values."""
    if not gradient:
        return jax.jit(function)
    return jax.jit(jax.value_and_grad(lambda *x: jnp.sum(function(*x)), (0, 1, 2)))


def inputs(n: int, scale: float = 1.0) -> tuple[jax.Array, ...]:
    """Return standard normal queries, keys and values; queries and keys times `scale`."""
    q, k, v = jax.random.normal(jax.random.key(0), (3, n, WIDTH))
    return scale * q, scale * k, v


def finish(run: Callable[..., Any], arguments: tuple[jax.Array, ...]) -> None:
    jax.block_until_ready(run(*arguments))


def seconds(call: Callable[[], None], clock: Callable[[], float]) -> float:
    """Return the seconds of one call, if that is short the median of five stretches of 30 ms."""
    start = clock()
    call()
    once = clock() - start
    if once > 0.5:
        return once
    calls = max(1, int(0.03 / once))
    stretches = []
    for _ in range(5):
        start = clock()
        for _ in range(calls):
            call()
        stretches.append((clock() - start) / calls)
    return median(stretches)


def times_table(times: Times) -> str:
    """Return milliseconds by length, and the fitted exponents below."""
    names = list(dict.fromkeys(name for name, _ in times))
    lines = [
        "| tokens | " + " | ".join(f"{name}, ms" for name in names) + " |",
        "|---" * (len(names) + 1) + "|",
    ]
    for n in sorted({n for _, n in times}):
        cells = [f"{1e3 * times[name, n]:.4g}" if (name, n) in times else "" for name in names]
        lines.append(f"| {n:,} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, "| exponent | " + " | ".join(exponent(times, name) for name in names) + " |"])


def exponent(times: Times, name: str) -> str:
    """Return the slope of log time over log length, with its 95 % interval."""
    points = [(n, t) for (case, n), t in times.items() if case == name and n >= FIT_FROM]
    if len(points) < 3:
        return ""
    fit: Any = stats.linregress(np.log([n for n, _ in points]), np.log([t for _, t in points]))
    half = stats.t.ppf(0.975, len(points) - 2) * fit.stderr
    return f"{fit.slope:.2f} ({fit.slope - half:.2f} to {fit.slope + half:.2f})"


def crossings(times: Times) -> str:
    """Say from which length on the linear forms are faster than the softmax ones."""
    names = {name for name, _ in times}
    lines = []
    for kind in ("", ", causal"):
        for rival in (f"softmax{kind}", f"{TORCH}, softmax{kind}"):
            if rival in names:
                lines.append(f"- linear{kind} against {rival}: {crossing(times, f'linear{kind}', rival)}")
    return "\n".join(lines)


def crossing(times: Times, name: str, rival: str) -> str:
    """Return where one case overtakes the other for good, by a line through the logarithms."""
    lengths = sorted(n for case, n in times if case == rival)
    ahead = [math.log(times[rival, n] / times[name, n]) for n in lengths]
    if ahead[-1] <= 0:
        return f"not faster at {lengths[-1]:,} tokens"
    behind = [i for i, gain in enumerate(ahead) if gain <= 0]
    if not behind:
        return f"faster from {lengths[0]} tokens on"
    i = behind[-1]
    part = -ahead[i] / (ahead[i + 1] - ahead[i])
    at = lengths[i] * (lengths[i + 1] / lengths[i]) ** part
    return f"faster from about {at:,.0f} tokens on (slower at {lengths[i]:,}, faster at {lengths[i + 1]:,})"


def memory_table(longest: int) -> str:
    """Return what XLA sets aside beside inputs and outputs."""
    lengths = [n for n in (1024, 4096, 16_384, 65_536) if n <= longest]
    lines = ["| tokens | " + " | ".join(f"{c} | its gradient" for c in CASES) + " |"]
    lines.append("|---" * (2 * len(CASES) + 1) + "|")
    for n in lengths:
        cells = []
        for function in CASES.values():
            for gradient in (False, True):
                compiled = program(function, gradient).lower(*inputs(n)).compile()
                cells.append(f"{compiled.memory_analysis().temp_size_in_bytes / 2**20:.1f}")
        lines.append(f"| {n:,} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def relative(found: jax.Array, expected: jax.Array) -> float:
    return float(jnp.linalg.norm(found - expected) / jnp.linalg.norm(expected))


def feature_error(
    x: tuple[jax.Array, ...], expected: jax.Array, features: int, orthogonal: bool, key: Any
) -> float:
    phi = RandomFeatures(WIDTH, features, orthogonal=orthogonal, key=key)
    return relative(linear_attention(x[0], x[1], x[2], phi), expected)


def feature_table(n: int = 1024, draws: int = 5) -> str:
    """Return the error against softmax for numbers of features and sizes of queries and keys."""
    counts = (64, 256, 1024, 4096)
    lines = [
        f"Relative error of the output, {n:,} tokens of width {WIDTH}, mean of {draws} draws. Queries and "
        "keys are normal with the standard deviation given.",
        "",
        "| standard deviation | directions | " + " | ".join(f"f = {f:,}" for f in counts) + " |",
        "|---" * (len(counts) + 2) + "|",
    ]
    for scale in (0.25, 0.5, 1.0):
        x = inputs(n, scale)
        expected = attention(*x)
        for orthogonal in (False, True):
            cells = []
            for f in counts:
                keys = jax.random.split(jax.random.key(f), draws)
                errors = [feature_error(x, expected, f, orthogonal, key) for key in keys]
                cells.append(f"{np.mean(errors):.3f}")
            kind = "orthogonal" if orthogonal else "independent"
            lines.append(f"| {scale} | {kind} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def rank_table(n: int = 512) -> str:
    """Return the error against softmax for ranks, of truncated and of projected attention."""
    ranks = [2**i for i in range(int(math.log2(n)) + 1)]
    key = jax.random.key(1)
    q, k, v = inputs(n)
    near = jnp.exp(-0.5 * ((jnp.arange(n)[:, None] - jnp.arange(n)) / 16) ** 2)
    smooth = [near @ x / jnp.linalg.norm(near, axis=1, keepdims=True) for x in (q, k, v)]
    cases = {"independent": (q, k, v), "independent, 3 Q": (3 * q, k, v), "neighbors alike": smooth}
    lines = [
        f"Relative error, {n} tokens of width {WIDTH}, standard normal; in the last rows tokens beside each "
        "other are alike (smoothed over 16 places).",
        "",
        "| tokens | error of | " + " | ".join(f"r = {r}" for r in ranks) + " |",
        "|---" * (len(ranks) + 2) + "|",
    ]
    for name, x in cases.items():
        errors, expected = rank_errors(*x), attention(*x)
        rows: dict[str, list[float]] = {
            "truncated SVD, context": [float(errors.context[r]) for r in ranks],
            "truncated SVD, output": [float(errors.output[r]) for r in ranks],
        }
        for start in ("mean", "glorot"):
            layers = [ProjectedAttention(n, r, start=start, key=key) for r in ranks]
            label = "means of neighbors" if start == "mean" else "untrained Linformer"
            rows[f"{label}, output"] = [relative(layer(*x), expected) for layer in layers]
        for label, values in rows.items():
            lines.append(f"| {name} | {label} | " + " | ".join(f"{value:.2g}" for value in values) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--torch", help="interpreter that has PyTorch")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--one-core", action="store_true", help="processor time, on one core")
    parser.add_argument("--longest", type=int, default=65_536, help="tokens, a power of two")
    args = parser.parse_args()
    print(report(args.torch, args.repeats, args.longest, args.one_core))


if __name__ == "__main__":
    main()
