"""The process that runs cases: a module of its own, for a new process imports what it runs."""

import os
import random
import resource
import shutil
from pathlib import Path
from typing import Any

from populace.runs.run import Run
from tests.conftest import call
from tests.fuzz import cases, samples

MEMORY = 12 * 2**30
SHARE_OF_FOLDERS = 0.15  # of the files: those of a run folder, which take longest


def serve(channel: Any, seed: int, run: Path, member: Path, work: Path) -> None:
    """Run the cases that are sent, in a process of its own."""
    shutil.rmtree(work)  # what the process before left, if it died
    work.mkdir()
    os.chdir(work)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    loaders = samples.loaders(work / "loaders") | samples.members(work, member)
    sound = {name: path.read_bytes() for name, (path, _) in loaders.items()}
    before = {p.name for p in work.parent.iterdir()}
    while True:
        kind, number = channel.recv()
        rng, name = random.Random(f"{seed} {kind} {number}"), kind
        if kind == "file" and rng.random() < SHARE_OF_FOLDERS:
            name, found = "run folder", cases.of_a_folder(rng, run, work / "folder")
        elif kind == "file":
            name = rng.choice(list(loaders))
            path, reader = loaders[name]
            found = cases.read(rng, path, sound[name], reader)
        else:
            shutil.rmtree(work / "out", ignore_errors=True)
            found = cases.of_a_recipe(rng, work)
        if stray := cases.strays(before, work):
            found = cases.Outcome("made something outside", str(stray))
        channel.send((name, found.what, found.said, found.is_fault))


def make_sound(base: Path) -> None:
    """Train a small run with a report, and save its best member."""
    (base / "dqn.toml").write_text(cases.RECIPES["dqn"])
    assert call("run", base / "dqn.toml", "--out", base / "run", "-q") == 0
    Run.load(base / "run").best().save(base / "member")
