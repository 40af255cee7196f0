"""Graphs beside SciPy, PyTorch and PyTorch Geometric, in one run on one machine, as Markdown tables.

    POPULACE_DATA=DATA python benchmarks/graphs.py [SECTION ...] [--pyg PYG_PYTHON] [--repeats 5]

sum      the standard case: 20,000 nodes, 40,000 random undirected edges, 1,000 features, float32
gcn      Cora, 100 seeds x 200 epochs of a GCN, beside PyTorch Geometric's 3 seeds, times 100 / 3
gat      the same of a GAT with 8 x 8 heads
mutag    ten folds x 100 epochs of a GIN, beside PyTorch Geometric's one fold, times 10
memory   peak memory of GAT's gradient over the number of edges

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
import time
from pathlib import Path

import graph_sum
import numpy as np
from children import child, machine

HERE = Path(__file__).resolve()
PEER = HERE.parent / "peers" / "pyg_graphs.py"
SECTIONS = ("sum", "gcn", "gat", "mutag", "memory")
EDGES = (25_000, 50_000, 100_000, 200_000)


def node_worker(kind: str, seeds: int, epochs: int) -> dict[str, float]:
    """Return the seconds of training all seeds on Cora (compilation apart), and their mean test accuracy."""
    import jax

    import populace as pop
    from populace.engine.training_loop import Engine
    from populace.recipes import text
    from populace.runs.recipe.parsing import parse

    pop.setup()
    recipe = parse(text(f"cora-{kind}"), kind)
    population = pop.sweep(recipe.learner, seeds=seeds)
    start = time.perf_counter()
    engine = Engine(population, "map")
    ready = time.perf_counter() - start
    start = time.perf_counter()
    engine.train(epochs, window=20, evaluate_every=0)
    seconds = time.perf_counter() - start
    (group_state,) = engine.group_states
    program = group_state.program
    found = jax.block_until_ready(program.test(program.models(group_state.state()), 1, 0))
    accuracy = np.asarray(found["accuracy"].value)[:seeds]
    return {"seconds": seconds, "ready": ready, "accuracy": float(accuracy.mean())}


def mutag_worker(epochs: int) -> dict[str, float]:
    """Return the seconds of training ten folds of MUTAG."""
    import populace as pop
    from populace.engine.training_loop import Engine
    from populace.graphs.learners.graph_classifier import GraphClassifier

    pop.setup()
    population = pop.sweep(GraphClassifier(protocol="gin"), seeds=10)
    engine = Engine(population, "map")
    start = time.perf_counter()
    engine.train(epochs * population.learner_of(0).epoch_steps, window=60, evaluate_every=10**9)
    return {"seconds": time.perf_counter() - start}


def memory_worker(count: int) -> dict[str, float]:
    """Return how far the peak of this process's memory rises over the gradient of one GAT layer, MiB."""
    import jax
    import jax.numpy as jnp

    from populace.nn.graph.edges import EdgeIndex
    from populace.nn.graph.graph_attention import GATConv

    draws = np.random.default_rng(0)
    nodes = 10_000
    sources, targets = draws.integers(0, nodes, (2, count))
    edges, _ = EdgeIndex.of(sources, targets, (nodes, nodes))
    x = jnp.asarray(draws.normal(size=(nodes, 32)), jnp.float32)
    layer = GATConv(32, 8, 8, key=jax.random.key(0))

    def loss(layer: GATConv) -> jax.Array:
        return jnp.sum(layer(x, edges, rate=0.6, key=jax.random.key(1)) ** 2)

    compiled = jax.jit(jax.grad(loss)).lower(layer).compile()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    jax.block_until_ready(compiled(layer))
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    analysis = compiled.memory_analysis()
    planned = np.nan if analysis is None else analysis.temp_size_in_bytes / 2**20
    return {"peak": (after - before) / 1024, "planned": planned}


def me(*words: object) -> dict[str, float]:
    """Run one of this file's workers."""
    return child(sys.executable, str(HERE), "--worker", *map(str, words))


def node_table(kind: str, pyg: str | None, repeats: int) -> str:
    """Return the table of 100 seeds x 200 epochs on Cora, seconds."""
    from populace.graphs import planetoid

    found: dict[str, list[dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        file, graph = Path(folder) / "cora.npz", planetoid("cora", normalize_features=True)
        np.savez(file, sources=graph.edges.sources, targets=graph.edges.targets, y=graph.y, train=graph.train,
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
        np.savez(file, sources=data.edges.sources, targets=data.edges.targets, x=data.x, y=data.y,
                 node_offsets=data.node_offsets, edge_offsets=data.edge_offsets)  # fmt: skip
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
    """Return the table of memory over edges: 10,000 nodes, 8 heads of 8, forward and gradient; draw it."""
    lines = ["| edges | planned by the program, MiB | rise of the process's peak, MiB |", "|---|---|---|"]
    rounds = [me("memory", count) for count in EDGES]
    for count, found in zip(EDGES, rounds):
        lines.append(f"| {count:,} | {found['planned']:.1f} | {found['peak']:.1f} |")
    if plot:
        from populace.runs.figures import figure

        drawn, axis = figure(6, 3.4)
        for name, label in (("peak", "rise of the process's peak"), ("planned", "planned by the program")):
            axis.plot(EDGES, [found[name] for found in rounds], "o-", label=label)
        axis.plot(
            EDGES,
            [count * 64 * 4 / 2**20 for count in EDGES],
            ":",
            label="one number per edge, head, feature",
        )
        axis.set(xlabel="edges", ylabel="MiB", ylim=(0, None))
        axis.legend()
        drawn.savefig(plot, dpi=110)
    return "\n".join(lines)


def work(words: list[str]) -> dict[str, float]:
    """Do what a worker is asked for."""
    what, *rest = words
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
    parser.add_argument("--plot", type=Path, help="where to draw the memory over edges, as PNG")
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
            table = graph_sum.table(args.pyg, args.repeats)
        elif section == "mutag":
            table = mutag_table(args.pyg, args.repeats)
        elif section == "memory":
            table = memory_table(args.plot)
        else:
            table = node_table(section, args.pyg, args.repeats)
        print(f"\n## {section}, load {os.getloadavg()[0]:.1f}\n\n{table}", flush=True)


if __name__ == "__main__":
    main()
