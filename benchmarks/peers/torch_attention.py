"""Times PyTorch's scaled_dot_product_attention over lengths and prints one JSON line.

The work: one head, one sequence, float32, on CPU with PyTorch's own choice of kernel and all the threads
it takes by itself; standard normal queries, keys and values. With `--gradient`, the sum of the output is
differentiated by all three. Inputs are made before the clock starts. A time is that of the first call if it
is long, else the median of five stretches of 30 ms after it.

    python torch_attention.py --lengths 256 512 --width 64 [--gradient]
"""

import argparse
import json
import time
from statistics import median

import torch
from torch.nn.functional import scaled_dot_product_attention


def once(x: list[torch.Tensor], causal: bool, gradient: bool) -> None:
    out = scaled_dot_product_attention(*x, is_causal=causal)
    if gradient:
        torch.autograd.grad(out.sum(), x)


def seconds(n: int, width: int, causal: bool, gradient: bool, clock: str) -> float:
    now = getattr(time, clock)
    x = [torch.randn(1, 1, n, width, requires_grad=gradient) for _ in range(3)]
    start = now()
    once(x, causal, gradient)
    first = now() - start
    if first > 0.5:  # what a first call costs beside its work is little then
        return first
    calls = max(1, int(0.03 / first))
    stretches = []
    for _ in range(5):
        start = now()
        for _ in range(calls):
            once(x, causal, gradient)
        stretches.append((now() - start) / calls)
    return median(stretches)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--lengths", type=int, nargs="+", required=True)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--gradient", action="store_true")
    parser.add_argument("--clock", default="perf_counter", choices=("perf_counter", "process_time"))
    args = parser.parse_args()
    torch.manual_seed(0)
    once([torch.randn(1, 1, 64, args.width, requires_grad=True) for _ in range(3)], True, True)
    found = {
        name: {n: seconds(n, args.width, causal, args.gradient, args.clock) for n in args.lengths}
        for name, causal in (("softmax", False), ("softmax, causal", True))
    }
    print(json.dumps({"torch": torch.__version__, "threads": torch.get_num_threads(), "seconds": found}))


if __name__ == "__main__":
    main()
