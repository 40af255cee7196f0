"""What a step, a checkpoint, a restart and a rung of halving cost, by the number of members.

    python benchmarks/scale.py [--members 16 64 256] [--rounds 3]

The constants of docs/scale.md: DQN on CartPole (2 x 64 units, 4 environments, a replay of 5,000), `vmap` on
all devices of this machine. Medians of several rounds, each with a fresh engine; compiled programs are
forgotten between rounds and the cache on disk is off, so that compiling is counted.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax

import populace
from populace.core.population import sweep
from populace.engine.programs import compiled_cache
from populace.engine.training_loop import Engine
from populace.rl import DQN
from populace.runs.checkpoints import Checkpoints

STEPS = 500


def seconds(act: Callable[[], Any]) -> float:
    """Return how long a call takes."""
    since = time.perf_counter()
    act()
    return time.perf_counter() - since


def measure(members: int) -> dict[str, float]:
    """Return the constants for a population of this many members."""
    compiled_cache.forget()
    jax.clear_caches()
    learner = DQN(hidden_sizes=(64, 64), replay_capacity=5_000, replay_storage=5_000)
    agents = sweep(learner, {"learning_rate": [1e-3, 3e-4]}, seeds=members // 2)
    engine = Engine(agents, "vmap")
    found = {"start": seconds(lambda: engine.train(100, window=100, evaluate_every=0))}
    found["step"] = seconds(lambda: engine.train(100 + STEPS, window=STEPS, evaluate_every=0)) / STEPS
    with tempfile.TemporaryDirectory() as folder:
        store = Checkpoints(Path(folder), 3)

        def save() -> None:
            store.save(engine, {"training_seconds": engine.training_seconds})
            store.wait()

        found["checkpoint"] = seconds(save)
        found["bytes"] = sum(p.stat().st_size for p in Path(folder).rglob("*") if p.is_file())
        again = Engine(agents, "vmap")
        found["restore"] = seconds(lambda: store.restore(again, lambda line: None))
        store.close()
    (state,) = engine.group_states

    def rung() -> None:
        state.hold(list(range(members // 2)))
        engine.train(engine.step + 1, window=1, evaluate_every=0)

    found["rung"] = seconds(rung)
    return found


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--members", type=int, nargs="+", default=[16, 64, 256])
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    populace.setup()
    jax.config.update("jax_enable_compilation_cache", False)
    print("| members | start | step | checkpoint | MB | restore | rung |\n|---|---|---|---|---|---|---|")
    for members in asked.members:
        rounds = [measure(members) for _ in range(asked.rounds)]
        m = {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}
        print(
            f"| {members} | {m['start']:.1f} s | {m['step'] * 1e3:.2f} ms | {m['checkpoint']:.2f} s "
            f"| {m['bytes'] / 1e6:.1f} | {m['restore']:.2f} s | {m['rung']:.1f} s |",
            flush=True,
        )


if __name__ == "__main__":
    main()
