"""One training step of the CNN of the `mnist` recipe, in the engine's loop, beside PyTorch.

    python benchmarks/mnist_cnn.py --torch TORCH_PYTHON [--repeats 5] [--kernel 5]

Two convolutions of 16 and 32 channels ("same"), each with ReLU and 2 x 2 max pooling, then dense layers of
128 and 10 units: forward, gradient of the cross-entropy and Adam on batches of 128, no dropout and no shifts.
populace runs it as it always does: a learner in the engine's compiled loop, with one CPU device per core, so
that the batch drawn, the metrics and the watch for NaN are in its time. Every figure is of a process of its
own; processes take turns, round by round, so that a slow minute of the machine falls on everybody.
"""

import argparse
import json
import statistics
import sys
from pathlib import Path

from children import child, loop_seconds

HERE = Path(__file__).resolve()
BATCH, PICTURES, STEPS = 128, 2048, 30


def worker(members: int, strategy: str, kernel: int, steps: int) -> dict:
    """Return the seconds of a step, divided by the members."""
    import equinox as eqx
    import jax
    import jax.numpy as jnp
    import numpy as np
    import optax

    import populace as pop
    from populace.engine.training_loop import Engine
    from populace.images.classification.networks import CNN

    pop.setup()

    class Bare(pop.Learner):
        """A classifier reduced to what PyTorch's loop does."""

        x: jax.Array
        y: jax.Array
        learning_rate: float = pop.setting(1e-3, above=0, help="step size of Adam")
        kernel: int = pop.setting(5, low=1, help="height and width of the kernels")

        def init(self, key):
            plan = CNN(channels=(16, 32), kernel=self.kernel, hidden_sizes=(128,), dropout=0.0)
            network = plan.build((28, 28, 1), 10, key=key)
            return network, optax.adam(self.learning_rate).init(eqx.filter(network, eqx.is_array))

        def step(self, state, key):
            network, optimizer = state
            start = jax.random.randint(key, (), 0, PICTURES - BATCH)
            x, y = (jax.lax.dynamic_slice_in_dim(a, start, BATCH) for a in (self.x, self.y))

            def loss_of(network):
                return optax.softmax_cross_entropy_with_integer_labels(jax.vmap(network)(x), y).mean()

            loss, gradient = eqx.filter_value_and_grad(loss_of)(network)
            change, optimizer = optax.adam(self.learning_rate).update(gradient, optimizer)
            return (eqx.apply_updates(network, change), optimizer), {"loss": pop.Mean(loss)}

        def model(self, state):
            return state[0]

        def evaluate(self, state, key):
            return {"score": pop.Mean(jnp.zeros(()))}

    draws = np.random.default_rng(0)
    x = jnp.asarray(draws.normal(size=(PICTURES, 28, 28, 1)), jnp.float32)
    learner = Bare(x, jnp.asarray(draws.integers(0, 10, PICTURES)), kernel=kernel)
    group_state = Engine(pop.sweep(learner, seeds=members), strategy).group_states[0]
    return {"seconds": loop_seconds(group_state, 3, steps) / steps / members}


def table(torch_python: str | None, repeats: int, kernel: int = 5) -> str:
    """Return a Markdown table of milliseconds per step and member.

    Args:
        torch_python: an interpreter that has PyTorch, or None to leave it out.
        repeats: rounds in which every process runs once.
        kernel: height and width of the kernels.

    """
    me = [sys.executable, str(HERE), "--kernel", str(kernel), "--worker"]
    eight = [*me, "8", "--steps", str(STEPS // 4)]
    runs = {
        "populace, 1 member": [*me, "1"],
        "populace, 8 members, one after the other": [*eight, "--strategy", "map"],
        "populace, 8 members, all at once": [*eight, "--strategy", "vmap"],
    }
    if torch_python:
        peer = [torch_python, str(HERE.parent / "peers" / "torch_conv.py"), "mnist-cnn"]
        peer += ["--kernel", str(kernel), "--steps", str(STEPS)]
        runs["PyTorch, as written (channels first)"] = peer
        runs["PyTorch, channels_last"] = [*peer, "--channels-last"]
    found: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, words in runs.items():
            found[name].append(1e3 * child(*words)["seconds"])
            print(f"{name}: {found[name][-1]:.1f} ms", file=sys.stderr, flush=True)
    lines = [
        f"| MNIST CNN, kernel {kernel}, training step | ms per member (median) | range "
        "| times PyTorch | times channels_last |",
        "|---|---|---|---|---|",
    ]
    first, last = (
        found.get(name) for name in ("PyTorch, as written (channels first)", "PyTorch, channels_last")
    )
    for name, times in found.items():
        value = statistics.median(times)
        against = [f"{value / statistics.median(peer):.2f}" if peer else "" for peer in (first, last)]
        lines.append(
            f"| {name} | {value:.1f} | {min(times):.1f} to {max(times):.1f} | {against[0]} | {against[1]} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--torch", help="interpreter that has PyTorch")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--kernel", type=int, default=5, help="height and width of the kernels")
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--strategy", default="vmap", help=argparse.SUPPRESS)
    parser.add_argument("--steps", type=int, default=STEPS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        print(json.dumps(worker(args.worker, args.strategy, args.kernel, args.steps)))
    else:
        print(table(args.torch, args.repeats, args.kernel))


if __name__ == "__main__":
    main()
