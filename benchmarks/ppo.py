"""PPO on CartPole: populace beside Stable-Baselines3 and rejax, in one run on one machine.

    python benchmarks/ppo.py [--sb3 SB3_PYTHON] [--rejax REJAX_PYTHON] [--repeats 5]

The peers live in environments of their own (`benchmarks/requirements-sb3.txt`, `-rejax.txt`); the two
options name their interpreters, and a peer that is not named is left out. Everyone's agent acts in 8
environments for 128 steps, and goes through these 1,024 frames 4 times in 4 minibatches; policy and value
networks have two hidden layers of 64 (tanh). The clock starts when all is compiled and once tried, for
everybody, and covers nothing but training. Runs take turns, round by round, so that a slow minute of the
machine falls on everybody; figures are medians over the rounds, and a ratio is the median of the ratios
within a round.
"""

import argparse
import json
import statistics
import sys
from pathlib import Path

from children import in_turns, loop_seconds, machine, rates

HERE = Path(__file__).parent
FRAMES_PER_STEP = 8 * 128


def worker(members: int, frames: int) -> None:
    """Time the bare compiled loop of so many members; prints one JSON line."""
    import populace as pop
    from populace.engine.training_loop import Engine

    pop.setup()
    learner = pop.rl.PPO(
        env="CartPole-v1", num_envs=8, rollout=128, epochs=4, minibatches=4, hidden_sizes=(64, 64),
        activation="tanh",
        learning_rate=2.5e-4, discount=0.99, gae_lambda=0.95, clip_range=0.2, entropy_coefficient=0.01,
        value_coefficient=0.5, max_gradient_norm=0.5, normalize_advantages=True,
    )  # fmt: skip
    assert learner.units_per_step == FRAMES_PER_STEP
    steps = -(-frames // FRAMES_PER_STEP)
    seconds = loop_seconds(Engine(pop.sweep(learner, seeds=members), "vmap").group_states[0], 2, steps)
    print(json.dumps({"frames_per_second": members * steps * FRAMES_PER_STEP / seconds, "seconds": seconds}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--sb3", help="interpreter that has Stable-Baselines3")
    parser.add_argument("--rejax", help="interpreter that has rejax")
    parser.add_argument("--repeats", type=int, default=5, help="rounds, of which medians are taken")
    parser.add_argument("--frames", type=int, default=40_960, help="per agent, of everybody")
    parser.add_argument("--worker", type=int, metavar="MEMBERS", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        return worker(args.worker, args.frames)

    frames, me = ["--frames", str(args.frames)], [sys.executable, str(Path(__file__).resolve())]
    ours = "populace, 16 members"
    runs: dict[str, list[str]] = {
        ours: [*me, "--worker", "16", *frames],
        "populace, 1 member": [*me, "--worker", "1", *frames],
    }
    if args.sb3:
        # one thread: with two, networks this small only wait for each other
        runs["Stable-Baselines3, 1 agent"] = [args.sb3, str(HERE / "peers" / "sb3_ppo.py"), *frames]
    if args.rejax:
        peer = [args.rejax, "-W", "ignore", str(HERE / "peers" / "rejax_ppo.py"), *frames, "--agents", "16"]
        runs["rejax, 16 agents, jit(vmap)"] = peer
        runs["rejax, 16 agents, pmap(vmap) over 2 devices"] = [*peer, "--devices", "2"]
    rounds = rates(in_turns(runs, args.repeats))

    print(f"{machine()}\n")
    print("| who | frames/s in all (median) | range | 16 members of populace are |")
    print("|---|---|---|---|")
    for name, found in rounds.items():
        times = statistics.median(our / their for our, their in zip(rounds[ours], found))
        spread = f"{min(found):,.0f} to {max(found):,.0f}"
        print(f"| {name} | {statistics.median(found):,.0f} | {spread} | {times:.2f} times as fast |")
    return None


if __name__ == "__main__":
    main()
