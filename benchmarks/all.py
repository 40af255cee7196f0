"""Everything beside its peers by one command: makes their environments, runs all in turns, writes a page.

    POPULACE_DATA=DATA python benchmarks/all.py --peers FOLDER [--nanogpt CHECKOUT] [--quick]
        [--only NAME ...] [--page PAGE]

FOLDER gets an environment for each file `requirements-PEER.txt`, made once and used again. Every section is
a script beside this one, in which populace and its peers take turns round by round; the page holds its table
as the script prints it, with medians and ranges, under the machine and the versions. `--quick` has fewer
rounds and frames and leaves the long sections out: some ten minutes of two cores instead of ninety. A section
that fails, or takes longer than its limit, is named on the page, and the others run on.
"""

import argparse
import importlib.metadata
import os
import platform
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
PACKAGES = ("populace", "jax", "jaxlib", "optax", "equinox")
TORCH = "https://download.pytorch.org/whl/cpu"
"""The index of PyTorch's CPU build; where it cannot be reached, the usual one has to have it."""


@dataclass(frozen=True)
class Section:
    """A script, its options for the peers' interpreters, and its words in a whole and in a quick run.

    Attributes:
        script: file beside this one.
        peers: option to the environment whose interpreter it takes.
        whole: other words.
        quick: the same for a quick run; None leaves the section out of it.
        minutes: limit of a whole run; a quick one has a third of it.
        data: whether it reads `POPULACE_DATA`.
        nanogpt: whether it takes a checkout of nanoGPT, where there is one.

    """

    script: str
    peers: dict[str, str]
    whole: str
    quick: str | None
    minutes: float
    data: bool = False
    nanogpt: bool = False


AGENTS = {"sb3": "sb3", "rejax": "rejax"}
LAYERS = {"torch": "sb3"}
GRAPHS = {"pyg": "pyg"}
FORECASTERS = {"torch": "neuralforecast", "darts": "darts"}
SECTIONS = {
    "dqn": Section("cartpole.py", AGENTS, "--repeats 5 --frames 12000", "--repeats 1 --frames 6000", 20),
    "ppo": Section("ppo.py", AGENTS, "--repeats 5", "--repeats 1 --frames 20480", 20),
    "cnn": Section("mnist_cnn.py", LAYERS, "--repeats 5", "--repeats 2", 8),
    "lstm": Section("lstm.py", LAYERS, "--repeats 5", "--repeats 2", 6),
    "conv": Section("conv.py", LAYERS, "--repeats 5", None, 12),
    "attention": Section("attention.py", LAYERS, "--repeats 3", None, 8),
    "graph-sum": Section("graphs.py", GRAPHS, "sum --repeats 5", "sum --repeats 2", 5),
    "gat": Section("graphs.py", GRAPHS, "gat --repeats 2", None, 12, data=True),
    "mutag": Section("graphs.py", GRAPHS, "mutag --repeats 2", None, 12, data=True),
    "images": Section("images.py", {"peers": "images"}, "--repeats 3", None, 20),
    "tabular": Section("tabular.py", {}, "--repeats 5", "--repeats 1", 6),
    "forecasting": Section(
        "forecasting.py", FORECASTERS, "--repeats 3", "--repeats 1 --only linear", 60, data=True
    ),
    "text": Section("text.py", {"torch": "text"}, "--repeats 3", None, 40, data=True, nanogpt=True),
    "many-agents": Section("multi_agent.py", {}, "--repeats 3", None, 8),
}


def interpreter(folder: Path, peer: str) -> str:
    """Return the interpreter of a peer's environment, which is made where it is not there whole."""
    home, done = folder / peer, folder / peer / "whole"
    python = home / "bin" / "python"
    if not done.exists():
        print(f"making an environment for {peer} in {home}", file=sys.stderr, flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", home], check=True)
        wanted = HERE / f"requirements-{peer}.txt"
        words = [python, "-m", "pip", "install", "--quiet", "-r", wanted]
        more = ["--extra-index-url", TORCH] if reached(TORCH) else []
        subprocess.run([*words, *more], check=True)
        done.touch()
    return str(python)


def reached(address: str) -> bool:
    """Return whether a page answers."""
    try:
        urllib.request.urlopen(address, timeout=5).close()
    except OSError:
        return False
    return True


def processor() -> str:
    """Return the name of the processor, as Linux says it, and what its vectors are."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    facts = {k.strip(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
    vectors = [name for name in ("avx2", "avx512f") if name in facts.get("flags", "").split()]
    return f"{facts.get('model name', platform.machine())} ({', '.join(vectors) or 'no AVX2'})"


def heading() -> str:
    """Return where the figures come from: machine, kernels, versions."""
    kernels = subprocess.run(
        [sys.executable, "-c", "from populace.core import native; print(native.kind() or 'none')"],
        capture_output=True, text=True, check=False,
    ).stdout.strip()  # fmt: skip
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES)
    return (
        f"# Benchmarks of {time.strftime('%Y-%m-%d')}\n\nProcessor: {processor()}, {os.cpu_count()} cores; "
        f"kernels: {kernels}; Python {platform.python_version()}; {versions}.\n"
    )


def ran(
    name: str, section: Section, folder: Path, *, quick: bool, nanogpt: Path | None = None
) -> tuple[str, bool]:
    """Run a section; return what the page says of it, and whether it ended well."""
    words = [
        sys.executable,
        str(HERE / section.script),
        *((section.quick if quick else section.whole) or "").split(),
    ]
    words += ["--nanogpt", str(nanogpt.resolve())] if section.nanogpt and nanogpt else []
    seconds = section.minutes * (20 if quick else 60)
    began = time.monotonic()
    try:
        for option, peer in section.peers.items():
            words += [f"--{option}", interpreter(folder, peer)]
        began = time.monotonic()
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=seconds)
        text, well = done.stdout.strip(), done.returncode == 0
        if not well:
            text += f"\nfailed: {(done.stderr.strip().splitlines() or ['no message'])[-1]}"
    except subprocess.TimeoutExpired:
        text, well = f"stopped after {seconds:,.0f} s, its limit", False
    except subprocess.CalledProcessError as error:
        text, well = f"a peer's environment could not be made: {error}", False
    took = time.monotonic() - began
    command = " ".join(["python", f"benchmarks/{section.script}", *words[2:]])
    return f"\n## {name}, {took:,.0f} s\n\n    {command}\n\n{text}\n", well


def main() -> None:
    """Run the sections that are asked for and write the page after each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--peers", type=Path, required=True, help="folder of the peers' environments")
    parser.add_argument("--nanogpt", type=Path, help="checkout of github.com/karpathy/nanoGPT")
    parser.add_argument("--quick", action="store_true", help="some ten minutes instead of ninety")
    parser.add_argument("--only", nargs="+", metavar="NAME", help=", ".join(SECTIONS))
    parser.add_argument("--page", type=Path, default=Path("benchmarks.md"), help="page to write")
    args = parser.parse_args()
    if unknown := [name for name in args.only or () if name not in SECTIONS]:
        parser.error(f"no section {unknown[0]}; there are {', '.join(SECTIONS)}")
    names = args.only or [n for n, s in SECTIONS.items() if not args.quick or s.quick is not None]
    page, failed = heading(), []
    for name in names:
        section = SECTIONS[name]
        if section.data and not os.environ.get("POPULACE_DATA"):
            page += f"\n## {name}\n\nleft out: POPULACE_DATA names no folder of data\n"
        else:
            text, well = ran(name, section, args.peers.resolve(), quick=args.quick, nanogpt=args.nanogpt)
            page += text
            failed += [] if well else [name]
        args.page.write_text(page)
        print(f"{name}: {'failed' if name in failed else 'done'}", file=sys.stderr, flush=True)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}; see {args.page}")


if __name__ == "__main__":
    main()
