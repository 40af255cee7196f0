"""`python -m tests.fuzz --files 10000 --recipes 2000 --seed 0`: mutated files and recipes, each in its turn.

A fault is whatever is neither a success nor one clear line: a generic error, a traceback, a crash, a hang.
Cases run in a process of their own, which is replaced when it dies, hangs, or takes too much memory. Case n
of a seed is the same every time: `--only n` repeats it and shows what was said.
"""

import argparse
import multiprocessing
import shutil
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tests.fuzz import serving

SECONDS = 120.0


class Worker:
    """The process that runs cases."""

    def __init__(self, *given: Any) -> None:
        self._given, self._process = given, None

    def outcome(self, kind: str, number: int) -> tuple[str, str, str, bool]:
        """Run a case; a process that dies or hangs is a fault, and is replaced."""
        if self._process is None:
            context = multiprocessing.get_context("spawn")
            self._channel, other = context.Pipe()
            self._process = context.Process(target=serving.serve, args=(other, *self._given), daemon=True)
            self._process.start()
            other.close()
        self._channel.send((kind, number))
        try:
            if self._channel.poll(SECONDS):
                return self._channel.recv()
            why = f"no end within {SECONDS:.0f} s"
        except (EOFError, ConnectionError):
            self._process.join(5)
            why = f"the process ended with exit code {self._process.exitcode}"
        self.close()
        return kind, why, "", True

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process = None


def main() -> None:
    """Run the cases that are asked for, and say what came of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--recipes", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--begin", type=int, default=0, help="number of the first case")
    parser.add_argument("--only", type=int, help="run this case of each kind alone")
    given = parser.parse_args()
    base = Path(tempfile.mkdtemp(prefix="populace-fuzz-"))
    (base / "cases" / "work").mkdir(parents=True)
    run, member = _sound(base)
    worker = Worker(given.seed, run, member, base / "cases" / "work")
    for kind, count in (("file", given.files), ("recipe", given.recipes)):
        if not count:
            continue
        numbers = [given.only] if given.only is not None else range(given.begin, given.begin + count)
        seen, faults, began = Counter(), Counter(), time.monotonic()
        for done, number in enumerate(numbers, 1):
            name, what, said, is_fault = worker.outcome(kind, number)
            seen["fault" if is_fault else what] += 1
            if is_fault:
                faults[f"{name}: {what}"] += 1
            if is_fault or given.only is not None:
                print(f"{kind} {number}: {name}: {what}: {said}", flush=True)
            if done % 500 == 0:
                print(f"{done} of {count}: {dict(seen)}", flush=True)
        seconds = time.monotonic() - began
        print(f"{kind}s: {len(numbers)} in {seconds:.0f} s: {dict(seen)}; faults: {dict(faults)}", flush=True)
    worker.close()
    shutil.rmtree(base)


def _sound(base: Path) -> tuple[Path, Path]:
    """Return a run folder and a saved member to mutate, made in a process of their own."""
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=serving.make_sound, args=(base,))
    process.start()
    process.join()
    return base / "run", base / "member"


if __name__ == "__main__":
    main()
