"""Times forecasters in PyTorch, one after the other or by `torch.func.vmap`, and prints one JSON line.

A step: windows drawn at random from all series, histories centered by their last observation, mean squared
error, gradient, Adam. `--vmap` stacks the members' weights: `vmap` of `grad` over the network written as a
function, batches of all members gathered at once, and one fused Adam over the stack, which is elementwise and
so the same as one for each. `nn.LSTM` has no rule for `vmap`; the function has its steps, as `nn.LSTMCell`.
Members per chunk and threads are those that are quickest in a trial; the loop has one thread, since so small
a network is not quicker on two.

Run it with the interpreter of an environment holding PyTorch:

    python torch_forecasters.py --kind lstm --data series.npy --members 20 --steps 100
"""

import argparse
import json
import statistics
import time

import numpy as np
import torch
from forecaster_training import Clock, arguments
from torch.func import grad_and_value, vmap


class Windows:
    """All windows of all series, and random batches of them."""

    def __init__(self, path: str, window: int, horizon: int, batch: int) -> None:
        self.values = torch.from_numpy(np.load(path))
        count, length = self.values.shape
        begins = torch.arange(length - window - horizon + 1)
        self.begins = (torch.arange(count)[:, None] * length + begins).flatten()
        self.steps, self.window, self.batch = torch.arange(window + horizon), window, batch
        self.flat = self.values.flatten()

    def draw(self, *members: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return centered histories (*members, batch, window) and targets (*members, batch, horizon)."""
        begins = self.begins[torch.randint(len(self.begins), (*members, self.batch))]
        taken = self.flat[begins[..., None] + self.steps]
        taken = taken - taken[..., self.window - 1 : self.window]
        return taken[..., : self.window], taken[..., self.window :]


class LSTM(torch.nn.Module):
    """An LSTM that reads the window, and a dense layer on its last output."""

    def __init__(self, hidden: int, horizon: int) -> None:
        super().__init__()
        self.recurrent = torch.nn.LSTM(1, hidden, batch_first=True)
        self.head = torch.nn.Linear(hidden, horizon)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the forecasts (batch, horizon) of histories (batch, window)."""
        return self.head(self.recurrent(x[..., None])[0][:, -1])


def one_after_the_other(data: Windows, args: argparse.Namespace) -> float:
    """Train every member by itself; return the median of their mean losses."""
    losses = []
    for member in range(args.members):
        torch.manual_seed(member)
        make = torch.nn.Linear if args.kind == "linear" else LSTM
        network = make(args.window if args.kind == "linear" else args.hidden, args.horizon)
        optimizer = torch.optim.Adam(network.parameters(), lr=args.rate, fused=args.fused or None)
        total = torch.zeros(())
        for _ in range(args.steps):
            x, y = data.draw()
            optimizer.zero_grad()
            loss = torch.nn.functional.mse_loss(network(x), y)
            loss.backward()
            optimizer.step()
            total += loss.detach()
        losses.append(total.item() / args.steps)
    return statistics.median(losses)


def fresh(args: argparse.Namespace, members: int) -> dict[str, torch.Tensor]:
    """Return stacked weights of the same shapes and bounds as the modules'."""
    hidden, horizon = args.hidden, args.horizon
    shapes = {"w": (args.window, horizon), "b": (horizon,)}
    bound = args.window**-0.5
    if args.kind == "lstm":
        width = 4 * hidden
        gates = {"w_u": (1, width), "w_h": (hidden, width), "b_u": (width,), "b_h": (width,)}
        shapes = {**gates, "w": (hidden, horizon), "b": (horizon,)}
        bound = hidden**-0.5
    draw = lambda shape: ((2 * torch.rand(members, *shape) - 1) * bound).requires_grad_()  # noqa: E731
    return {name: draw(shape) for name, shape in shapes.items()}


def loss_of(weights: dict[str, torch.Tensor], x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return the mean squared error of one member."""
    if "w_h" in weights:
        inputs = x[..., None] * weights["w_u"] + (weights["b_u"] + weights["b_h"])
        h = x.new_zeros(len(x), len(weights["w_h"]))
        c = h
        for step in range(x.shape[1]):
            i, f, g, o = (inputs[:, step] + h @ weights["w_h"]).chunk(4, -1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
        x = h
    return torch.nn.functional.mse_loss(x @ weights["w"] + weights["b"], y)


def all_at_once(data: Windows, args: argparse.Namespace, chunk: int, steps: int, members: int) -> float:
    """Train the members chunk by chunk; return the median of their mean losses."""
    losses = []
    together = vmap(grad_and_value(loss_of))
    for begin in range(0, members, chunk):
        count = min(chunk, members - begin)
        weights = fresh(args, count)
        optimizer = torch.optim.Adam(weights.values(), lr=args.rate, fused=True)
        total = torch.zeros(count)
        for _ in range(steps):
            gradient, loss = together({k: v.detach() for k, v in weights.items()}, *data.draw(count))
            for name, weight in weights.items():
                weight.grad = gradient[name]
            optimizer.step()
            total += loss
        losses += (total / steps).tolist()
    return statistics.median(losses)


def quickest(data: Windows, args: argparse.Namespace) -> tuple[int, int]:
    """Return the members per chunk and the threads that take the least time in a short trial."""
    took = {}
    for threads in {1, torch.get_num_threads()}:
        torch.set_num_threads(threads)
        for chunk in (args.members, 200, 40):
            members = min(chunk, args.members)
            all_at_once(data, args, chunk, 2, members)
            start = time.perf_counter()
            all_at_once(data, args, chunk, 5, members)
            took[chunk, threads] = (time.perf_counter() - start) / members
    return min(took, key=took.__getitem__)


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--vmap", action="store_true", help="all members, or chunks of them, at once")
    parser.add_argument("--fused", action="store_true", help="one after the other with the fused Adam")
    args = parser.parse_args()
    data = Windows(args.data, args.window, args.horizon, args.batch)
    chunk, threads = quickest(data, args) if args.vmap else (1, 1)
    torch.set_num_threads(threads)
    if not args.vmap:
        one_after_the_other(data, argparse.Namespace(**{**vars(args), "members": 1, "steps": 20}))
    clock = Clock()
    if args.vmap:
        loss = all_at_once(data, args, chunk, args.steps, args.members)
    else:
        loss = one_after_the_other(data, args)
    found = {
        **clock.per_step(args),
        "loss": loss,
        "chunk": chunk,
        "threads": torch.get_num_threads(),
        "version": torch.__version__,
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
