"""Gymnasium's own CartPole in processes: populace beside Stable-Baselines3, in one run on one machine.

    python benchmarks/host.py --sb3 SB3_PYTHON [--repeats 3] [--processes 1 2 4]

The peer lives in an environment of its own (`benchmarks/requirements-sb3.txt`); the option names its
interpreter. Everyone trains DQN with a 2 x 64 network, batches of 64, one update per 4 frames, replay 20,000,
plain targets, in the `CartPole-v1` of Gymnasium, with the same number of environments in the same number of
processes. Runs take turns, round by round, so that a slow minute of the machine falls on everybody; figures
are medians over the rounds. Below that: the same environment compiled into the program, and what the
processes alone could give.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from children import child

HERE = Path(__file__).parent


def settings(envs: int) -> dict[str, Any]:
    """Return the settings that make one update per 4 frames with so many environments."""
    return {"envs": envs, "rollout": max(1, 4 // envs), "updates": max(1, envs // 4)}


def worker(members: int, processes: int, frames: int) -> None:
    """Time the loop of so many members, 0 processes for the compiled environment; one JSON line."""
    import jax

    import populace as pop
    from populace.engine import Engine
    from populace.rl import environments

    pop.setup()
    envs = processes or 4
    name = f"gymnasium:CartPole-v1(workers={processes})" if processes else "CartPole-v1"
    learner = pop.rl.DQN(env=name, double=False, warmup=1000, **settings(envs))
    engine = Engine(pop.sweep(learner, seeds=members), "vmap")
    cohort, per_step = engine.cohorts[0], learner.units_per_step
    steps, done = frames // per_step, 1_600 // per_step  # past the warm-up, and compiled
    carry, _ = cohort.program.advance(cohort.carry, done)
    jax.block_until_ready(carry.step)
    start = time.perf_counter()
    carry, _ = cohort.program.advance(carry, done + steps)
    jax.block_until_ready(carry.step)
    seconds = time.perf_counter() - start
    result = {"frames_per_second": members * steps * per_step / seconds, "seconds": seconds}
    if processes:
        pool = environments.make(name).environment.pool
        result |= {"replayed": pool.replayed, "at_most": processes / pool.facts.seconds}
    print(json.dumps(result))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--sb3", help="interpreter that has Stable-Baselines3")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--frames", type=int, default=20_000, help="per agent")
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument(
        "--worker", type=int, nargs=2, metavar=("MEMBERS", "PROCESSES"), help=argparse.SUPPRESS
    )
    args = parser.parse_args()
    if args.worker:
        members, processes = args.worker
        return worker(members, processes, args.frames)

    me, frames = [sys.executable, str(Path(__file__).resolve())], str(args.frames)
    runs: dict[tuple[str, int], list[str]] = {}
    for count in args.processes:
        if args.sb3:
            runs["Stable-Baselines3, 1 agent", count] = [
                args.sb3, str(HERE / "peers" / "sb3_host.py"), "--frames", frames, "--processes", str(count),
            ]  # fmt: skip
        for members in (1, 16):
            who = f"populace, {members} member{'s' if members > 1 else ''}"
            runs[who, count] = [*me, "--worker", str(members), str(count), "--frames", frames]
    for members in (1, 16):
        who = f"populace, {members} member{'s' if members > 1 else ''}, compiled environment"
        runs[who, 0] = [*me, "--worker", str(members), "0", "--frames", frames]
    found: dict[tuple[str, int], list[dict]] = {name: [] for name in runs}
    for _ in range(args.repeats):
        for name, words in runs.items():
            found[name].append(child(*words))
            rate = found[name][-1]["frames_per_second"]
            print(f"{name[0]}, {name[1]} processes: {rate:,.0f} frames/s", file=sys.stderr, flush=True)

    print(f"machine: {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}\n")
    print("| processes | who | frames/s in all (median) | range | times Stable-Baselines3 |")
    print("|---|---|---|---|---|")
    medians = {n: statistics.median(f["frames_per_second"] for f in many) for n, many in found.items()}
    for (who, count), many in found.items():
        rates = [f["frames_per_second"] for f in many]
        peer = medians.get(("Stable-Baselines3, 1 agent", count))
        times = f"{medians[who, count] / peer:.1f}" if peer else ""
        spread = f"{min(rates):,.0f} to {max(rates):,.0f}"
        print(f"| {count or ''} | {who} | {medians[who, count]:,.0f} | {spread} | {times} |")
    for count in args.processes:
        bound = statistics.median(f["at_most"] for f in found["populace, 1 member", count])
        print(f"\n{count} process(es) alone, nobody learning: at most {bound:,.0f} steps/s")
    return None


if __name__ == "__main__":
    main()
