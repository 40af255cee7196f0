"""Tabular Q-learning on FrozenLake: 1,000 members in one program beside a plain loop over Gymnasium.

    python benchmarks/tabular.py [--repeats 5] [--members 1000] [--frames 20000]

The plain loop is what a course would write: one agent, Python and NumPy, `gymnasium.make("FrozenLake-v1")`.
Both learn with the same settings: learning rate 0.1, discount 0.99, epsilon 0.1. Of equal actions the plain
loop takes the first, which is cheaper than drawing one, as populace does. Runs take turns, each in its own
process, so that a slow minute of the machine falls on everybody; figures are medians over the rounds.
"""

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

from children import in_turns, loop_seconds, machine, rates

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
        target = float(reward) + (0.0 if terminated else 0.99 * q[after].max())
        q[state, action] += 0.1 * (target - q[state, action])
        state = env.reset()[0] if terminated or truncated else after
    return frames / (time.perf_counter() - start)


def populace(rule: str, dynamics: str, members: int, frames: int) -> float:
    """Return transitions per second of a population, all members together, compiled and warm."""
    import populace as pop
    from populace.core import settings
    from populace.engine.training_loop import Engine
    from populace.rl.tabular.learner import Tabular

    pop.setup()
    given = {"rule": rule, "dynamics": dynamics, "exploration": {"kind": "constant", "value": 0.1}}
    learner = settings.from_dict(Tabular, given)
    group_state = Engine(pop.sweep(learner, seeds=members), "vmap").group_states[0]
    steps = max(1, frames // learner.units_per_step)
    return members * steps * learner.units_per_step / loop_seconds(group_state, steps, steps)


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
        return print(json.dumps({"frames_per_second": rate}))

    sizes = ["--members", str(args.members), "--frames", str(args.frames)]
    many = f"{args.members:,} members"
    runs = {
        "plain Python and NumPy over Gymnasium, 1 agent": ("plain", ""),
        f"populace, {many}, stepped by table": ("q-learning", "table"),
        f"populace, {many}, stepped by Gymnax": ("q-learning", "environment"),
    }
    if args.every_rule:
        runs |= {f"populace, {many}, {rule}": (rule, "table") for rule in RULES[1:]}
    me = [sys.executable, "-W", "ignore", str(Path(__file__).resolve())]
    commands = {name: [*me, "--worker", *words, *sizes] for name, words in runs.items()}
    rounds = rates(in_turns(commands, args.repeats))

    print(f"{machine()}\n")
    print("| who | transitions/s (median) | range | times the plain loop |")
    print("|---|---|---|---|")
    base = statistics.median(next(iter(rounds.values())))
    for name, found in rounds.items():
        value = statistics.median(found)
        print(f"| {name} | {value:,.0f} | {min(found):,.0f} to {max(found):,.0f} | {value / base:,.1f} |")


if __name__ == "__main__":
    main()
