"""Times convolutions in PyTorch, alone or in the training step of a small CNN; prints one JSON line.

    python torch_conv.py conv SPEC [SPEC ...]       forward and gradients by input and weight
    python torch_conv.py mnist-cnn [--kernel 5]     forward, gradient and Adam, batches of 128

A SPEC is `batch,sizes,kernel,stride,in,out` with sizes such as `28x28`; padding is half the kernel.
"""

import argparse
import json
import time

import torch
from torch import nn
from torch.nn import functional


def convolution(spec: str, channels_last: bool, seconds: float) -> float:
    """Return the mean time of one forward and backward pass."""
    batch, sizes, kernel, stride, ins, outs = spec.split(",")
    sizes = [int(n) for n in sizes.split("x")]
    layer = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[len(sizes) - 1](
        int(ins), int(outs), int(kernel), int(stride), padding=int(kernel) // 2
    )
    x = torch.randn(int(batch), int(ins), *sizes)
    if channels_last and len(sizes) > 1:
        form = torch.channels_last if len(sizes) == 2 else torch.channels_last_3d
        layer, x = layer.to(memory_format=form), x.to(memory_format=form)
    x.requires_grad_()
    cotangent = torch.randn_like(layer(x))

    def once() -> None:
        layer.zero_grad(set_to_none=True)
        x.grad = None
        layer(x).backward(cotangent)

    return timed(once, seconds)


class CNN(nn.Module):
    """The network of populace's `mnist` recipe."""

    def __init__(self, kernel: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 16, kernel, padding=kernel // 2)
        self.second = nn.Conv2d(16, 32, kernel, padding=kernel // 2)
        self.hidden, self.last = nn.Linear(32 * 7 * 7, 128), nn.Linear(128, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits of a batch."""
        x = functional.max_pool2d(functional.relu(self.first(x)), 2)
        x = functional.max_pool2d(functional.relu(self.second(x)), 2)
        return self.last(functional.relu(self.hidden(x.flatten(1))))


def training_step(kernel: int, channels_last: bool, steps: int) -> float:
    """Return the mean time of a step."""
    x, y = torch.randn(2048, 1, 28, 28), torch.randint(0, 10, (2048,))
    network = CNN(kernel)
    if channels_last:
        network, x = network.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(network.parameters(), 1e-3)

    def step() -> None:
        start = int(torch.randint(0, 2048 - 128, ()))
        optimizer.zero_grad()
        functional.cross_entropy(network(x[start : start + 128]), y[start : start + 128]).backward()
        optimizer.step()

    for _ in range(3):
        step()
    begun = time.perf_counter()
    for _ in range(steps):
        step()
    return (time.perf_counter() - begun) / steps


def timed(once, seconds: float) -> float:
    """Return the mean time of a call, over as many as fill so many seconds."""
    once()
    calls, begun = 0, time.perf_counter()
    while calls < 2 or time.perf_counter() - begun < seconds:
        once()
        calls += 1
    return (time.perf_counter() - begun) / calls


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=("conv", "mnist-cnn"))
    parser.add_argument("specs", nargs="*")
    parser.add_argument("--kernel", type=int, default=5)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--seconds", type=float, default=0.3, help="of every case")
    parser.add_argument("--threads", type=int, default=0, help="torch.set_num_threads; 0 leaves the default")
    parser.add_argument("--channels-last", action="store_true")
    args = parser.parse_args()
    torch.manual_seed(0)
    if args.threads:
        torch.set_num_threads(args.threads)
    found: dict = {"version": torch.__version__, "threads": torch.get_num_threads()}
    if args.what == "conv":
        found["seconds"] = [convolution(spec, args.channels_last, args.seconds) for spec in args.specs]
    else:
        found["seconds"] = training_step(args.kernel, args.channels_last, args.steps)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
