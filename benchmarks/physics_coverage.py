"""How often 95 % intervals of an unknown coefficient cover it: members with randomized data, and seeds alone.

    python benchmarks/physics_coverage.py --sets 300 --members 8

Every data set of `inverse-diffusion` and every member of each is one member of one program.
"""

import argparse
import time

import numpy as np
from scipy.stats import binomtest

import populace as pop
import populace.physics as ph
from populace.engine.training_loop import Engine


def main() -> None:
    """Train, and print a line for each kind of member."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--sets", type=int, default=300)
    parser.add_argument("--members", type=int, default=8)
    parser.add_argument("--steps", type=int, default=100)
    given = parser.parse_args()
    pop.setup()
    for randomized in (True, False):
        learner = ph.PINN(
            equation=ph.InverseDiffusion(),
            network=ph.MLP(hidden_sizes=(12,)),
            points=100,
            boundary_points=20,
            initial_points=20,
            condition_weight=100.0,
            randomized_data=randomized,
        )
        sets = {"equation.data_seed": [float(i) for i in range(given.sets)]}
        engine = Engine(pop.sweep(learner, sets, seeds=given.members), "map")
        began = time.perf_counter()
        engine.train(given.steps, window=given.steps, evaluate_every=given.steps)
        found = engine.evaluate().metrics["C"].reshape(given.sets, given.members)
        covered, widths = 0, []
        for members in found:
            one = ph.Solution(
                np.zeros((1, 1)), ("u",), np.zeros((1, 1, 1)), None, np.zeros(1), {"C": members}, [], 0, 1.0
            )
            low, high = one.interval("C")
            covered += low <= 1 <= high
            widths.append(high - low)
        interval = binomtest(covered, given.sets).proportion_ci(method="wilson")
        print(
            f"{'randomized data' if randomized else 'seeds alone':16s} covered {covered} of {given.sets} "
            f"({covered / given.sets:.1%}, Wilson {interval.low:.1%} to {interval.high:.1%}), "
            f"median width {np.median(widths):.3g}, bias {found.mean() - 1:+.2g}, "
            f"standard deviation between sets {found.mean(1).std(ddof=1):.2g}, "
            f"{time.perf_counter() - began:.0f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
