"""Graphs beside SciPy, PyTorch and PyTorch Geometric, in one run on one machine, as Markdown tables.

    POPULACE_DATA=DATA python benchmarks/graphs.py [SECTION ...] [--pyg PYG_PYTHON] [--repeats 5]

sum      the standard case: 20,000 nodes, 40,000 random undirected edges, 1,000 features, float32
gcn      Cora, 100 seeds x 200 epochs of a GCN, beside PyTorch Geometric's 3 seeds, times 100 / 3
gat      the same of a GAT with 8 x 8 heads
mutag    ten folds x 100 epochs of a GIN, beside PyTorch Geometric's one fold, times 10
memory   peak memory of GAT's gradient over the number of arcs

PyTorch and torch_geometric live in an environment of their own (`benchmarks/requirements-pyg.txt`); `--pyg`
names its interpreter, and without it they are left out. Processes take turns, round by round.
"""

import argparse
import json
import os
import resource
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from children import child, machine

HERE = Path(__file__).resolve()
PEER = HERE.parent / "peers" / "pyg_graphs.py"
SECTIONS = ("sum", "gcn", "gat", "mutag", "memory")
ARCS = (25_000, 50_000, 100_000, 200_000)


def standard() -> dict[str, np.ndarray]:
    """Return the standard case as arrays in rows (CSR)."""
    from populace.nn.arcs import Arcs

    draws = np.random.default_rng(0)
    u, v = draws.integers(0, 20_000, (2, 40_000))
    arcs, _ = Arcs.of(np.concatenate([u, v]), np.concatenate([v, u]), (20_000, 20_000))
    x = draws.normal(size=(20_000, 1000)).astype(np.float32)
    weight = draws.normal(size=80_000).astype(np.float32)
    return {"sources": arcs.sources, "targets": arcs.targets, "offsets": arcs.rows.offsets, "x": x,
            "weight": weight}  # fmt: skip


def timed(act: Callable[[], object], calls: int) -> float:
    """Return the median seconds of a call, after one that is not counted."""
    act()
    found = []
    for _ in range(calls):
        start = time.perf_counter()
        act()
        found.append(time.perf_counter() - start)
    return statistics.median(found)


def sum_worker(backend: str, calls: int) -> dict[str, float]:
    """Return the seconds of populace, SciPy and plain copies on the standard case."""
    import jax
    import jax.numpy as jnp
    from scipy import sparse

    from populace.nn.aggregate import aggregate
    from populace.nn.arcs import Arcs

    arrays = standard()
    arcs, _ = Arcs.of(arrays["sources"], arrays["targets"], (20_000, 20_000))
    x, weight = jnp.asarray(arrays["x"]), jnp.asarray(arrays["weight"])
    if backend == "scipy":
        matrix = sparse.csr_array((arrays["weight"], arrays["sources"], arrays["offsets"]), (20_000, 20_000))
        back = matrix.T.tocsr()
        own = arrays["x"]
        return {
            "SciPy CSR": timed(lambda: matrix @ own, calls),
            "SciPy CSR, with gradient": timed(lambda: (matrix @ own, back @ own), calls),
            "copy of what must move (80 MB read, 80 MB written), 2 threads": timed(_copy(own), calls),
        }
    if backend == "dense":
        return {"dense, BLAS, 1 of 4 runs": _dense(arrays)}
    forward = jax.jit(lambda x, w: aggregate(arcs, x, "sum", w, backend))

    def both(x: jax.Array, w: jax.Array, cotangent: jax.Array) -> tuple[jax.Array, jax.Array]:
        y, back = jax.vjp(lambda x: aggregate(arcs, x, "sum", w, backend), x)
        return y, back(cotangent)[0]

    gradient = jax.jit(both)
    name = "populace" if backend == "native" else "populace, XLA only"
    few = calls if backend == "native" else 3
    found = {
        name: timed(lambda: jax.block_until_ready(forward(x, weight)), few),
        f"{name}, with gradient": timed(lambda: jax.block_until_ready(gradient(x, weight, x)), few),
    }
    if backend == "native":
        found["populace, into memory that is there already"] = timed(
            _again(aggregate, arcs, x, weight), calls
        )
    return found


def _again(aggregate: Callable[..., Any], arcs: Any, x: Any, weight: Any) -> Callable[[], object]:
    """Return a sum whose result takes the place of the one before, as in a compiled loop."""
    import jax

    sum_into = jax.jit(
        lambda out, x, w: aggregate(arcs, x, "sum", w, "native"), donate_argnums=0, keep_unused=True
    )
    out = jax.block_until_ready(x + 0)

    def act() -> None:
        nonlocal out
        out = jax.block_until_ready(sum_into(out, x, weight))

    return act


def _dense(arrays: dict[str, np.ndarray]) -> float:
    """Return the seconds of the dense product, from a quarter of its rows, times 4."""
    rows = 5_000
    matrix = np.zeros((rows, 20_000), np.float32)
    here = arrays["targets"] < rows
    np.add.at(matrix, (arrays["targets"][here], arrays["sources"][here]), arrays["weight"][here])
    return 4 * timed(lambda: matrix @ arrays["x"], 1)


def _copy(x: np.ndarray) -> Callable[[], object]:
    """Return a copy into memory that is there already, by two threads."""
    out = np.ones_like(x)
    half = len(x) // 2

    def act() -> None:
        parts = [slice(0, half), slice(half, None)]
        threads = [threading.Thread(target=np.copyto, args=(out[p], x[p])) for p in parts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    return act


def node_worker(kind: str, seeds: int, epochs: int) -> dict[str, float]:
    """Return the seconds of training all seeds on Cora (compilation apart), and their mean test accuracy."""
    import jax

    import populace as pop
    from populace.engine import Engine
    from populace.recipe import parse
    from populace.recipes import text

    pop.setup()
    recipe = parse(text(f"cora-{kind}"), kind)
    population = pop.sweep(recipe.learner, seeds=seeds)
    start = time.perf_counter()
    engine = Engine(population, "map")
    ready = time.perf_counter() - start
    start = time.perf_counter()
    engine.train(epochs, window=20, evaluate_every=0)
    seconds = time.perf_counter() - start
    (cohort,) = engine.cohorts
    program = cohort.program
    found = jax.block_until_ready(program.examine(program.snapshot(cohort.state()), 1, 0))
    accuracy = np.asarray(found["accuracy"].value)[:seeds]
    return {"seconds": seconds, "ready": ready, "accuracy": float(accuracy.mean())}


def mutag_worker(epochs: int) -> dict[str, float]:
    """Return the seconds of training ten folds of MUTAG."""
    import populace as pop
    from populace.engine import Engine
    from populace.graphs.graph_classifier import GraphClassifier

    pop.setup()
    population = pop.sweep(GraphClassifier(protocol="gin"), seeds=10)
    engine = Engine(population, "map")
    start = time.perf_counter()
    engine.train(epochs * population.learner_of(0).period, window=60, evaluate_every=10**9)
    return {"seconds": time.perf_counter() - start}


def memory_worker(count: int) -> dict[str, float]:
    """Return how far the peak of this process's memory rises over the gradient of one GAT layer, MiB."""
    import jax
    import jax.numpy as jnp

    from populace.nn.arcs import Arcs
    from populace.nn.graph_attention import GATConv

    draws = np.random.default_rng(0)
    nodes = 10_000
    arcs, _ = Arcs.of(*draws.integers(0, nodes, (2, count)), (nodes, nodes))
    x = jnp.asarray(draws.normal(size=(nodes, 32)), jnp.float32)
    layer = GATConv(32, 8, 8, key=jax.random.key(0))

    def loss(layer: GATConv) -> jax.Array:
        return jnp.sum(layer(x, arcs, rate=0.6, key=jax.random.key(1)) ** 2)

    compiled = jax.jit(jax.grad(loss)).lower(layer).compile()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    jax.block_until_ready(compiled(layer))
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    planned = compiled.memory_analysis().temp_size_in_bytes / 2**20
    return {"peak": (after - before) / 1024, "planned": planned}


def me(*words: object) -> dict[str, float]:
    """Run one of this file's workers."""
    return child(sys.executable, str(HERE), "--worker", *map(str, words))


def sum_table(pyg: str | None, repeats: int) -> str:
    """Return the table of the standard case, ms."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "standard.npz"
        np.savez(file, **standard())
        rounds: dict[str, list[float]] = {}
        for _ in range(repeats):
            parts = [me("sum", "native"), me("sum", "scipy")]
            if pyg:
                parts.append(child(pyg, str(PEER), "sum", str(file)))
            for name, value in (pair for part in parts for pair in part.items()):
                rounds.setdefault(name, []).append(1e3 * value)
        for backend in ("xla", "dense"):
            for name, value in me("sum", backend).items():
                rounds[name] = [1e3 * value]
    lines = ["| | ms (median) | range | times populace |", "|---|---|---|---|"]
    for name, times in rounds.items():
        ours = rounds["populace, with gradient" if "gradient" in name else "populace"]
        value = statistics.median(times)
        lines.append(
            f"| {name} | {value:.1f} | {min(times):.1f} to {max(times):.1f} "
            f"| {value / statistics.median(ours):.2f} |"
        )
    return "\n".join(lines)


def node_table(kind: str, pyg: str | None, repeats: int) -> str:
    """Return the table of 100 seeds x 200 epochs on Cora, seconds."""
    from populace.graphs import planetoid

    found: dict[str, list[dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        file, graph = Path(folder) / "cora.npz", planetoid("cora", normalise_features=True)
        np.savez(file, sources=graph.arcs.sources, targets=graph.arcs.targets, y=graph.y, train=graph.train,
                 test=graph.test, x=graph.x.to_scipy().toarray())  # fmt: skip
        for _ in range(repeats):
            found.setdefault("populace, 100 seeds", []).append(me(kind, 100, 200))
            if pyg:
                peer = child(pyg, str(PEER), kind, str(file))
                peer["seconds"] *= 200 * 100
                found.setdefault("PyTorch Geometric, 3 seeds, times 100 / 3", []).append(peer)
    ours = statistics.median(r["seconds"] for r in found["populace, 100 seeds"])
    lines = [
        f"| Cora, {kind.upper()}, 100 seeds x 200 epochs | s (median) | range | times populace | accuracy |",
        "|---|---|---|---|---|",
    ]
    for name, runs in found.items():
        times = [r["seconds"] for r in runs]
        value = statistics.median(times)
        accuracy = statistics.mean(r["accuracy"] for r in runs)
        lines.append(
            f"| {name} | {value:.1f} | {min(times):.1f} to {max(times):.1f} | {value / ours:.1f} "
            f"| {100 * accuracy:.1f} % |"
        )
    return "\n".join(lines)


def mutag_table(pyg: str | None, repeats: int) -> str:
    """Return the table of ten folds x 100 epochs on MUTAG, seconds."""
    from populace.graphs import tudataset

    data = tudataset("MUTAG")
    rounds: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "mutag.npz"
        np.savez(file, sources=data.arcs.sources, targets=data.arcs.targets, x=data.x, y=data.y,
                 node_offsets=data.node_offsets, arc_offsets=data.arc_offsets)  # fmt: skip
        for _ in range(repeats):
            rounds.setdefault("populace, ten folds", []).append(me("mutag", 100)["seconds"])
            if pyg:
                peer = child(pyg, str(PEER), "gin", str(file), "--epochs", "30")
                rounds.setdefault("PyTorch Geometric, one fold, times 10", []).append(1000 * peer["seconds"])
    ours = statistics.median(rounds["populace, ten folds"])
    lines = [
        "| MUTAG, GIN, ten folds x 100 epochs | s (median) | range | times populace |",
        "|---|---|---|---|",
    ]
    for name, times in rounds.items():
        value = statistics.median(times)
        lines.append(f"| {name} | {value:.1f} | {min(times):.1f} to {max(times):.1f} | {value / ours:.1f} |")
    return "\n".join(lines)


def memory_table(plot: Path | None) -> str:
    """Return the table of memory over arcs: 10,000 nodes, 8 heads of 8, forward and gradient; draw it."""
    lines = ["| arcs | planned by the program, MiB | rise of the process's peak, MiB |", "|---|---|---|"]
    rounds = [me("memory", count) for count in ARCS]
    for count, found in zip(ARCS, rounds):
        lines.append(f"| {count:,} | {found['planned']:.1f} | {found['peak']:.1f} |")
    if plot:
        from populace.drawing import figure

        drawn, axis = figure(6, 3.4)
        for name, label in (("peak", "rise of the process's peak"), ("planned", "planned by the program")):
            axis.plot(ARCS, [found[name] for found in rounds], "o-", label=label)
        axis.plot(
            ARCS, [count * 64 * 4 / 2**20 for count in ARCS], ":", label="one number per arc, head, feature"
        )
        axis.set(xlabel="arcs", ylabel="MiB", ylim=(0, None))
        axis.legend()
        drawn.savefig(plot, dpi=110)
    return "\n".join(lines)


def work(words: list[str]) -> dict[str, float]:
    """Do what a worker is asked for."""
    what, *rest = words
    if what == "sum":
        return sum_worker(rest[0], 15)
    if what == "mutag":
        return mutag_worker(int(rest[0]))
    if what == "memory":
        return memory_worker(int(rest[0]))
    return node_worker(what, int(rest[0]), int(rest[1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join(SECTIONS))
    parser.add_argument("--pyg", help="interpreter that has PyTorch and torch_geometric")
    parser.add_argument("--repeats", type=int, default=5, help="rounds, of which medians are taken")
    parser.add_argument("--plot", type=Path, help="where to draw the memory over arcs, as PNG")
    parser.add_argument("--worker", nargs="+", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        print(json.dumps(work(args.worker)))
        return
    if unknown := set(args.sections) - set(SECTIONS):
        parser.error(f"no section {', '.join(sorted(unknown))}; there are {', '.join(SECTIONS)}")
    print(machine())
    for section in args.sections or SECTIONS:
        if section == "sum":
            table = sum_table(args.pyg, args.repeats)
        elif section == "mutag":
            table = mutag_table(args.pyg, args.repeats)
        elif section == "memory":
            table = memory_table(args.plot)
        else:
            table = node_table(section, args.pyg, args.repeats)
        print(f"\n## {section}, load {os.getloadavg()[0]:.1f}\n\n{table}", flush=True)


if __name__ == "__main__":
    main()
