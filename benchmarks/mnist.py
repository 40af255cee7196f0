"""Seconds until a network reads 99 % of MNIST's test digits: populace, a plain PyTorch loop, Keras on JAX.

    POPULACE_DATA=DATA python benchmarks/mnist.py [--torch TORCH_PYTHON] [--keras KERAS_PYTHON] [--seeds 1]

The network of the recipe `mnist`: two convolutions of 16 and 32 channels (5 x 5, "same"), each with ReLU and
2 x 2 max pooling, 128 units with dropout 0.3, 10 outputs; Adam at 1e-3, batches of 128, all 60,000 training
digits, no shifts, the test digits looked at after every epoch. Timed are training and looking, from the first
step on; compilation is told apart. Every run is a process of its own, one after the other.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from children import child

HERE = Path(__file__).resolve()
PEER = HERE.parent / "peers" / "mnist_loops.py"
GOAL, EPOCHS = 0.99, 10


def worker(seeds: int) -> dict:
    """Return the seconds until the mean over seeds is at 99 %, and until every one is."""
    import populace as pop
    from populace.engine.training_loop import Engine
    from populace.images.classification.classifier import ImageClassifier
    from populace.images.classification.networks import CNN

    pop.setup()
    plan = CNN(channels=(16, 32), kernel=5, hidden_sizes=(128,), dropout=0.3)
    learner = ImageClassifier(
        dataset="mnist", validation=0.0, network=plan, learning_rate=1e-3, evaluation_split="test"
    )
    population = pop.sweep(learner, seeds=seeds)
    began = time.perf_counter()
    engine = Engine(population, "vmap" if seeds == 1 else "map")
    engine.evaluate()  # compiles
    compiled = time.perf_counter() - began
    heard: list[np.ndarray] = []

    class Ear(pop.Callback):
        def on_evaluation(self, evaluation):
            heard.append(evaluation.metrics["accuracy"])

    engine.callbacks.append(Ear())
    epoch = population.learner_of(0).epoch_steps
    began = time.perf_counter()
    for i in range(EPOCHS):
        engine.train((i + 1) * epoch, window=epoch, evaluate_every=epoch)
        if heard[-1].mean() >= GOAL:
            break
    seconds = time.perf_counter() - began
    return {
        "seconds": seconds,
        "epochs": len(heard),
        "accuracy": float(heard[-1].mean()),
        "compiled": compiled,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--torch", help="interpreter that has PyTorch")
    parser.add_argument("--keras", help="interpreter that has Keras and JAX")
    parser.add_argument("--seeds", type=int, default=4, help="members of the population that is timed too")
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        print(json.dumps(worker(args.worker)))
        return
    from populace.images import mnist

    data = mnist()
    print("| MNIST to 99 % | s | epochs | test accuracy | s to compile | s per seed |")
    print("|---|---|---|---|---|---|")

    def row(name: str, found: dict, seeds: int = 1) -> None:
        print(
            f"| {name} | {found['seconds']:.0f} | {found['epochs']} | {100 * found['accuracy']:.2f} % "
            f"| {found['compiled']:.0f} | {found['seconds'] / seeds:.0f} |",
            flush=True,
        )

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "mnist.npz"
        np.savez(
            file, x=data.train_images, y=data.train_labels, test_x=data.test_images, test_y=data.test_labels
        )
        me = [sys.executable, str(HERE), "--worker"]
        row("populace, 1 seed", child(*me, "1"))
        if args.torch:
            row("PyTorch, a plain loop", child(args.torch, str(PEER), "torch", str(file)))
        if args.keras:
            os.environ["KERAS_BACKEND"] = "jax"
            row("Keras on JAX", child(args.keras, str(PEER), "keras", str(file)))
        if args.seeds > 1:
            row(f"populace, {args.seeds} seeds", child(*me, str(args.seeds)), args.seeds)


if __name__ == "__main__":
    main()
