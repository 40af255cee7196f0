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
import statistics
import sys
from pathlib import Path
from typing import Any

from children import in_turns, loop_seconds, machine, rates

HERE = Path(__file__).parent
PEER = "Stable-Baselines3, 1 agent"


def settings(envs: int) -> dict[str, Any]:
    """Return the settings that make one update per 4 frames with so many environments."""
    return {"num_envs": envs, "rollout": max(1, 4 // envs), "gradient_steps": max(1, envs // 4)}


def worker(members: int, processes: int, frames: int) -> None:
    """Time the loop of so many members, 0 processes for the compiled environment; one JSON line."""
    import populace as pop
    from populace.engine.training_loop import Engine
    from populace.rl.environments import registry

    pop.setup()
    envs = processes or 4
    name = f"gymnasium:CartPole-v1(workers={processes})" if processes else "CartPole-v1"
    learner = pop.rl.DQN(env=name, double=False, warmup=1000, **settings(envs))
    engine = Engine(pop.sweep(learner, seeds=members), "vmap")
    per_step = learner.units_per_step
    steps, done = frames // per_step, 1_600 // per_step  # past the warm-up, and compiled
    seconds = loop_seconds(engine.group_states[0], done, steps)
    result = {"frames_per_second": members * steps * per_step / seconds, "seconds": seconds}
    if processes:
        cache = registry.make(name).environment.cache
        result |= {"replayed": cache.replayed, "at_most": processes / cache.env_info.step_seconds}
    print(json.dumps(result))


def named(members: int) -> str:
    """Return how the table calls a population."""
    return f"populace, {members} member{'s' if members > 1 else ''}"


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
    runs: dict[str, list[str]] = {}
    rows: dict[str, tuple[str, int]] = {}

    def add(who: str, count: int, words: list[str]) -> None:
        name = f"{who}, {count} processes" if count else who
        rows[name], runs[name] = (who, count), [*words, "--frames", frames]

    for count in args.processes:
        if args.sb3:
            peer = str(HERE / "peers" / "sb3_host.py")
            add(PEER, count, [args.sb3, peer, "--processes", str(count)])
        for members in (1, 16):
            add(named(members), count, [*me, "--worker", str(members), str(count)])
    for members in (1, 16):
        add(f"{named(members)}, compiled environment", 0, [*me, "--worker", str(members), "0"])
    found = in_turns(runs, args.repeats)

    print(f"{machine()}\n")
    print("| processes | who | frames/s in all (median) | range | times Stable-Baselines3 |")
    print("|---|---|---|---|---|")
    rounds = rates(found)
    medians = {rows[name]: statistics.median(many) for name, many in rounds.items()}
    for name, many in rounds.items():
        who, count = rows[name]
        peer = medians.get((PEER, count))
        times = f"{medians[who, count] / peer:.1f}" if peer else ""
        spread = f"{min(many):,.0f} to {max(many):,.0f}"
        print(f"| {count or ''} | {who} | {medians[who, count]:,.0f} | {spread} | {times} |")
    for count in args.processes:
        bound = statistics.median(f["at_most"] for f in found[f"{named(1)}, {count} processes"])
        print(f"\n{count} process(es) alone, nobody learning: at most {bound:,.0f} steps/s")
    return None


if __name__ == "__main__":
    main()
