"""What each rule reaches on Burgers' equation in the same time, and what a step of it takes.

    python benchmarks/physics.py --seconds 60 --seeds 2

All rules train the same networks (3 x 20 tanh, start and ends by construction) on as many points, drawn
anew by residual; the error is relative L2 against Cole and Hopf's solution. Time is that of all members
together, without compiling, which the first window holds. A step of the self-scaled rules is 50 iterations.
"""

import argparse
import time

import numpy as np

import populace as pop
import populace.physics as ph
from populace.engine.training_loop import Engine


def rules() -> dict[str, tuple[dict, int]]:
    """Return settings of each rule, and the steps of a window."""
    adam = {"solver": ph.NoSolver(), "learning_rate": 3e-3, "dtype": "float32", "resample_steps": 500}
    return {
        "adam, float32": (adam, 500),
        "adam, causal, float32": ({**adam, "in_time": ph.Causal()}, 500),
        "l-bfgs": ({"solver": ph.LBFGS(), "resample_steps": 500}, 100),
        "self-scaled bfgs": ({"solver": ph.SelfScaledBFGS(iterations=50), "resample_steps": 2}, 4),
        "self-scaled broyden": ({"solver": ph.SelfScaledBroyden(iterations=50), "resample_steps": 2}, 4),
        "levenberg-marquardt": ({"resample_steps": 100}, 20),
    }


def main() -> None:
    """Train each rule for some seconds, and print a line for each."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--points", type=int, default=1500)
    parser.add_argument("--width", type=int, default=20)
    given = parser.parse_args()
    pop.setup()
    for name, (settings, window) in rules().items():
        learner = ph.PINN(
            equation=ph.Burgers(), network=ph.MLP(hidden_sizes=(given.width,) * 3), points=given.points,
            resampling=ph.RAD(), **settings,
        )  # fmt: skip
        engine = Engine(pop.sweep(learner, seeds=given.seeds), "map")
        steps, spent = window, 0.0
        engine.train(steps, window=window, evaluate_every=0, evaluate_last=False)
        while spent < given.seconds:
            steps += window
            began = time.perf_counter()
            engine.train(steps, window=window, evaluate_every=0, evaluate_last=False)
            spent += time.perf_counter() - began
        error = engine.evaluate().metrics["error"]
        each = 1000 * spent / (steps - window) / given.seeds
        print(
            f"{name:20s} {steps:6d} steps, {each:7.1f} ms per member and step, "
            f"error {np.median(error):.2g} ({np.min(error):.2g} to {np.max(error):.2g}, {given.seeds} seeds)",
            flush=True,
        )


if __name__ == "__main__":
    main()
