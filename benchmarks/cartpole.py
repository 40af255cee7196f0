"""DQN on CartPole: populace beside Stable-Baselines3 and rejax, in one run on one machine.

    python benchmarks/cartpole.py --sb3 SB3_PYTHON --rejax REJAX_PYTHON [--repeats 3]

The peers live in environments of their own (`benchmarks/requirements-sb3.txt`, `-rejax.txt`); the two
options name their interpreters, and a peer that is not named is left out. Everyone trains a 2 x 64 network
with batches of 64, one update per 4 frames, replay 20,000, plain targets. Runs take turns, round by round,
so that a slow minute of the machine falls on everybody; figures are medians over the rounds.
"""

import argparse
import json
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path

from children import child, in_turns, loop_seconds, machine, rates

HERE = Path(__file__).parent
MEMBERS = (1, 4, 16, 64, 256, 1024)


def worker(members: int, frames: int, strategy: str) -> None:
    """Time the bare compiled loop of so many members; prints one JSON line."""
    import populace as pop
    from populace.engine.training_loop import Engine

    pop.setup()
    learner = pop.rl.DQN(double=False, warmup=1000)
    engine = Engine(pop.sweep(learner, seeds=members), strategy)
    steps = frames // 4
    seconds = loop_seconds(engine.group_states[0], 400, steps)  # past the warm-up, and compiled
    rate = members * steps * 4 / seconds
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"frames_per_second": rate, "seconds": seconds, "peak_mib": peak}))


def watched(members: int, steps: int, watched_first: bool) -> None:
    """Time a whole run's training with logs and checkpoints, against the bare loop; one JSON line.

    Both are timed from the end of the run's first window on, so that neither counts compilation; which of
    them comes first is asked for, since the second finds a warmer machine.
    """
    import populace as pop
    from populace.engine.training_loop import Engine

    pop.setup()
    population = pop.sweep(pop.rl.DQN(double=False), seeds=members)

    class Clock(pop.Callback):
        """Notes when each window ended."""

        def on_start(self, population, step) -> None:
            self.ends: list[tuple[int, float]] = []

        def on_window(self, window) -> None:
            self.ends.append((window.step, time.perf_counter()))

    def run() -> tuple[int, float]:
        clock = Clock()
        with tempfile.TemporaryDirectory() as folder:
            pop.train(
                population, steps, out=Path(folder) / "run", strategy="vmap", callbacks=[clock],
                evaluate_every=steps, final_evaluation_size=1,
            )  # fmt: skip
        (first, start), (last, end) = clock.ends[0], clock.ends[-1]
        return first, (end - start) / (last - first) * 1e6

    def bare(first: int) -> float:
        group_state = Engine(population, "vmap").group_states[0]
        return loop_seconds(group_state, first, steps - first) / (steps - first) * 1e6

    if watched_first:
        first, with_logs = run()
        without = bare(first)
    else:
        without = bare(max(1, steps // 100))
        first, with_logs = run()
    print(json.dumps({"bare": without, "watched": with_logs, "first_window": first}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--sb3", help="interpreter that has Stable-Baselines3")
    parser.add_argument("--rejax", help="interpreter that has rejax")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--frames", type=int, default=20_000, help="per agent, of every peer")
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--watched", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--watched-first", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--strategy", default="vmap", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        return worker(args.worker, args.frames, args.strategy)
    if args.watched:
        return watched(args.watched, args.frames // 4, args.watched_first)

    me = [sys.executable, str(Path(__file__).resolve())]
    frames = str(args.frames)
    runs: dict[str, list[str]] = {
        "populace, 1 member": [*me, "--worker", "1", "--frames", frames],
        "populace, 16 members": [*me, "--worker", "16", "--frames", frames],
    }
    if args.sb3:
        for envs in ("1", "4"):
            runs[f"Stable-Baselines3, 1 agent, {envs} envs"] = [
                args.sb3, str(HERE / "peers" / "sb3_dqn.py"), "--frames", frames, "--envs", envs,
            ]  # fmt: skip
    if args.rejax:
        for devices in ("1", "2"):
            runs[f"rejax, 16 agents, {devices} device(s)"] = [
                args.rejax, "-W", "ignore", str(HERE / "peers" / "rejax_dqn.py"), "--frames", frames,
                "--agents", "16", "--devices", devices,
            ]  # fmt: skip
    rounds = rates(in_turns(runs, args.repeats))

    print(f"{machine()}\n")
    medians = {name: statistics.median(found) for name, found in rounds.items()}
    print("| who | frames/s (median) | range | 16 members are | 1 member is |")
    print("|---|---|---|---|---|")
    one, many = medians["populace, 1 member"], medians["populace, 16 members"]
    for name, found in rounds.items():
        low, high, value = min(found), max(found), medians[name]
        times = f"{many / value:.1f}x | {one / value:.1f}x"
        print(f"| {name} | {value:,.0f} | {low:,.0f} to {high:,.0f} | {times} |")

    print("\n| members | frames/s in all | us per member and update | peak memory MiB |")
    print("|---|---|---|---|")
    for members in MEMBERS:
        per_member = max(400, min(args.frames, 4_000_000 // members // 4 * 4))
        words = [*me, "--worker", str(members), "--frames", str(per_member)]
        found = [child(*words) for _ in range(args.repeats)]
        rate = statistics.median(f["frames_per_second"] for f in found)
        peak = max(f["peak_mib"] for f in found)
        print(f"| {members} | {rate:,.0f} | {4e6 / rate:.1f} | {peak:,.0f} |", flush=True)

    order = [["--watched-first"], []]
    found = [
        child(*me, "--watched", "64", "--frames", "100000", *order[i % 2])
        for i in range(max(10, args.repeats))
    ]
    ratios = sorted(f["watched"] / f["bare"] for f in found)
    median = statistics.median(ratios)
    print(f"\n64 members, logs and checkpoints at their defaults: {median:.3f} times the bare loop")
    print(f"(rounds: {', '.join(f'{r:.3f}' for r in ratios)})")
    return None


if __name__ == "__main__":
    main()
