"""A hundred thousand short series from a file to a written forecast, and how soon forecasting begins.

    python benchmarks/forecast_many.py [--series 100000] [--length 30] [--repeats 3]

The file is a Parquet of daily series with a weekly pattern and a level of their own. Each figure is of a
process of its own, medians of the rounds; the peak of memory is that of the whole process. The first output
is the first line that `populace forecast` prints about the data, in a process whose programs were compiled
before. Beside the clock stands the processor time, which other work on the machine disturbs less.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from children import child, machine

HERE = Path(__file__).resolve()
PARTS = ("read", "fit", "predict and write")


def make(path: Path, series: int, length: int) -> None:
    """Write the table `unique_id, ds, y`."""
    import numpy as np
    import pyarrow as pa
    from pyarrow import parquet

    rng = np.random.default_rng(0)
    days = np.arange("2024-01-01", length, dtype="datetime64[D]")
    week = np.sin(2 * np.pi * np.arange(length) / 7)
    y = rng.uniform(10, 1000, (series, 1)) * (1 + 0.3 * week + 0.1 * rng.normal(size=(series, length)))
    names = pa.array(np.repeat(np.arange(series), length)).cast(pa.string())
    table = {"unique_id": names, "ds": np.tile(days, series), "y": y.ravel()}
    parquet.write_table(pa.table(table), path)


def worker(path: Path, out: Path) -> dict[str, Any]:
    """Return the seconds of each part, and the peak of memory in MB."""
    from populace import forecasting

    marks = [(time.perf_counter(), time.process_time())]

    def mark() -> None:
        marks.append((time.perf_counter(), time.process_time()))

    panel = forecasting.read(path)
    mark()
    model = forecasting.Linear(window=14, horizon=7, scale="difference").fit(panel)
    mark()
    model.predict(7).write(out)
    mark()
    found: dict[str, Any] = {
        name: [b - a for a, b in zip(before, after)] for name, before, after in zip(PARTS, marks, marks[1:])
    }
    return found | {"peak MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000}


def importing() -> dict[str, list[float]]:
    """Return the seconds of `import populace.forecasting`."""
    start = time.perf_counter(), time.process_time()
    import populace.forecasting  # noqa: F401

    return {"import": [time.perf_counter() - start[0], time.process_time() - start[1]]}


def first_output(folder: Path) -> list[float]:
    """Return the seconds from the command to its first line about the data, and its processor time."""
    table = folder / "sales.csv"
    lines = [f"{2001 + i // 12}-{1 + i % 12:02}-01,{10 * (i % 12) + i}" for i in range(120)]
    table.write_text("\n".join(["ds,y", *lines]) + "\n")
    command = [sys.executable, "-u", "-m", "populace", "forecast", str(table), "--model", "naive"]
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    process = subprocess.Popen([*command, "--out", str(folder / str(start))], stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True)  # fmt: skip
    assert process.stdout is not None
    while "read " not in process.stdout.readline():
        pass
    seconds = time.perf_counter() - start
    process.terminate()
    process.wait()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return [seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--series", type=int, default=100_000)
    parser.add_argument("--length", type=int, default=30)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--worker", nargs="*", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker is not None:
        return print(json.dumps(worker(*map(Path, args.worker)) if args.worker else importing()))
    me, found = [sys.executable, str(HERE), "--worker"], {}
    with tempfile.TemporaryDirectory() as aside:
        folder = Path(aside)
        make(folder / "many.parquet", args.series, args.length)
        for _ in range(args.repeats):
            rows = child(*me, str(folder / "many.parquet"), str(folder / "forecast.parquet")) | child(*me)
            rows["first output"] = first_output(folder)
            for name, value in rows.items():
                found.setdefault(name, []).append(value)
    print(f"{machine()} {args.series:,} series of {args.length}.\n\n| | seconds | processor |\n|---|---|---|")
    for name, values in found.items():
        if name != "peak MB":
            wall, processor = (statistics.median(column) for column in zip(*values))
            print(f"| {name} | {wall:.2f} | {processor:.2f} |")
    print(f"\nPeak of memory: {max(found['peak MB']):,.0f} MB.")


if __name__ == "__main__":
    main()
