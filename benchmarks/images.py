"""Training steps of models that make images: populace, PyTorch, Keras on JAX, pythae and diffusers, in turns.

    python benchmarks/images.py [--peers PYTHON] [--repeats 3] [--only NAME ...] [--shared]

The learners of the recipes `autoencoder`, `vae`, `dcgan`, `wgan-gp`, `pixelcnn` and `diffusion`, with the
recipes' networks, batches and optimizers, on 2,048 random images of 28 x 28 pixels; a step of `wgan-gp` is
three of the critic and one of the generator. populace runs them in the engine's compiled loop, with one CPU
device per core, so that the batch drawn, the metrics and the watch for NaN are in its time: 8 members by
`map`, one by `vmap` (a single member under `map` is trained twice, so that its bits are those in a
population). PyTorch's loop runs on two threads, and in two processes of one thread side by side. Compilation
is apart. Every figure is of processes of their own, which take turns, round by round.

Milliseconds are per member and step: of a population the whole step divided by its members, of two processes
side by side half of one's step. "Processor" is the same in processor time of all cores, which other programs
on the machine disturb less; `--by processor` compares by it. PyTorch's threads wait for one another by
spinning: where others need the cores, leave two threads out by `--shared`.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from children import child, machine

HERE = Path(__file__).resolve()
IMAGES, MEMBERS = 2048, 8
STEPS = {"autoencoder": 40, "vae": 120, "dcgan": 20, "wgan-gp": 12, "pixelcnn": 8, "diffusion": 8}
"""Timed steps of one member; a population takes a quarter of them."""
KERAS = ("autoencoder", "vae", "pixelcnn", "diffusion")
"""Models that Keras's `fit` trains; a GAN is a loop of one's own there."""
LIBRARIES = {"vae": "pythae", "diffusion": "diffusers"}
Times = dict[str, float]


def learner(name: str) -> Any:
    """Return the learner of a recipe with random images, which judges nothing."""
    import dataclasses

    import jax.numpy as jnp
    import numpy as np

    import populace as pop
    from populace import recipes
    from populace.images.generative.given import image_data
    from populace.runs.recipe.parsing import parse

    found: Any = parse(recipes.text(name), name).learner
    draws = np.random.default_rng(0)
    images = draws.integers(0, 256, (IMAGES + 200, 28, 28, 1), np.uint8)
    data = image_data(images, labels=draws.integers(0, 10, len(images)), validation=200 / len(images))

    class Bare(type(found)):
        """The learner as it trains; of its evaluation nothing is timed."""

        def load_data(self):
            return self

        def evaluate(self, state, key):
            return {self.score: pop.Mean(jnp.zeros(()))}

    fields = {f.name: getattr(found, f.name) for f in dataclasses.fields(found)}
    return Bare(**fields | {"data": data})


def worker(name: str, members: int, strategy: str, steps: int) -> Times:
    """Return the seconds of a step divided by the members, by the clock and of processor time."""
    import jax

    import populace as pop
    from populace.engine.training_loop import Engine

    pop.setup()
    group = Engine(pop.sweep(learner(name), seeds=members), strategy).group_states[0]
    carry, _ = group.program.advance(group.carry, 3)  # compiles
    jax.block_until_ready(carry.step)
    began, busy = time.perf_counter(), time.process_time()
    carry, _ = group.program.advance(carry, 3 + steps)
    jax.block_until_ready(carry.step)
    found = {"seconds": time.perf_counter() - began, "processor": time.process_time() - busy}
    return {unit: total / steps / members for unit, total in found.items()}


def side_by_side(words: list[str]) -> Times:
    """Run a command twice at once; return the mean of both, halved, since both make one member's step."""
    both = [subprocess.Popen(words, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    found = [json.loads(one.communicate()[0].strip().splitlines()[-1]) for one in both]
    clock = statistics.mean(one["seconds"] for one in found) / 2
    return {"seconds": clock, "processor": statistics.mean(one["processor"] for one in found)}


def commands(name: str, python: str | None, *, shared: bool) -> dict[str, list[str]]:
    """Return what is run for a model, by name; a name with "two processes" runs twice at once."""
    me = [sys.executable, str(HERE), "--worker", name]
    few = str(max(2, STEPS[name] // 4))
    runs = {
        f"populace, {MEMBERS} members": [*me, "--members", str(MEMBERS), "--steps", few, "--strategy", "map"],
        "populace, 1 member": [*me, "--steps", str(STEPS[name]), "--strategy", "vmap"],
    }
    if not python:
        return runs
    torch = [python, str(HERE.parent / "peers" / "torch_images.py"), name, "--steps", str(STEPS[name])]
    if not shared:
        runs["PyTorch, two threads"] = torch
    runs["PyTorch, two processes"] = [*torch, "--threads", "1"]
    if name in LIBRARIES:
        runs[LIBRARIES[name]] = [*torch, "--library", "--threads", "1" if shared else "2"]
    if name in KERAS:
        keras = [python, str(HERE.parent / "peers" / "keras_images.py"), name]
        runs["Keras on JAX"] = [*keras, "--steps", str(STEPS[name])]
    return runs


def rows(name: str, python: str | None, repeats: int, by: str, *, shared: bool) -> list[str]:
    """Return rows of the table for a model, medians over the rounds."""
    runs = commands(name, python, shared=shared)
    found: dict[str, list[Times]] = {who: [] for who in runs}
    for _ in range(repeats):
        for who, words in runs.items():
            found[who].append(side_by_side(words) if "processes" in who else child(*words))
            times = found[who][-1]
            print(
                f"{name}, {who}: {1e3 * times['seconds']:.1f} ms, {1e3 * times['processor']:.1f} processor",
                file=sys.stderr, flush=True,
            )  # fmt: skip

    def middle(who: str, key: str) -> float:
        return 1e3 * statistics.median(one[key] for one in found[who])

    peers = [who for who in runs if not who.startswith("populace")]
    quickest = min((middle(who, by) for who in peers), default=None)
    lines = []
    for who, each in found.items():
        clock = [1e3 * one["seconds"] for one in each]
        against = f"{middle(who, by) / quickest:.2f}" if quickest else ""
        lines.append(
            f"| {name} | {who} | {middle(who, 'seconds'):.2f} | {min(clock):.2f} to {max(clock):.2f} "
            f"| {middle(who, 'processor'):.2f} | {against} |"
        )
    return lines


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--peers", help="interpreter that has what requirements-images.txt names")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=tuple(STEPS), default=list(STEPS))
    parser.add_argument("--by", choices=("seconds", "processor"), default="seconds", help="what is compared")
    parser.add_argument("--shared", action="store_true", help="leave out what needs both cores to itself")
    parser.add_argument("--worker", choices=tuple(STEPS), help=argparse.SUPPRESS)
    parser.add_argument("--members", type=int, default=1, help=argparse.SUPPRESS)
    parser.add_argument("--strategy", default="map", help=argparse.SUPPRESS)
    parser.add_argument("--steps", type=int, default=8, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        print(json.dumps(worker(args.worker, args.members, args.strategy, args.steps)))
        return
    print(f"{machine()}\n\n| model | who | ms by the clock, median | range | ms of processor, median "
          f"| times the quickest peer ({args.by}) |\n|---|---|---|---|---|---|")  # fmt: skip
    for name in args.only:
        print("\n".join(rows(name, args.peers, args.repeats, args.by, shared=args.shared)), flush=True)


if __name__ == "__main__":
    main()
