"""Joint steps per second of our particle world and foraging beside mpe2 and lbforaging, by random actions.

    python benchmarks/multi_agent.py [--repeats 5] [--copies 256]

mpe2 and lbforaging step one environment, as they are made to; ours steps `copies` of them in one compiled
program, resets included on both sides. Runs take turns, each in its own process; figures are medians over the
rounds. `cleaning-linear` is the training of the recipe, 64 seeds of 1,000 episodes, in seconds.
"""

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

from children import in_turns, loop_seconds, machine, rates

NAMES = {"spread": "SimpleSpread-v0", "foraging": "Foraging-v0"}


def peer(world: str, steps: int) -> float:
    """Return joint steps per second of the other package's environment."""
    import numpy as np

    rng = np.random.default_rng(0)
    if world == "spread":
        from mpe2 import simple_spread_v3

        env = simple_spread_v3.parallel_env()
        env.reset(seed=0)
        actions = rng.integers(0, 5, (steps, 3)).tolist()
        start = time.perf_counter()
        for action in actions:
            env.step(dict(zip(env.possible_agents, action)))
            if not env.agents:
                env.reset()
    else:
        import gymnasium
        import lbforaging  # noqa: F401  registers

        env = gymnasium.make("Foraging-8x8-2p-2f-coop-v3", disable_env_checker=True).unwrapped
        env.reset(seed=0)
        actions = rng.integers(0, 6, (steps, 2)).tolist()
        start = time.perf_counter()
        for action in actions:
            if env.step(action)[2]:
                env.reset()
    return steps / (time.perf_counter() - start)


def ours(world: str, copies: int, steps: int) -> float:
    """Return joint steps per second of all copies together, compiled and warm."""
    import jax

    from populace.rl.multi_agent import registry

    task = registry.make(NAMES[world])

    @jax.jit
    def play(key):
        _, state = task.reset(key, copies)

        def one(state, key):
            act_key, step_key = jax.random.split(key)
            action = jax.random.randint(act_key, (copies, task.team), 0, task.most_actions)
            step = task.step(step_key, state, action)
            # what is seen is used, or the compiler would leave it out
            return step.env_state, (step.view.observation.sum(), step.reward.sum())

        return jax.lax.scan(one, state, jax.random.split(key, steps))[1]

    jax.block_until_ready(play(jax.random.key(0)))
    start = time.perf_counter()
    jax.block_until_ready(play(jax.random.key(1)))
    return copies * steps / (time.perf_counter() - start)


def cleaning_linear() -> float:
    """Return the seconds that 64 seeds of 1,000 episodes take."""
    import tomllib

    import populace as pop
    from populace import recipes
    from populace.core import settings
    from populace.engine.training_loop import Engine
    from populace.rl.multi_agent import LinearQ

    pop.setup()
    given = tomllib.loads(recipes.text("cleaning-linear"))["learner"]
    learner = settings.from_dict(LinearQ, {k: v for k, v in given.items() if k != "kind"})
    return loop_seconds(Engine(pop.sweep(learner, seeds=64), "vmap").group_states[0], 1, 1_000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--copies", type=int, default=256, help="copies of our environments")
    parser.add_argument("--worker", nargs=2, metavar=("WHO", "WORLD"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        who, world = args.worker
        if who == "linear":
            rate = 64_000 / cleaning_linear()
        else:
            rate = peer(world, 5_000) if who == "peer" else ours(world, args.copies, 1_000)
        return print(json.dumps({"frames_per_second": rate}))

    runs = {
        "mpe2, simple spread": ("peer", "spread"),
        "populace, simple spread": ("ours", "spread"),
        "lbforaging, 8x8-2p-2f-coop": ("peer", "foraging"),
        "populace, foraging": ("ours", "foraging"),
        "cleaning-linear": ("linear", ""),
    }
    me = [sys.executable, "-W", "ignore", str(Path(__file__).resolve())]
    commands = {n: [*me, "--worker", *w, "--copies", str(args.copies)] for n, w in runs.items()}
    rounds = rates(in_turns(commands, args.repeats))
    linear = [64_000 / rate for rate in rounds.pop("cleaning-linear")]

    print(f"{machine()}\n")
    print("| who | joint steps/s (median) | range | times the peer |")
    print("|---|---|---|---|")
    base = 1.0
    for name, found in rounds.items():
        value = statistics.median(found)
        base = base if name.startswith("populace") else value
        print(f"| {name} | {value:,.0f} | {min(found):,.0f} to {max(found):,.0f} | {value / base:,.1f} |")
    print(
        f"\ncleaning-linear, 64 seeds x 1,000 episodes: {statistics.median(linear):.1f} s "
        f"({min(linear):.1f} to {max(linear):.1f})"
    )


if __name__ == "__main__":
    main()
