"""Plant the faults of `faults.toml` one at a time, and see that the tests notice each.

    python tests/faults/plant.py [--list | --check] [--only NAME ...] [--room PREFIX]
                                 [--record FILE] [--run LABEL]

Everything happens in a copy of the tree in a temporary folder, so that no file of the tree itself is touched.
A fault is seen if pytest runs its tests and one of them fails; where pytest cannot even collect them, the
fault is broken and says nothing about the tests. Where the text that a fault replaces is not in its file
exactly once, the fault is stale. The exit code is 1 unless every fault that could be planted was seen.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve()
ROOT = HERE.parents[2]
TEST_SECONDS, FAULT_SECONDS = 300, 900
COLUMNS = ("run", "name", "seen", "caught by", "seconds")
SOUND = ("seen", "skipped")
PYTEST = ("-m", "pytest", "-n", "0", "-x", "-q", "-rfE", "--tb=no", "-p", "no:cacheprovider")


@dataclass(frozen=True)
class Fault:
    """A mistake: in `file` the text `old` becomes `new`, and `tests` should notice."""

    name: str
    file: str
    old: str
    new: str
    kind: str
    tests: list[str]


@dataclass(frozen=True)
class Verdict:
    """What came of planting a fault: whether it was seen, by which test, and how long that took."""

    seen: str
    by: str
    seconds: float


def faults(only: list[str]) -> list[Fault]:
    """Return the faults of the list, or those that are named."""
    found = [Fault(**f) for f in tomllib.loads(HERE.with_name("faults.toml").read_text())["fault"]]
    names = [f.name for f in found]
    if wrong := [n for n in names if names.count(n) > 1] + [n for n in only if n not in names]:
        sys.exit(f"no such fault, or two of that name: {wrong[0]}")
    return [f for f in found if not only or f.name in only]


def stale(fault: Fault, tree: Path) -> str:
    """Return why a fault cannot be planted in a tree, or why nobody would look for it; "" if all is well."""
    path = tree / fault.file
    count = path.read_text().count(fault.old) if path.is_file() else 0
    if count != 1:
        return f"'{fault.file}' holds the text {count} times"
    if fault.new == fault.old:
        return "it changes nothing"
    for test in fault.tests:
        name, *parts = test.split("::")
        file = tree / name
        if not file.exists():
            return f"there is no '{name}'"
        if parts and f"def {parts[-1].split('[')[0]}(" not in file.read_text():
            return f"'{name}' has no test '{parts[-1]}'"
    return "" if fault.tests else "it names no tests"


def copied(room: Path) -> Path:
    """Copy the tree into a room, with its native library, and the shared data beside it."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    built = [str(p.relative_to(ROOT)) for p in (ROOT / "src").rglob("_native.so")]
    for name in {*listed, *built}:
        if (ROOT / name).is_file():
            (room / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, room / "tree" / name)
    # Tests look for the real data sets in ../shared/data.
    if shared := next((p / "shared" for p in ROOT.parents if (p / "shared" / "data").is_dir()), None):
        (room / "shared").symlink_to(shared)
    # What is not patched is compiled once; a patched file is newer than that, and is compiled in every run.
    subprocess.run([sys.executable, "-m", "compileall", "-q", "src"], cwd=room / "tree", check=True)
    return room / "tree"


def plant(fault: Fault, tree: Path) -> Verdict:
    """Put one fault into the copy, run its tests, and take it out again."""
    start, path = time.perf_counter(), tree / fault.file
    sound = path.read_text() if path.is_file() else ""
    if why := stale(fault, tree):
        return Verdict("stale", why, 0.0)
    native = path.suffix in (".h", ".cc")
    if native and (lacking := [tool for tool in ("c++", "cmake") if not shutil.which(tool)]):
        return Verdict("skipped", f"no {lacking[0]}", 0.0)
    when, library = path.stat(), next((tree / "src").rglob("_native.so"), None)
    if native and library is None:
        return Verdict("skipped", "no native library in the tree", 0.0)
    kept = library.read_bytes() if library and native else b""
    path.write_text(sound.replace(fault.old, fault.new))
    try:
        if native and library and (error := built(tree, library)):
            return Verdict("broken fault", error, time.perf_counter() - start)
        seen, by = tested(fault.tests, tree)
    finally:
        path.write_text(sound)
        os.utime(path, ns=(when.st_atime_ns, when.st_mtime_ns))
        if kept:
            replaced(library, kept)
    return Verdict(seen, by, time.perf_counter() - start)


def built(tree: Path, library: Path) -> str:
    """Build the native library as a user's installation does; return what was said if that failed."""
    code = (tree / "src/populace/core/native.py").read_text()
    sources = code.partition('SOURCES = "')[2][:16]  # as if it were sound, or the kernels would not be used
    with tempfile.TemporaryDirectory() as folder:
        for command in (
            [
                "cmake",
                "-S",
                tree,
                "-B",
                folder,
                f"-DPython_EXECUTABLE={sys.executable}",
                f"-DPOPULACE_SOURCES={sources}",
            ],
            ["cmake", "--build", folder, "--parallel", str(os.cpu_count() or 1)],
        ):
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                said = (done.stdout + done.stderr).splitlines()
                return next((line for line in said if "error" in line.lower()), "cannot be built")
        made = Path(folder, "_native.so")
        if not made.is_file():
            return "CMake left the kernels out"
        replaced(library, made.read_bytes())
    return ""


def replaced(library: Path | None, content: bytes) -> None:
    """Put another library in place of one, as a new file: somebody may still run the old one."""
    assert library is not None
    library.unlink()
    library.write_bytes(content)


def tested(tests: list[str], tree: Path) -> tuple[str, str]:
    """Run tests on the copy; return whether one failed, and which, or why that cannot be told."""
    with tempfile.TemporaryDirectory(dir=tree.parent) as cache:
        # Compiled programs are known by what they compute, so they may be shared; nothing else may.
        (tree.parent / "programs").mkdir(exist_ok=True)
        Path(cache, "programs").symlink_to(tree.parent / "programs")
        own = {"PYTHONPATH": str(tree / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
        own |= {"POPULACE_CACHE": cache, "TMPDIR": cache, "COLUMNS": "200"}
        limit = f"--timeout={TEST_SECONDS}"
        try:
            done = subprocess.run(
                [sys.executable, *PYTEST, limit, *tests], cwd=tree, env=os.environ | own,
                capture_output=True, text=True, timeout=FAULT_SECONDS,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return "too slow", f"no end after {FAULT_SECONDS} s"
    failed = re.search(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", done.stdout, re.MULTILINE)
    if done.returncode == 1 and failed:
        return "seen", failed[1]
    if done.returncode == 0:
        return "NOT SEEN", ""
    if done.returncode < 0:
        return "broken fault", f"pytest was ended by signal {-done.returncode}"
    said = (done.stdout + done.stderr).strip().splitlines() or ["nothing was said"]
    return "broken fault", f"pytest left with {done.returncode}: {said[-1][:160]}"


def record(file: Path, run: str, found: dict[str, Verdict]) -> None:
    """Write verdicts into a table, in place of those of the same run and faults."""
    rows = {}
    for line in file.read_text().splitlines()[1:] if file.is_file() else []:
        label, name, *_ = line.split("\t")
        rows[label, name] = line
    for name, v in found.items():
        rows[run, name] = "\t".join((run, name, v.seen, v.by, f"{v.seconds:.0f}"))
    file.write_text("\n".join(["\t".join(COLUMNS), *rows.values()]) + "\n")


def main() -> None:
    """Plant what is asked for, say what came of it, and leave with 1 if a fault was not seen."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="plant these faults")
    parser.add_argument("--room", default="", metavar="PREFIX", help="plant faults in files that begin so")
    parser.add_argument("--record", type=Path, metavar="FILE", help="keep the verdicts in this table")
    parser.add_argument("--run", default="before", metavar="LABEL", help="what the table calls this run")
    parser.add_argument("--list", action="store_true", help="list the faults and plant none")
    parser.add_argument("--check", action="store_true", help="only look whether they could be planted")
    asked = parser.parse_args()
    chosen = [f for f in faults(asked.only) if f.file.startswith(asked.room)]
    if asked.list:
        for f in chosen:
            print(f"{f.name:40} {f.kind:20} {f.file}")
        return
    if asked.check:
        wrong = [f"{f.name}: {why}" for f in chosen if (why := stale(f, ROOT))]
        print("\n".join([*wrong, f"{len(chosen) - len(wrong)} of {len(chosen)} could be planted"]))
        sys.exit(1 if wrong else 0)
    found: dict[str, Verdict] = {}
    with tempfile.TemporaryDirectory(prefix="populace-faults-") as room:
        tree = copied(Path(room))
        for f in chosen:
            found[f.name] = v = plant(f, tree)
            print(f"{v.seen:12} {v.seconds:5.0f} s  {f.name:40} {v.by}", flush=True)
            if asked.record:
                record(asked.record, asked.run, {f.name: v})
    missed = [name for name, v in found.items() if v.seen not in SOUND]
    print(f"{len(found) - len(missed)} of {len(found)} seen or skipped" + "".join(f"\n  {n}" for n in missed))
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
