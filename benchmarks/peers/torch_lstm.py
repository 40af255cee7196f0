"""Times PyTorch's nn.LSTM, forward and gradient, and prints one JSON line.

What is timed: outputs of one batch, the mean of their squares, its gradient by all weights (not by the
input), and a plain step down it, in float32. `--calls` such passes are timed, after two that are not counted.

Run it with the interpreter of an environment holding PyTorch:

    python torch_lstm.py --batch 32 --steps 200 --inputs 100 --hidden 128
"""

import argparse
import json
import statistics
import time

import torch


def measure(batch: int, steps: int, inputs: int, hidden: int, calls: int, threads: int) -> dict:
    """Return the median time of one pass and what it was measured with."""
    if threads:
        torch.set_num_threads(threads)
    torch.manual_seed(0)
    network = torch.nn.LSTM(inputs, hidden, batch_first=True)
    x = torch.randn(batch, steps, inputs)

    def one() -> tuple[float, float]:
        start, processor = time.perf_counter(), time.process_time()
        network.zero_grad(set_to_none=True)
        outputs, _ = network(x)
        outputs.square().mean().backward()
        with torch.no_grad():
            for weight in network.parameters():
                weight -= 1e-3 * weight.grad
        return time.perf_counter() - start, time.process_time() - processor

    for _ in range(2):
        one()
    seconds, processor = zip(*(one() for _ in range(calls)))
    return {
        "seconds": statistics.median(seconds),
        "processor": statistics.median(processor),
        "threads": torch.get_num_threads(),
        "version": torch.__version__,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    for name, default in {"batch": 32, "steps": 200, "inputs": 100, "hidden": 128, "calls": 25}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--threads", type=int, default=0, help="torch.set_num_threads; 0 leaves the default")
    print(json.dumps(measure(**vars(parser.parse_args()))))


if __name__ == "__main__":
    main()
