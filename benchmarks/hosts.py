"""Training by two processes against one process with two devices, in pairs.

    python benchmarks/hosts.py cartpole mnist [--rounds 5]

Both train the same members by `populace run`, two processes as Slurm would start them, each on a core of its
own. The figure is the speed of training in `results.json` (units a second, what processes wait for one
another included), and its ratio: two processes to one.
"""

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

SIZES = {
    "cartpole": ["--seeds", "2", "--steps", "4000", "--set", "run.confirm=0"],
    "mnist": ["--seeds", "4", "--steps", "200", "--set", "run.evaluate_every=100"],
}
"""What is run of each recipe: members enough for both, minutes in all."""


def speed(recipe: str, words: list[str], processes: int) -> float:
    """Return the units that a second of training took in so many processes."""
    cores = sorted(os.sched_getaffinity(0))[:2]
    with socket.socket() as free, tempfile.TemporaryDirectory() as folder:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
        free.close()
        out = str(Path(folder, "run"))
        command = [sys.executable, "-m", "populace", "run", recipe, *words, "--strategy", "map"]
        command += ["--set", "run.final_evaluation_size=1", "--no-report", "-q", "--out", out]
        started = []
        for index in range(processes):
            several = {
                "SLURM_JOB_ID": "7", "SLURM_STEP_NODELIST": "localhost", "SLURM_NTASKS": str(processes),
                "SLURM_PROCID": str(index), "SLURM_LOCALID": str(index), "JAX_COORDINATOR_PORT": str(port),
            }  # fmt: skip
            own = cores if processes == 1 else cores[index : index + 1]
            pinned = ["taskset", "-c", ",".join(map(str, own)), *command]
            started.append(subprocess.Popen(pinned, env=os.environ | (several if processes > 1 else {})))
        codes = [process.wait() for process in started]
        if any(codes):
            raise SystemExit(f"{recipe} with {processes} processes failed")
        return float(json.loads(Path(out, "results.json").read_text())["timing"]["units_per_s"])


def main() -> None:
    """Print a line for each pair, and medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("recipes", nargs="*", default=[*SIZES])
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    for recipe in asked.recipes:
        words = SIZES.get(recipe, [])
        for processes in (1, 2):
            speed(recipe, words, processes)  # fills the cache of compiled programs
        ratios = []
        for number in range(asked.rounds):
            pair = {n: speed(recipe, words, n) for n in ((1, 2) if number % 2 else (2, 1))}
            ratios.append(pair[2] / pair[1])
            print(f"{recipe}: one {pair[1]:,.0f}, two {pair[2]:,.0f} a second: {ratios[-1]:.3f}", flush=True)
        low, high = min(ratios), max(ratios)
        print(f"{recipe}: median {statistics.median(ratios):.3f} ({low:.3f} to {high:.3f})", flush=True)


if __name__ == "__main__":
    main()
