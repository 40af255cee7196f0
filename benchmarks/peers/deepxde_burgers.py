"""Trains DeepXDE's network for Burgers' equation on its PyTorch backend, and prints one JSON line.

    u_t + u u_x = 0.01 / pi u_xx on [-1, 1] for t in [0, 1],   u(x, 0) = -sin(pi x),   u = 0 at both ends

3 x 20 tanh units in float32 on 2,540 points inside, 80 on the ends and 160 at the start, as in DeepXDE's own
example, by Adam at 1e-3. Seeds are trained one after the other. Time is that of training: imports, and the
first 100 iterations, do not count.

Run it with the interpreter of an environment holding DeepXDE and PyTorch:

    python deepxde_burgers.py --adam 2000 --seeds 3
"""

import argparse
import json
import os
import time

os.environ["DDE_BACKEND"] = "pytorch"

import deepxde as dde
import numpy as np
import torch

WARM = 100


def problem() -> dde.data.TimePDE:
    """Return the equation on fresh points."""
    domain = dde.geometry.GeometryXTime(dde.geometry.Interval(-1, 1), dde.geometry.TimeDomain(0, 1))

    def equation(x: torch.Tensor, u: torch.Tensor) -> torch.Tensor:
        by_x, by_t = dde.grad.jacobian(u, x, i=0, j=0), dde.grad.jacobian(u, x, i=0, j=1)
        return by_t + u * by_x - 0.01 / np.pi * dde.grad.hessian(u, x, i=0, j=0)

    ends = dde.icbc.DirichletBC(domain, lambda x: 0, lambda _, on: on)
    start = dde.icbc.IC(domain, lambda x: -np.sin(np.pi * x[:, :1]), lambda _, on: on)
    return dde.data.TimePDE(
        domain, equation, [ends, start], num_domain=2540, num_boundary=80, num_initial=160
    )


def one(seed: int, adam: int) -> dict[str, float]:
    """Train one seed; return what an iteration takes by the clock, and of all threads' processor time."""
    dde.config.set_random_seed(seed)
    network = dde.nn.FNN([2, 20, 20, 20, 1], "tanh", "Glorot normal")
    model = dde.Model(problem(), network)
    model.compile("adam", lr=1e-3)
    quiet = {"display_every": 10**9, "verbose": 0}
    model.train(iterations=WARM, **quiet)
    began, processor = time.perf_counter(), time.process_time()
    model.train(iterations=adam - WARM, **quiet)
    return {
        "adam": (time.perf_counter() - began) / (adam - WARM),
        "processor": (time.process_time() - processor) / (adam - WARM),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--adam", type=int, default=2000)
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    each = [one(seed, given.adam) for seed in range(given.seeds)]
    print(json.dumps({"seeds": each, "versions": [dde.__version__, torch.__version__]}))


if __name__ == "__main__":
    main()
