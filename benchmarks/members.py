"""Very many members of line world, and a sweep of 5,000 settings, from the start to the report.

    python benchmarks/members.py [--members 1000 10000 100000] [--settings 5000] [--seeds 4] [--steps 20]

Each row is a process of its own: the recipe `line-world` with fewer steps, trained, evaluated, written down,
and reported, as `populace run` does it. The peak of memory is that of the whole process. Where there is a
Chromium, the report is opened in it.
"""

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from children import child, machine

PARTS = ("start", "training", "evaluation and results", "report")


def worker(members: int, settings: int, steps: int, folder: Path) -> dict[str, Any]:
    """Return the seconds of each part of one run, its peak of memory, and the sizes of what it wrote."""
    began = time.perf_counter()
    import numpy as np

    import populace
    from populace import recipes
    from populace.cli import assignments
    from populace.engine.callbacks import Callback
    from populace.report import present
    from populace.runs.recipe.parsing import parse
    from populace.runs.training.launch import run_recipe

    marks = [began]

    class Marks(Callback):
        def on_start(self, population: Any, step: int) -> None:
            marks.append(time.perf_counter())

        def on_end(self, step: int) -> None:
            marks.append(time.perf_counter())

    recipe = parse(recipes.read("line-world"), "line-world")
    seeds = members // settings
    chosen = {"steps": steps, "seeds": seeds, "evaluate_every": max(1, steps // 4)}
    swept = []
    if settings > 1:  # a grid whose one side is ten
        rates = np.geomspace(0.01, 1.0, settings // 10).tolist()
        discounts = [tenths / 20 for tenths in range(10, 20)]
        swept = [f"learning_rate={rates}", f"discount={discounts}"]
    recipe = assignments.changed(recipe, [], swept, chosen)
    populace.setup()
    run = run_recipe(recipe, folder, callbacks=[Marks()])
    marks.append(time.perf_counter())
    present(run)
    marks.append(time.perf_counter())
    found = {part: after - before for part, before, after in zip(PARTS, marks, marks[1:])}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    sizes = {name: (folder / name).stat().st_size / 1e6 for name in ("results.json", "report.html")}
    return found | {"seconds": marks[-1] - began, "peak MiB": peak} | sizes


def seconds_to_open(page: Path) -> float | None:
    """Return the seconds in which a headless Chromium loads a page and draws all of its charts."""
    if not shutil.which("chromium"):
        return None
    began = time.perf_counter()
    command = ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=60000"]
    with tempfile.TemporaryDirectory() as profile:
        done = subprocess.run(
            [*command, f"--user-data-dir={profile}", "--dump-dom", page.absolute().as_uri()],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
    if 'data-ready="true"' not in done.stdout:
        raise SystemExit(f"{page} was not drawn")
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--members", type=int, nargs="*", default=[1_000, 10_000, 100_000])
    parser.add_argument(
        "--settings", type=int, nargs="*", default=[5_000], help="of sweeps, multiples of ten"
    )
    parser.add_argument("--seeds", type=int, default=4, help="of each setting of a sweep")
    parser.add_argument("--steps", type=int, default=20, help="of 100 frames each")
    parser.add_argument(
        "--worker", nargs=3, metavar=("MEMBERS", "SETTINGS", "FOLDER"), help=argparse.SUPPRESS
    )
    args = parser.parse_args()
    if args.worker:
        members, settings, folder = args.worker
        return print(json.dumps(worker(int(members), int(settings), args.steps, Path(folder))))

    print(f"{machine()}\n")
    names = [*PARTS, "seconds", "peak MiB", "results.json", "report.html", "open"]
    print(f"| members | settings | {' | '.join(names)} |")
    print("|---" * (len(names) + 2) + "|")
    me = [sys.executable, "-W", "ignore", str(Path(__file__).resolve()), "--steps", str(args.steps)]
    for members, settings in [(m, 1) for m in args.members] + [(s * args.seeds, s) for s in args.settings]:
        with tempfile.TemporaryDirectory() as aside:
            folder = Path(aside) / "run"
            found = child(*me, "--worker", str(members), str(settings), str(folder))
            found["open"] = seconds_to_open(folder / "report.html")
        row = " | ".join("–" if found[n] is None else f"{found[n]:,.1f}" for n in names)
        print(f"| {members:,} | {settings:,} | {row} |", flush=True)


if __name__ == "__main__":
    main()
