"""What it costs to train on examples in files instead of in memory: the CNN of the `mnist` recipe.

    POPULACE_DATA=DATA python benchmarks/feed.py [--repeats 5] [--steps 200] [--memory 32]

Two convolutions of 16 and 32 channels (5 x 5, "same"), 128 units with dropout 0.3, Adam on batches of 128,
all 60,000 training digits; 1 member, and 8 members of seeds of their own one after the other. The same
population is trained from an array and from a memory-mapped file, in windows as `populace run` has them;
timed are the steps after the first window, and apart from them one evaluation on the 10,000 test digits.
Every figure is of a process of its own; processes take turns, round by round, so that a slow minute
of the machine falls on everybody. The weights that both come to must be the same, bit for bit.
"""

import argparse
import hashlib
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from children import child

HERE = Path(__file__).resolve()
MEMBERS = {1: "vmap", 8: "map"}


def worker(members: int, folder: Path | None, memory: int, steps: int) -> dict:
    """Return seconds per step of all members, seconds of an evaluation, and a digest of all states."""
    import jax

    import populace as pop
    from populace.engine.training_loop import Engine
    from populace.images import mnist
    from populace.images.classification.classifier import ImageClassifier
    from populace.images.classification.networks import CNN
    from populace.supervised import Data

    pop.setup()
    digits = mnist()
    x, test_x = digits.train_images, digits.test_images
    how: dict = {"validation": 0.0, "standardize": "channel"}
    if folder is not None:
        x, test_x, how["memory"] = folder / "x.npy", folder / "test_x.npy", memory
    data = Data.from_classes(x, digits.train_labels, test=(test_x, digits.test_labels), **how)
    network = CNN(channels=(16, 32), kernel=5, hidden_sizes=(128,), dropout=0.3)
    learner = ImageClassifier(data=data, network=network, learning_rate=1e-3, evaluation_split="test")
    engine = Engine(pop.sweep(learner, seeds=members), MEMBERS[members])
    window = max(1, steps // 20)
    engine.train(window, window=window, evaluate_every=0)  # compiles, and the last step is evaluated
    began, trained = time.perf_counter(), engine.training_seconds
    engine.train(window + steps, window=window, evaluate_every=0)
    (group_state,) = engine.group_states
    jax.block_until_ready(group_state.best)
    seconds = engine.training_seconds - trained
    found = hashlib.sha256()
    for leaf in jax.tree.leaves(group_state.state()):
        found.update(np.asarray(leaf).tobytes())
    evaluation = time.perf_counter() - began - seconds
    return {"step": seconds / steps, "evaluation": evaluation, "states": found.hexdigest()}


def table(repeats: int, steps: int, memory: int) -> str:
    """Return a Markdown table of milliseconds per step, from memory and from files, and their ratio."""
    from populace.images import mnist

    lines = [
        "| members | from memory, ms a step | from files | ratio (median of rounds) | range "
        "| evaluation, ratio | same bits |",
        "|---|---|---|---|---|---|---|",
    ]
    with tempfile.TemporaryDirectory() as folder:
        digits = mnist()
        np.save(Path(folder) / "x.npy", digits.train_images)
        np.save(Path(folder) / "test_x.npy", digits.test_images)
        for members in MEMBERS:
            size = ["--memory", str(memory), "--steps", str(max(20, steps // members))]
            me = [sys.executable, str(HERE), "--worker", str(members), *size]
            rounds = []
            for _ in range(repeats):
                rounds.append((child(*me), child(*me, "--folder", folder)))
                one, other = (1e3 * found["step"] for found in rounds[-1])
                said = f"{members} members: {one:.1f} ms, from files {other:.1f} ms"
                print(said, file=sys.stderr, flush=True)
            middle = [statistics.median(1e3 * pair[i]["step"] for pair in rounds) for i in (0, 1)]
            ratios = [other["step"] / one["step"] for one, other in rounds]
            looks = statistics.median(other["evaluation"] / one["evaluation"] for one, other in rounds)
            same = all(one["states"] == other["states"] for one, other in rounds)
            lines.append(
                f"| {members} | {middle[0]:.1f} | {middle[1]:.1f} | {statistics.median(ratios):.3f} "
                f"| {min(ratios):.3f} to {max(ratios):.3f} | {looks:.3f} | {'yes' if same else 'NO'} |"
            )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--steps", type=int, default=200, help="steps timed with 1 member; fewer with more")
    parser.add_argument("--memory", type=int, default=32, help="MiB of examples held at once")
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        print(json.dumps(worker(args.worker, args.folder, args.memory * 2**20, args.steps)))
    else:
        print(table(args.repeats, args.steps, args.memory))


if __name__ == "__main__":
    main()
