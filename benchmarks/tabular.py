"""Tabular Q-learning on FrozenLake: 1,000 members in one program beside a plain loop over Gymnasium.

    python benchmarks/tabular.py [--repeats 5] [--members 1000] [--frames 20000]

The plain loop is what a course would write: one agent, Python and NumPy, `gymnasium.make("FrozenLake-v1")`.
Both learn with the same settings: learning rate 0.1, discount 0.99, epsilon 0.1. Of equal actions the plain
loop takes the first, which is cheaper than drawing one, as populace does. Runs take turns, each in its own
process, so that a slow minute of the machine falls on everybody; figures are medians over the rounds.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

RULES = ("q-learning", "sarsa", "expected-sarsa", "double-q", "n-step-sarsa", "sarsa-lambda", "watkins-q")


def plain(frames: int) -> float:
    """Return transitions per second of one agent in a plain loop."""
    import gymnasium
    import numpy as np

    env = gymnasium.make("FrozenLake-v1")
    random, q = np.random.default_rng(0), np.zeros((16, 4))
    state, _ = env.reset(seed=0)
    start = time.perf_counter()
    for _ in range(frames):
        action = int(random.integers(4)) if random.random() < 0.1 else int(np.argmax(q[state]))
        after, reward, terminated, truncated, _ = env.step(action)
        target = reward + (0.0 if terminated else 0.99 * q[after].max())
        q[state, action] += 0.1 * (target - q[state, action])
        state = env.reset()[0] if terminated or truncated else after
    return frames / (time.perf_counter() - start)


def populace(rule: str, dynamics: str, members: int, frames: int) -> float:
    """Return transitions per second of a population, all members together, compiled and warm."""
    import jax

    import populace as pop
    from populace import settings
    from populace.engine import Engine
    from populace.rl.tabular import Tabular

    pop.setup()
    given = {"rule": rule, "dynamics": dynamics, "exploration": {"kind": "constant", "value": 0.1}}
    learner = settings.from_dict(Tabular, given)
    cohort = Engine(pop.sweep(learner, seeds=members), "vmap").cohorts[0]
    steps = max(1, frames // learner.units_per_step)
    carry, _ = cohort.program.advance(cohort.carry, steps)
    jax.block_until_ready(carry.step)
    start = time.perf_counter()
    carry, _ = cohort.program.advance(carry, 2 * steps)
    jax.block_until_ready(carry.step)
    return members * steps * learner.units_per_step / (time.perf_counter() - start)


def child(*words: str) -> float:
    """Run a worker in its own process and return its figure."""
    command = [sys.executable, "-W", "ignore", str(Path(__file__).resolve()), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--members", type=int, default=1_000)
    parser.add_argument(
        "--frames", type=int, default=20_000, help="per member; the plain loop takes 5 times as many"
    )
    parser.add_argument("--every-rule", action="store_true", help="time the other update rules too")
    parser.add_argument("--worker", nargs=2, metavar=("RULE", "DYNAMICS"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        rule, dynamics = args.worker
        rate = (
            plain(5 * args.frames) if rule == "plain" else populace(rule, dynamics, args.members, args.frames)
        )
        return print(json.dumps(rate))

    sizes = ["--members", str(args.members), "--frames", str(args.frames)]
    many = f"{args.members:,} members"
    runs = {
        "plain Python and NumPy over Gymnasium, 1 agent": ("plain", ""),
        f"populace, {many}, stepped by table": ("q-learning", "table"),
        f"populace, {many}, stepped by Gymnax": ("q-learning", "environment"),
    }
    if args.every_rule:
        runs |= {f"populace, {many}, {rule}": (rule, "table") for rule in RULES[1:]}
    rates: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(args.repeats):
        for name, words in runs.items():
            rates[name].append(child("--worker", *words, *sizes))
            print(f"{name}: {rates[name][-1]:,.0f} transitions/s", file=sys.stderr, flush=True)

    print(f"machine: {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}\n")
    print("| who | transitions/s (median) | range | times the plain loop |")
    print("|---|---|---|---|")
    base = statistics.median(next(iter(rates.values())))
    for name, found in rates.items():
        value = statistics.median(found)
        print(f"| {name} | {value:,.0f} | {min(found):,.0f} to {max(found):,.0f} | {value / base:,.1f} |")


if __name__ == "__main__":
    main()
