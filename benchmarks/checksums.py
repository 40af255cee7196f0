"""What checksums cost a small run: the same run with and without them, in turns in one process.

    python benchmarks/checksums.py [--pairs 20]

Prints the median ratio of the two with its interquartile range, and the share of a run spent in hashing.
"""

import argparse
import hashlib
import json
import tempfile
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np

import populace
from populace.rl import DQN
from populace.runs import checkpoints
from populace.runs.integrity import checkpoint_files, manifest, sealed
from populace.runs.training import session

STEPS = 4_000
CHECKPOINT_EVERY = 0.5  # seconds, sixty times as often as by default


class Hashing:
    """The functions that hash, by where they are called; they can be timed, or left out."""

    PLACES = (
        (checkpoints, "_checksum"),
        (checkpoint_files, "sha256"),
        (manifest, "sha256"),
        (sealed, "_add"),
    )

    def __init__(self) -> None:
        self.real = [(room, name, getattr(room, name)) for room, name in self.PLACES]
        self.seconds = 0.0

    def switch(self, on: bool) -> None:
        """Let the functions hash and count their time, or return at once."""
        for room, name, real in self.real:
            setattr(room, name, self._timed(real) if on else lambda *_: "0" * 64)

    def _timed(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*given: Any) -> Any:
            begun = time.perf_counter()
            found = real(*given)
            self.seconds += time.perf_counter() - begun
            return found

        return timed


def main() -> None:
    """Measure, print, and end with one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=20)
    pairs = parser.parse_args().pairs
    populace.setup()
    cast(Any, session)._SPARING = 0  # a checkpoint whenever one is due, whatever the one before cost
    population = populace.sweep(DQN(env="CartPole-v1"), {"learning_rate": [1e-3, 3e-4]}, seeds=4)
    hashing, place = Hashing(), Path(tempfile.mkdtemp(prefix="populace-checksums-"))

    def run(name: str) -> float:
        begun = time.perf_counter()
        populace.train(
            population, STEPS, out=place / name, strategy="vmap", checkpoint_every=CHECKPOINT_EVERY,
            overwrite=True, final_evaluation_size=10,
        )  # fmt: skip
        return time.perf_counter() - begun

    run("warm")
    ratios, shares = [], []
    for pair in range(pairs):
        times = {}
        for on in (True, False) if pair % 2 else (False, True):
            hashing.switch(on)
            before = hashing.seconds
            times[on] = run("run")
            if on:
                shares.append((hashing.seconds - before) / times[on])
        ratios.append(times[True] / times[False])
    low, median, high = np.percentile(ratios, [25, 50, 75])
    size = sum(p.stat().st_size for p in place.rglob("*") if p.is_file())
    block = np.random.default_rng(0).bytes(1 << 26)
    speeds = {name: _speed(act, block) for name, act in (("SHA-256", hashlib.sha256), ("CRC-32", zlib.crc32))}
    print(f"with checksums: {median:.4f} times the time without ({low:.4f} to {high:.4f}, {pairs} pairs)")
    print(f"spent in hashing: {100 * np.median(shares):.3f} % of a run (at most {100 * max(shares):.3f} %)")
    print(", ".join(f"{name} {speed:.2f} GB/s" for name, speed in speeds.items()))
    print(json.dumps({"ratio": median, "share": float(np.median(shares)), "bytes": size, "GB/s": speeds}))


def _speed(act: Callable[[bytes], Any], block: bytes) -> float:
    begun = time.perf_counter()
    act(block)
    return len(block) / (time.perf_counter() - begun) / 1e9


if __name__ == "__main__":
    main()
