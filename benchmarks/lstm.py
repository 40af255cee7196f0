"""The LSTM beside PyTorch's nn.LSTM: forward and gradient, one member and a population of eight.

    python benchmarks/lstm.py --torch TORCH_PYTHON [--repeats 5]

Batch 32, 200 steps, 100 inputs, 128 hidden units, float32; the mean square of the outputs, its gradient by
all weights, and a plain step down it, so that no pass can be left out. Every figure is of a process of its
own, set up as populace sets up: one CPU device per core, members shared out over them, on each device one
after the other (`map`) or all at once (`vmap`), passes in a loop inside the program as in training. Processes
take turns, round by round, so that a slow minute of the machine falls on everybody; medians over the rounds,
ratios round by round. The processor's time, of all threads, is compared with PyTorch's on one: it says what
the clock cannot on a machine that others use as well.
"""

import argparse
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from children import child

HERE = Path(__file__).resolve()
SHAPE = {"batch": 32, "steps": 200, "inputs": 100, "hidden": 128}
PASSES, CALLS, RATE = 5, 5, 1e-3
CLOCKS = ("seconds", "processor")
ONE_THREAD = "PyTorch nn.LSTM, 1 thread"


def worker(members: int, strategy: str) -> dict:
    """Return the median time of one pass of all members, divided by their number."""
    import equinox as eqx
    import jax
    import jax.numpy as jnp
    from jax.sharding import PartitionSpec

    import populace as pop
    from populace.engine.placement import AXIS, place
    from populace.nn.recurrent.layers import LSTM

    make: Any = LSTM  # type checkers take the fields of a module for its arguments

    pop.setup()
    placement = place(members)
    keys = jax.random.split(jax.random.key(0), members)
    weights, fixed = eqx.partition(
        eqx.filter_vmap(lambda k: make(SHAPE["inputs"], SHAPE["hidden"], key=k))(keys), eqx.is_array
    )
    x = jax.random.normal(jax.random.key(1), (SHAPE["batch"], SHAPE["steps"], SHAPE["inputs"]))

    def loss(weights, x):
        return jnp.mean(jax.vmap(eqx.combine(weights, fixed))(x) ** 2)

    def descend(weights, x):
        step = lambda _, w: jax.tree.map(lambda a, g: a - RATE * g, w, jax.grad(loss)(w, x))  # noqa: E731
        return jax.lax.fori_loop(0, PASSES, step, weights)

    def share(weights, x):
        one = lambda w: descend(w, x)  # noqa: E731
        return jax.vmap(one)(weights) if strategy == "vmap" else jax.lax.map(one, weights)

    spread, everywhere = PartitionSpec(AXIS), PartitionSpec()
    program = jax.jit(
        jax.shard_map(
            share, mesh=placement.mesh, in_specs=(spread, everywhere), out_specs=spread, check_vma=False
        )
    )
    weights = jax.device_put(weights, placement.by_member)
    x = jax.device_put(x, placement.everywhere)

    def once() -> tuple[float, float]:
        start, processor = time.perf_counter(), time.process_time()
        jax.block_until_ready(program(weights, x))
        return time.perf_counter() - start, time.process_time() - processor

    once()
    found = zip(("seconds", "processor"), zip(*(once() for _ in range(CALLS))))
    return {name: statistics.median(times) / PASSES / members for name, times in found}


def table(torch_python: str | None, repeats: int) -> str:
    """Return a Markdown table of milliseconds per member.

    Args:
        torch_python: an interpreter that has PyTorch, or None to leave it out.
        repeats: rounds in which every process runs once.

    """
    me = [sys.executable, str(HERE), "--worker"]
    runs = {
        "populace, 1 member": [*me, "1"],
        "populace, 8 members, one after the other": [*me, "8", "--strategy", "map"],
        "populace, 8 members, all at once": [*me, "8", "--strategy", "vmap"],
    }
    if torch_python:
        sizes = [word for name, size in SHAPE.items() for word in (f"--{name}", str(size))]
        peer = [torch_python, str(HERE.parent / "peers" / "torch_lstm.py"), *sizes]
        runs["PyTorch nn.LSTM, all threads"] = peer
        runs[ONE_THREAD] = [*peer, "--threads", "1"]
    found: dict[str, list[dict[str, float]]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, words in runs.items():
            found[name].append({what: 1e3 * took for what, took in child(*words).items() if what in CLOCKS})
            print(f"{name}: {found[name][-1]['seconds']:.1f} ms", file=sys.stderr, flush=True)
    lines = [
        "| LSTM, forward and gradient | ms a member | range | times PyTorch | processor ms | times PyTorch |",
        "|---|---|---|---|---|---|",
    ]
    for name, rounds in found.items():
        cells = []
        for clock in CLOCKS:
            times = [each[clock] for each in rounds]
            cells.append(f"{statistics.median(times):.1f}")
            if clock == "seconds":
                cells.append(f"{min(times):.1f} to {max(times):.1f}")
            peers = found.get("PyTorch nn.LSTM, all threads" if clock == "seconds" else ONE_THREAD, [])
            ratios = [each[clock] / peer[clock] for each, peer in zip(rounds, peers)]
            cells.append(f"{statistics.median(ratios):.2f}" if ratios else "")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--torch", help="interpreter that has PyTorch")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--strategy", default="map", choices=("map", "vmap"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        print(json.dumps(worker(args.worker, args.strategy)))
    else:
        print(table(args.torch, args.repeats))


if __name__ == "__main__":
    main()
