"""A hundred networks for Burgers' equation by Adam in one program, beside DeepXDE's one after the other.

    python benchmarks/burgers.py --deepxde PYTHON [--repeats 3] [--members 100]

    u_t + u u_x = 0.01 / pi u_xx on [-1, 1] for t in [0, 1],   u(x, 0) = -sin(pi x),   u = 0 at both ends

Everybody trains 3 x 20 tanh units in float32 on 2,540 points inside, 80 on the ends and 160 at the start, by
Adam at 1e-3. DeepXDE's PyTorch backend trains 3 seeds, on one thread and on all: one more costs as much as
the one before. Its threads wait actively, which is quickest on an idle machine and on no other: there one
iteration has been seen to take a hundred times as long.

Nobody's imports, compilation or first steps count. Every figure is of a process of its own; they take turns.
"""

import argparse
import json
import os
import statistics
import sys
import time
from pathlib import Path

from children import child, machine

HERE = Path(__file__).resolve()
STEPS, SEEDS = 200, 3


def worker(members: int) -> dict[str, float]:
    """Return what a step of a member takes by the clock, and of all threads' processor time."""
    import jax

    import populace as pop
    import populace.physics as ph
    from populace.engine.training_loop import Engine

    pop.setup()
    learner = ph.PINN(
        equation=ph.Burgers(by_construction=False), network=ph.MLP(hidden_sizes=(20, 20, 20)),
        solver=ph.NoSolver(), dtype="float32", learning_rate=1e-3,
        points=2540, boundary_points=80, initial_points=160,
    )  # fmt: skip
    state = Engine(pop.sweep(learner, seeds=members), "map").group_states[0]
    carry, _ = state.program.advance(state.carry, 20)
    jax.block_until_ready(carry.step)
    start, processor = time.perf_counter(), time.process_time()
    carry, _ = state.program.advance(carry, 20 + STEPS)
    jax.block_until_ready(carry.step)
    share = members * STEPS
    return {
        "seconds": (time.perf_counter() - start) / share,
        "processor": (time.process_time() - processor) / share,
    }


def peer(python: str, threads: int) -> dict[str, float]:
    """Return the same of DeepXDE: the median of its seeds."""
    script = str(HERE.parent / "peers" / "deepxde_burgers.py")
    words = ("env", f"OMP_NUM_THREADS={threads}", python, script, "--adam", "700", "--seeds", str(SEEDS))
    seeds = child(*words)["seeds"]
    return {
        "seconds": statistics.median(each["adam"] for each in seeds),
        "processor": statistics.median(each["processor"] for each in seeds),
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--deepxde", help="interpreter that has DeepXDE and PyTorch")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--members", type=int, default=100)
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        print(json.dumps(worker(given.members)))
        return
    own = (sys.executable, str(HERE), "--worker", "--members", str(given.members))
    runs = {f"populace, {given.members} members": lambda: child(*own)}
    if given.deepxde:
        for threads in sorted({1, os.cpu_count() or 1}):
            name = f"DeepXDE, {threads} thread{'s' * (threads > 1)}, {SEEDS} seeds in turn"
            runs[name] = lambda threads=threads: peer(given.deepxde, threads)
    found: dict[str, list[dict[str, float]]] = {name: [] for name in runs}
    for _ in range(given.repeats):
        for name, run in runs.items():
            found[name].append(run())
    print(f"{machine()}\n")
    print("| by | ms per member and step | range | processor ms | times populace's |\n|---|---|---|---|---|")
    ours = next(iter(found.values()))
    for name, rounds in found.items():
        wall = [1000 * each["seconds"] for each in rounds]
        processor = statistics.median(1000 * each["processor"] for each in rounds)
        ratio = statistics.median(a["seconds"] / b["seconds"] for a, b in zip(rounds, ours))
        print(
            f"| {name} | {statistics.median(wall):.2f} | {min(wall):.2f} to {max(wall):.2f} "
            f"| {processor:.2f} | {ratio:.2f} |"
        )


if __name__ == "__main__":
    main()
