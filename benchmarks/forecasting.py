"""A thousand forecasters in one program, beside loops that train one after the other.

    POPULACE_DATA=DATA python benchmarks/forecasting.py --torch PYTHON [--darts PYTHON] [--repeats 3]

Linear forecasters (histories centered by their last observation, as NLinear) and LSTMs of 16 units, of the
12 steps behind a window of 24, on AirPassengers (108 months) and ETTh1 (7 channels of 8,640 hours, one
network for all). Everybody gets the same standardized observations, batches of 32 windows drawn at random,
Adam, and the same number of steps. What trains a thousand at once is timed with a thousand. What trains one
after the other is timed with 20, and its time for a thousand is the product: one more costs as much as the
one before. The loss is the mean over all training steps, and says whether everybody trained the same.
`torch.func.vmap` takes all members at once, or chunks of them, whichever is quicker; the search is not timed.

Nobody's imports, compilation or first run count. Every figure is of a process of its own; they take turns,
round by round. Processor time is that of all threads: it says what a machine that others use as well cannot.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from children import child, machine

HERE = Path(__file__).resolve()
PEERS = HERE.parent / "peers"
WINDOW, HORIZON, BATCH, RATE, HIDDEN = 24, 12, 32, 1e-3, 16
MEMBERS, TIMED = 1000, 20
STEPS = {"linear": 300, "lstm": 50}
CHUNKS = {"linear": "125", "lstm": "8"}
"""Members that populace takes at a time, the quickest of some that were tried; they stay in the cache."""
KEPT = {"air-passengers": (144, 108), "etth1": (17_420, 8_640)}
"""Steps of each series, and how many of the first are trained on."""


def worker(kind: str, path: str, members: int, steps: int) -> dict[str, float]:
    """Return what a member's step takes, what the first call takes with compilation, and the loss."""
    import jax

    import populace as pop
    from populace.core.population import sweep
    from populace.engine.training_loop import Engine
    from populace.forecasting.data.panel import Panel
    from populace.forecasting.learner import SeriesForecaster
    from populace.forecasting.networks import LinearNetwork, RecurrentNetwork

    pop.setup()
    network = LinearNetwork() if kind == "linear" else RecurrentNetwork(cell="lstm", hidden_size=HIDDEN)
    panel = Panel.of(list(np.load(path)))
    learner = SeriesForecaster(
        window=WINDOW, horizon=HORIZON, network=network, batch_size=BATCH, learning_rate=RATE
    ).with_panel(panel)
    began = time.perf_counter()
    engine = Engine(sweep(learner, seeds=members), CHUNKS[kind])
    program = engine.group_states[0].program
    carry, progress = program.advance(engine.group_states[0].carry, steps)
    jax.block_until_ready(carry.step)
    first = time.perf_counter() - began
    start, processor = time.perf_counter(), time.process_time()
    carry, _ = program.advance(carry, 2 * steps)
    jax.block_until_ready(carry.step)
    share = members * steps
    return {
        "seconds": (time.perf_counter() - start) / share,
        "processor": (time.process_time() - processor) / share,
        "loss": float(np.median(np.asarray(progress.sums["loss"].value)[:members])),
        "first": first,
    }


def commands(
    kind: str, path: str, torch_python: str | None, darts_python: str | None
) -> dict[str, list[str]]:
    """Return everybody's command for a kind of network and a file of series."""
    task = ["--kind", kind, "--data", path, "--steps", str(STEPS[kind])]
    runs = {"populace": [sys.executable, str(HERE), *task, "--members", str(MEMBERS)]}
    sizes = {"window": WINDOW, "horizon": HORIZON, "batch": BATCH, "hidden": HIDDEN, "rate": RATE}
    task += [word for name, value in sizes.items() for word in (f"--{name}", str(value))]
    few, many = ["--members", str(TIMED)], ["--members", str(MEMBERS)]
    if torch_python:
        torch = [torch_python, str(PEERS / "torch_forecasters.py"), *task]
        runs["PyTorch, torch.func.vmap"] = [*torch, "--vmap", *many]
        runs["PyTorch, a loop"] = [*torch, *few]
        neural = str(PEERS / "neuralforecast_loop.py")
        runs["neuralforecast"] = [torch_python, "-W", "ignore", neural, *task, *few]
    if darts_python:
        runs["darts"] = [darts_python, "-W", "ignore", str(PEERS / "darts_loop.py"), *task, *few]
    return runs


def table(kind: str, name: str, found: dict[str, list[dict[str, Any]]]) -> str:
    """Return the rows of a table: medians, ranges, and ratios round by round."""
    rows = []
    ours = found["populace"]
    for who, rounds in found.items():
        wall, processor = ([1e6 * each[key] for each in rounds] for key in ("seconds", "processor"))
        ratio = statistics.median(a["seconds"] / b["seconds"] for a, b in zip(rounds, ours))
        ratio_cpu = statistics.median(a["processor"] / b["processor"] for a, b in zip(rounds, ours))
        whole = statistics.median(wall) * 1e-6 * MEMBERS * STEPS[kind]
        timed = who in ("populace", "PyTorch, torch.func.vmap")
        losses = [each["loss"] for each in rounds if each.get("loss") is not None]
        cells = [
            f"{statistics.median(wall):,.1f}", f"{min(wall):,.1f} to {max(wall):,.1f}",
            f"{statistics.median(processor):,.1f}", f"{ratio:,.1f}", f"{ratio_cpu:,.1f}",
            f"{whole:,.1f} s" + ("" if timed else f" (product of {TIMED})"),
            f"{statistics.median(losses):.3f}" if losses else "–",
        ]  # fmt: skip
        rows.append(f"| {kind} | {name} | {who} | {' | '.join(cells)} |")
    return "\n".join(rows)


def series(name: str) -> np.ndarray:
    """Return a data set's training part, (series, steps) float32, standardized series by series."""
    from populace.forecasting.datasets import dataset
    from populace.forecasting.forecaster import scales, standardized

    whole, kept = KEPT[name]
    panel = dataset(name).until(whole)
    values = standardized(panel, scales(panel, whole - kept)).until(kept)
    return np.stack(list(values)).astype(np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--torch", help="interpreter that has PyTorch and neuralforecast")
    parser.add_argument("--darts", help="interpreter that has darts")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", nargs="+", default=list(STEPS), choices=list(STEPS))
    parser.add_argument("--datasets", nargs="+", default=list(KEPT), choices=list(KEPT))
    for hidden in ("--kind", "--data"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    for hidden in ("--members", "--steps"):
        parser.add_argument(hidden, type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.kind:
        return print(json.dumps(worker(args.kind, args.data, args.members, args.steps)))
    # Threads that wait actively take the processor from others; who shares the machine with them pays for it.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    print(f"{machine()}\n")
    heads = (
        "network", "data", "by", "us per member and step", "range", "processor us", "times populace's",
        "of processor time", f"{MEMBERS:,} members", "training loss",
    )  # fmt: skip
    print(f"| {' | '.join(heads)} |\n{'|---' * len(heads)}|", flush=True)
    first = {}
    for kind in args.only:
        for name in args.datasets:
            with tempfile.TemporaryDirectory() as aside:
                path = str(Path(aside) / "series.npy")
                np.save(path, series(name))
                runs = commands(kind, path, args.torch, args.darts)
                found: dict[str, list[dict[str, Any]]] = {who: [] for who in runs}
                for _ in range(args.repeats):
                    for who, words in runs.items():
                        found[who].append(child(*words))
                        took = 1e6 * found[who][-1]["seconds"]
                        print(f"{kind}, {name}, {who}: {took:,.1f} us", file=sys.stderr, flush=True)
            print(table(kind, name, found), flush=True)
            first[f"{kind}, {name}"] = statistics.median(each["first"] for each in found["populace"])
    told = "; ".join(f"{task} {seconds:.1f} s" for task, seconds in first.items())
    print(f"\nThe first training of as many steps, with compilation or what is cached of it: {told}.")


if __name__ == "__main__":
    main()
