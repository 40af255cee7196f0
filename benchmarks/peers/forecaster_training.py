"""What the loops of forecasters beside this file share: their arguments, and the figures of a step."""

import argparse
import time
from dataclasses import dataclass, field


def arguments(description: str | None) -> argparse.ArgumentParser:
    """Return a parser of what `benchmarks/forecasting.py` asks of each."""
    parser = argparse.ArgumentParser(description=(description or "").splitlines()[0])
    parser.add_argument("--kind", choices=("linear", "lstm"), default="linear")
    parser.add_argument("--data", required=True, help=".npy file of series, (series, steps) float32")
    sizes = {"members": 20, "steps": 100, "window": 24, "horizon": 12, "batch": 32, "hidden": 16}
    for name, default in sizes.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--rate", type=float, default=1e-3)
    return parser


@dataclass
class Clock:
    """Seconds by the clock and of the processor since it was made."""

    start: float = field(default_factory=time.perf_counter)
    processor: float = field(default_factory=time.process_time)

    def per_step(self, args: argparse.Namespace) -> dict[str, float]:
        """Return what a step of a member took of both."""
        share = args.members * args.steps
        return {
            "seconds": (time.perf_counter() - self.start) / share,
            "processor": (time.process_time() - self.processor) / share,
        }
