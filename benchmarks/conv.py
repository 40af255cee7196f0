"""Convolution in 1, 2 and 3 dimensions, forward and gradients, beside `lax.conv` and PyTorch.

    python benchmarks/conv.py [--torch TORCH_PYTHON] [--repeats 5] [--only 2d]

Every case is a batch through one convolution padded by half its kernel, and the gradients by input and
weight, in float32. populace and `lax.conv` are timed inside a compiled loop, as in training, and outside, as
one call; PyTorch as it is written by default, and with `channels_last` memory. Every figure is the median of
rounds in which all take turns, so that a slow minute of the machine falls on everybody.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from children import child

HERE = Path(__file__).resolve()
# batch, sizes, kernel, stride, channels in, channels out
CASES = {
    "1d": [
        "128,200,3,1,16,32", "64,1000,9,1,1,16", "32,500,5,1,32,64", "32,256,3,1,64,64",
        "64,2000,16,4,1,32",
    ],
    "2d": [
        "128,28x28,5,1,1,16", "128,14x14,5,1,16,32", "32,32x32,3,1,32,32", "64,32x32,3,2,16,32",
        "16,64x64,3,1,3,32",
    ],
    "3d": [
        "16,16x16x16,3,1,1,16", "8,16x16x16,3,1,16,16", "8,16x16x16,3,2,16,32", "2,32x32x32,3,1,8,8",
        "16,8x8x8,3,1,32,64",
    ],
}  # fmt: skip
COLUMNS = {
    "populace, in a loop": ("auto", True),
    "populace": ("auto", False),
    "lax.conv, in a loop": ("xla", True),
    "lax.conv": ("xla", False),
}


def worker(specs: list[str], seconds: float) -> dict[str, list[float]]:
    """Return the seconds of one pass of every case, for every column."""
    import jax

    found: dict[str, list[float]] = {name: [] for name in COLUMNS}
    for spec in specs:
        for name, (lowering, looped) in COLUMNS.items():
            run, arguments = program(spec, lowering, looped)
            found[name].append(
                timed(lambda n, run=run, a=arguments: jax.block_until_ready(run(n, *a)), seconds)
            )
    return found


def program(spec: str, lowering: str, looped: bool) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """Return a function of (passes, input, weight, cotangent), compiled, and its last three arguments."""
    import jax
    import numpy as np
    from jax import lax

    from populace.nn.conv.convolution import convolve

    batch, sizes, kernel, stride, ins, outs = spec.split(",")
    sizes, draws = tuple(map(int, sizes.split("x"))), np.random.default_rng(0)
    k, s = int(kernel), int(stride)

    def layer(x, weight):
        one = lambda x: convolve(x, weight, stride=s, padding=k // 2, lowering=lowering)  # noqa: E731
        return jax.vmap(one)(x)

    def draw(*shape):
        return jax.numpy.asarray(draws.normal(size=shape), "float32")

    x, weight = draw(int(batch), *sizes, int(ins)), draw(*[k] * len(sizes), int(ins), int(outs))
    cotangent = draw(*jax.eval_shape(layer, x, weight).shape)

    def once(x, weight, cotangent):
        y, adjoint = jax.vjp(layer, x, weight)
        return y, *adjoint(cotangent)

    if not looped:
        compiled = jax.jit(once)

        def calls(n, *arguments):
            done = None
            for _ in range(n):
                done = jax.block_until_ready(compiled(*arguments))
            return done

        return calls, (x, weight, cotangent)

    @jax.jit
    def loop(n, x, weight, cotangent):
        def body(_, state):
            # Each pass depends on the last one, so that none can be left out or moved out of the loop.
            (x, weight), (_y, by_x, by_weight) = state
            x, weight = x + 1e-9 * by_x, weight + 1e-9 * by_weight
            return (x, weight), once(x, weight, cotangent)

        return lax.fori_loop(0, n, body, ((x, weight), once(x, weight, cotangent)))

    return loop, (x, weight, cotangent)


def timed(run: Callable[[int], Any], seconds: float) -> float:
    """Return the seconds per pass, over as many passes as fill the time."""
    run(1)
    start = time.perf_counter()
    run(2)
    once = (time.perf_counter() - start) / 2
    passes = max(2, round(seconds / once))
    start = time.perf_counter()
    run(passes)
    return (time.perf_counter() - start) / passes


def table(torch_python: str | None, repeats: int, only: str = "") -> str:
    """Return a Markdown table of milliseconds per pass.

    Args:
        torch_python: an interpreter that has PyTorch, or None to leave it out.
        repeats: rounds in which every case runs once.
        only: `1d`, `2d` or `3d`, or all.

    """
    specs = [spec for name, group in CASES.items() if only in ("", name) for spec in group]
    found: dict[str, list[list[float]]] = {}
    for turn in range(repeats):
        print(f"round {turn + 1}", file=sys.stderr, flush=True)
        measured = child(sys.executable, str(HERE), "--worker", *specs)
        if torch_python:
            words = [torch_python, str(HERE.parent / "peers" / "torch_conv.py"), "conv", *specs]
            measured["PyTorch"] = child(*words)["seconds"]
            measured["PyTorch, channels_last"] = child(*words, "--channels-last")["seconds"]
        for name, times in measured.items():
            found.setdefault(name, []).append(times)
    medians = {name: [1e3 * statistics.median(t) for t in zip(*rounds)] for name, rounds in found.items()}
    own = "populace, in a loop"
    lines = [
        f"| batch, sizes, kernel, stride, in, out | {' | '.join(medians)} | best other / {own} |",
        "|---" * (len(medians) + 2) + "|",
    ]
    for i, spec in enumerate(specs):
        row = {name: times[i] for name, times in medians.items()}
        best = min(value for name, value in row.items() if not name.startswith("populace"))
        cells = " | ".join(f"{value:.2f}" for value in row.values())
        lines.append(f"| {spec.replace(',', ', ')} | {cells} | {best / row[own]:.2f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--torch", help="interpreter that has PyTorch")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", default="", choices=("", *CASES))
    parser.add_argument("--worker", nargs="+", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        print(json.dumps(worker(args.worker, 0.3)))
    else:
        print(table(args.torch, args.repeats, args.only))


if __name__ == "__main__":
    main()
