"""What the kernel of dense layers gives in a whole training step: with it and with XLA's products, in turns.

    python benchmarks/dense.py [--repeats 5]

One device trains 8 members, which is what each of two cores has of 16. Figures are processor time, which
other work on the machine disturbs less than the clock: medians over rounds, and ratios round by round.
"""

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

from children import child, machine

WORK = {"DQN": (400, 800), "PPO": (2, 8)}
"""Steps before anything is timed, and steps timed at once."""
MEMBERS = 8


def worker(name: str, members: int) -> None:
    """Print the processor time of a step in microseconds per member, the median of seven stretches."""
    import jax

    jax.config.update("jax_num_cpu_devices", 1)
    import populace as pop
    from populace.engine.training_loop import Engine

    learner = pop.rl.DQN(double=False, warmup=1000) if name == "DQN" else pop.rl.PPO()
    before, steps = WORK[name]
    state = Engine(pop.sweep(learner, seeds=members), "vmap").group_states[0]
    done, found = before, []
    carry, _ = state.program.advance(state.carry, done)
    jax.block_until_ready(carry.step)
    for _ in range(7):
        start = time.process_time()
        done += steps
        carry, _ = state.program.advance(carry, done)
        jax.block_until_ready(carry.step)
        found.append((time.process_time() - start) / steps / members * 1e6)
    print(json.dumps({"us": statistics.median(found)}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--members", type=int, default=MEMBERS)
    parser.add_argument("--worker", choices=tuple(WORK), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        return worker(args.worker, args.members)
    # Kernels for every processor leave dense layers to XLA; all else of these two learners is the same.
    ways = {"kernel": [], "XLA": ["env", "POPULACE_KERNELS=baseline"]}
    me = [sys.executable, str(Path(__file__).resolve()), "--members", str(args.members)]
    print(f"{machine()}\n")
    print("| step of | kernel, us (median) | XLA, us (median) | XLA / kernel, round by round | median |")
    print("|---|---|---|---|---|")
    for name in WORK:
        rounds = [
            {way: child(*words, *me, "--worker", name)["us"] for way, words in ways.items()}
            for _ in range(args.repeats)
        ]
        kernel, xla = (statistics.median(r[way] for r in rounds) for way in ways)
        ratios = [r["XLA"] / r["kernel"] for r in rounds]
        each = ", ".join(f"{ratio:.2f}" for ratio in ratios)
        print(
            f"| {name} | {kernel:,.0f} | {xla:,.0f} | {each} | {statistics.median(ratios):.2f} |", flush=True
        )
    return None


if __name__ == "__main__":
    main()
