"""IPPO and VDN on simple spread beside JaxMARL's own trainers: frames per second, and what they learn.

    python benchmarks/cooperative.py --jaxmarl PYTHON --clone JAXMARL [--repeats 5] [--frames 20480]
    python benchmarks/cooperative.py --jaxmarl PYTHON --clone JAXMARL --judge --seeds 10 --frames 307200

The settings are those of JaxMARL's YAML files on both sides: see `learner`. 8 seeds are timed in turns, each
run in a process of its own and without its compilation; JaxMARL by `vmap`, as it does itself, on all cores. A
frame is a step of all agents of one environment. JaxMARL's IPPO stands still now and then, inside of JAX's
runtime, for ever; it begins anew then.

With `--judge` both train, and the greedy policies of each seed play the same 200 episodes of mpe2's
`simple_spread_v3`. What differs, since it is no setting: an episode that its time limit ends is truncated
here, and values go on behind it, where JaxMARL takes it for a terminal state; VDN has Adam here and RAdam
there; and JaxMARL's replay pairs an observation with the one a rollout later, 16 steps, instead of the next.
In the rows `alike` neither of the two large differences is left: the time limit ends the game here, too
(`Ending`), and JaxMARL's replay pairs what follows each other.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from children import in_turns, loop_seconds, machine, rates

from populace.rl.multi_agent.environments.simple_spread import SimpleSpread

HERE = Path(__file__).resolve()
PEER = HERE.with_name("peers") / "jaxmarl_training.py"
ALGORITHMS = {"ippo": 1, "vdn": 10, "vdn-hidden": 5}
"""Times the frames asked for: VDN makes one small update where IPPO makes sixteen. The network of
`vdn_ff_mpe.yaml` is linear; `vdn-hidden` has two hidden layers instead, `NUM_LAYERS: 4` there."""
EPISODES = 200


class Ending(SimpleSpread):
    """Simple spread whose time limit is the end of the game, as JaxMARL has it: what follows is worth 0."""

    def terminated(self, state: Any) -> Any:
        """Return whether the time is over."""
        return state.time >= self.horizon


def learner(algorithm: str, frames: int, env: str = "SimpleSpread-v0") -> Any:
    """Return our learner with the settings of `ippo_ff_mpe.yaml` or `vdn_ff_mpe.yaml`."""
    from populace.optim.schedules import Linear
    from populace.rl.exploration.strategies import LinearDecay
    from populace.rl.multi_agent import IPPO, VDN

    if algorithm == "ippo":
        return IPPO(
            env=env, num_envs=16, rollout=128, learning_rate=2.5e-4,
            schedule=Linear(steps=frames // 2048), epochs=4, minibatches=4, discount=0.99, gae_lambda=0.95,
            clip_range=0.2, entropy_coefficient=0.01, value_coefficient=0.5, max_gradient_norm=0.5,
            hidden_sizes=(64, 64), activation="tanh", agent_ids=False, normalize_values=False,
        )  # fmt: skip
    return VDN(
        env=env, num_envs=32, rollout=16, replay_storage=100_000, batch_size=32,
        hidden_sizes=(64, 64) if algorithm == "vdn-hidden" else (),
        exploration=LinearDecay(start=1.0, end=0.05, duration=0.1 * frames), max_gradient_norm=25.0,
        target_every=200, tau=1.0, gradient_steps=1, learning_rate=0.005,
        schedule=Linear(steps=frames // 512), warmup=10_000, discount=0.9, loss="mse", double=False,
    )  # fmt: skip


def engine(ours: Any, frames: int, seeds: int) -> tuple[Any, int]:
    """Return the group of all seeds, begun, and how many steps the frames are."""
    import populace as pop
    from populace.engine.training_loop import Engine

    return Engine(pop.sweep(ours, seeds=seeds), "vmap").group_states[0], frames // ours.units_per_step


def timed(algorithm: str, frames: int, seeds: int) -> float:
    """Return the frames per second of all seeds together, compiled and warm."""
    group, steps = engine(learner(algorithm, frames), frames, seeds)
    return seeds * frames / loop_seconds(group, max(1, steps // 10), steps)


def our_scores(ours: Any, frames: int, seeds: int) -> list[float]:
    """Train, and return the mean return of each seed in mpe2."""
    import jax

    group, steps = engine(ours, frames, seeds)
    carry, _ = group.program.advance(group.carry, steps)
    play = ours.external_evaluators()["mpe2"]
    models = [group.program.take(group.program.models(carry.state), i) for i in range(seeds)]
    return [float(np.mean(play(jax.device_get(model), EPISODES, 0))) for model in models]


def their_scores(algorithm: str, weights: dict[str, np.ndarray], seeds: int) -> list[float]:
    """Return the mean return in mpe2 of each seed that JaxMARL trained, from its weights."""
    from populace.rl.multi_agent import registry
    from populace.rl.multi_agent.environments import peers

    task = registry.make("SimpleSpread-v0")
    peer = peers.of(task)
    if peer is None:
        raise SystemExit("mpe2 is not installed: pip install 'populace[test]'")
    layers = ["Dense_0"] if algorithm == "vdn" else ["Dense_0", "Dense_1", "Dense_2"]
    bend = np.tanh if algorithm == "ippo" else lambda x: np.maximum(x, 0)

    def of(seed: int) -> Any:
        def act(view: Any, kept: Any) -> tuple[np.ndarray, Any]:
            x = np.asarray(view.observation)
            if algorithm != "ippo":  # JaxMARL's manager appends who sees it
                x = np.concatenate([x, np.broadcast_to(np.eye(task.team), (*x.shape[:2], task.team))], -1)
            for name in layers:
                x = x @ weights[f"{name}/kernel"][seed] + weights[f"{name}/bias"][seed]
                x = bend(x) if name != layers[-1] else x
            return x.argmax(-1), kept

        return act

    return [
        float(np.mean(peers.play(peer, task, of(i), lambda copies: np.zeros(copies), EPISODES, 0)))
        for i in range(seeds)
    ]


def interval(a: list[float], b: list[float] | None = None) -> str:
    """Return the mean over seeds, or the difference of two, with its 95 % bootstrap interval over seeds."""
    from populace.statistics import bootstrap_interval

    if b is None:
        found = bootstrap_interval(a, np.mean)
    else:  # two columns, each resampled by itself
        found = bootstrap_interval(
            np.stack([a, b], 1), lambda x, axis: (x[:, ::2] - x[:, 1::2]).mean(axis=axis)
        )
    return f"{found.value:.2f} ({found.low:.2f} to {found.high:.2f})"


def judge(peer: list[str], frames: int, seeds: int, only: list[str]) -> None:
    """Train by both, let mpe2 judge, and print the table."""
    print(f"{machine()}\n")
    print(
        f"{seeds} seeds of {frames:,} frames (VDN ten times as many, five with hidden layers), "
        f"{EPISODES} episodes each; "
        "mean return with its 95 % interval over seeds.\n"
    )
    print("| algorithm | populace | JaxMARL | difference |")
    print("|---|---|---|---|")
    for algorithm in only:
        for alike in (False, True)[: 1 if algorithm == "ippo" else 2]:
            size = ALGORITHMS[algorithm] * frames
            with tempfile.TemporaryDirectory() as folder:
                file = Path(folder) / "weights.npz"
                words = [*peer, algorithm, "--frames", str(size), "--seeds", str(seeds)]
                words += ["--save", str(file), "--limit", "900", *(["--next"] if alike else [])]
                subprocess.run(words, check=True, capture_output=True)
                with np.load(file) as arrays:
                    theirs = their_scores(algorithm, dict(arrays), seeds)
            env = {"env": f"{HERE.stem}:{Ending.__name__}"} if alike else {}
            ours = our_scores(learner(algorithm, size, **env), size, seeds)
            name = f"{algorithm}, alike" if alike else algorithm
            print(
                f"| {name} | {interval(ours)} | {interval(theirs)} | {interval(ours, theirs)} |", flush=True
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--jaxmarl", metavar="PYTHON", help="interpreter of requirements-jaxmarl.txt")
    parser.add_argument("--clone", type=Path, help="clone of JaxMARL, which has the trainers")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--frames", type=int, default=20_480, help="of each seed")
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--judge", action="store_true", help="compare what they learn, not how quickly")
    parser.add_argument("--only", nargs="+", choices=ALGORITHMS, default=[*ALGORITHMS], help="algorithms")
    parser.add_argument("--worker", choices=ALGORITHMS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker or args.judge:
        import populace as pop

        pop.setup()  # before JAX computes
    if args.worker:
        return print(json.dumps({"frames_per_second": timed(args.worker, args.frames, args.seeds)}))
    if not args.jaxmarl or not args.clone:
        parser.error("JaxMARL's trainers need --jaxmarl and --clone")
    peer = [args.jaxmarl, "-W", "ignore", str(PEER), "--clone", str(args.clone.resolve())]
    if args.judge:
        return judge(peer, args.frames, args.seeds, args.only)

    print(f"{machine()}\n")
    print("| algorithm | who | frames/s (median) | range | populace, times that |")
    print("|---|---|---|---|---|")
    for algorithm in args.only:
        size = ["--frames", str(ALGORITHMS[algorithm] * args.frames), "--seeds", str(args.seeds)]
        commands = {
            "populace": [sys.executable, "-W", "ignore", str(HERE), "--worker", algorithm, *size],
            "JaxMARL": [*peer, algorithm, *size],
        }
        rounds = rates(in_turns(commands, args.repeats))
        base = statistics.median(rounds["populace"])
        for name, found in rounds.items():
            value = statistics.median(found)
            rest = f"{value:,.0f} | {min(found):,.0f} to {max(found):,.0f} | {base / value:.2f}"
            print(f"| {algorithm} | {name} | {rest} |", flush=True)
    return None


if __name__ == "__main__":
    main()
