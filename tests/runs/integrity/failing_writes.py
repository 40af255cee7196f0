"""A process in which the n-th write of a run fails, for many n; prints what each left behind.

Run as a program, with `failing_writes.c` preloaded; `KINDS` says how the writes fail.
"""

import ctypes
import errno
import json
import os
import sys
from pathlib import Path
from typing import Any

KINDS = {"full": (errno.ENOSPC, False), "broken": (errno.EIO, True), "memory": (0, True)}
"""Number of the error, and whether one write alone fails; `memory` raises a `MemoryError` in Python."""


class Memory:
    """Raises a `MemoryError` where Python is about to write the n-th time below a folder."""

    def __init__(self) -> None:
        self.folder, self.count, self.at = "", 0, 0
        sys.addaudithook(self.hook)

    def hook(self, event: str, args: tuple[Any, ...]) -> None:
        if not self.folder or event not in ("open", "os.rename", "os.mkdir"):
            return
        if event == "open" and not (args[2] & (os.O_WRONLY | os.O_RDWR)):
            return
        if str(args[0]).startswith(self.folder):
            self.count += 1
            if self.count == self.at:
                raise MemoryError

    def arm(self, folder: str, at: int) -> None:
        self.folder, self.count, self.at = folder, 0, at


def main(place: Path, wanted: list[str]) -> None:
    """Train once to count the writes, then once for every n-th of them; resume what each left.

    Args:
        place: folder for the runs.
        wanted: what to do, as `kind:first:every`.

    """
    from populace import setup

    setup(2)
    from populace.core.errors import RunError
    from populace.core.files import origin
    from populace.core.population import sweep
    from populace.runs.integrity import checkpoint_files, verify
    from populace.runs.run import Run
    from populace.runs.training import session
    from populace.runs.training.launch import train
    from tests.learners import Quadratic

    session._SPARING = 0
    library, memory = ctypes.CDLL(None), Memory()
    population = sweep(Quadratic(), seeds=2)
    options: Any = {"strategy": "vmap", "final_evaluation_size": 1, "log_every": 4, "evaluate_every": 4}
    options |= {"steps": 8, "checkpoint_every": 1e-9, "checkpoints_kept": 1}

    def arm(folder: Path, kind: str, n: int) -> None:
        memory.arm(f"{folder}/", n if kind == "memory" else 0)
        number, once = KINDS[kind]
        library.fail_at(str(folder).encode(), ctypes.c_long(0 if kind == "memory" else n), number, once)

    def end(folder: Path) -> list[Any]:
        run = Run.load(folder)
        weights = [x.tobytes() for m in (0, 1) for x in run.member(m).weights().values()]
        return [*weights, run.metrics("train").to_pydict(), run.metrics("evaluation").to_pydict()]

    whole, nothing = place / "whole", place / "nothing"
    train(population, out=place / "warm", **options)
    arm(whole, "full", 0)
    train(population, out=whole, **options)
    counts = {kind: memory.count if kind == "memory" else library.writes() for kind in KINDS}
    arm(nothing, "full", 0)
    expected = end(whole)
    for kind, first, every in (words.split(":") for words in wanted):
        assert counts[kind] > 20
        for n in range(int(first), counts[kind] + 1, int(every)):
            folder = place / f"{kind}-{n}"
            found: dict[str, Any] = {"kind": kind, "n": n, "error": "", "told": False}
            arm(folder, kind, n)
            try:
                train(population, out=folder, **options)
            except Exception as error:
                found |= {"error": str(error), "told": isinstance(error, RunError)}
            found |= {"reached": (memory.count if kind == "memory" else library.writes()) >= n}
            found |= {"late": n > counts[kind] - 15}
            arm(nothing, "full", 0)
            found["left"] = [str(p) for p in folder.rglob(".*") if origin(p) != p.name]
            found["steps"] = checkpoint_files.steps(folder / "checkpoints")
            for step in found["steps"]:
                checkpoint_files.check(folder / "checkpoints" / str(step))
            found["begun"], found["there"] = (folder / "recipe.toml").exists(), folder.exists()
            if found["begun"]:
                Run.load(folder).resume()
                found |= {"same": end(folder) == expected, "damages": verify.damages(folder)}
            print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
