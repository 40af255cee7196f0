"""Resume is exact: a run that is killed again and again ends in the bit-identical state."""

import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from populace.runs.run import Run
from tests import harness
from tests.places import ROOT

KILLS = 20
STEPS = 1_200_000
RECIPE = """
name = "kill"

[run]
steps = 1_200_000
seeds = 2
strategy = "vmap"
devices = 2
log_every = 5_000
evaluate_every = 50_000
checkpoint_every = 0.05

[learner]
kind = "tests.learners:Quadratic"

[sweep]
learning_rate = [1e-2, 1e-3]
fuse = [1e9, 150_001]
"""


def command(*words: str | Path) -> subprocess.Popen:
    """Start the command line; its own process, so that a kill takes everything with it."""
    program = [sys.executable, "-m", "populace", *map(str, words)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen(program, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


@pytest.mark.timeout(1800)
def test_twenty_kills_change_nothing(tmp_path):
    recipe = tmp_path / "kill.toml"
    recipe.write_text(RECIPE)
    began = time.monotonic()
    whole = command("run", recipe, "--out", tmp_path / "whole", "--no-report", "-q")
    _, error = whole.communicate(timeout=300)
    assert whole.returncode == 0, error.decode()
    usual = time.monotonic() - began

    rng, killed, lives, reached = random.Random(7), 0, 0, set()
    folder = tmp_path / "killed-0"
    while killed < KILLS:
        started = (folder / "recipe.toml").is_file()
        if started and Run.load(folder).finished:
            assert_same_end(tmp_path / "whole", folder)
            lives += 1
            folder, started = tmp_path / f"killed-{lives}", False
        words = ["resume", folder] if started else ["run", recipe, "--out", folder]
        if not started and folder.exists():
            shutil.rmtree(folder)  # killed before there was anything to resume
        began = time.monotonic()
        process = command(*words, "--no-report", "-q")
        try:
            process.wait(timeout=rng.uniform(0.3, 0.75) * usual)
            if not started:  # the machine has become quicker: kill sooner
                usual = min(usual, time.monotonic() - began)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            killed += 1
            steps = [int(p.name) for p in (folder / "checkpoints").glob("*") if p.name.isdecimal()]
            reached.add(max(steps, default=0))
    # Some kills must have struck while it trained, or nothing was tested.
    assert reached - {0, STEPS}, reached
    if (folder / "recipe.toml").is_file():
        end = command("resume", folder, "--no-report", "-q")
        _, error = end.communicate(timeout=300)
        assert end.returncode == 0, error.decode()
        assert_same_end(tmp_path / "whole", folder)


def assert_same_end(whole: Path, killed: Path) -> None:
    """Assert that two runs ended alike: last states, best models, divergences and metric tables."""
    population = Run.load(killed).population
    one, other = (harness.restored(folder, population) for folder in (whole, killed))
    for member in one:
        harness.assert_identical(one[member], other[member])
    for kind in ("train", "evaluation"):
        assert Run.load(whole).metrics(kind).equals(Run.load(killed).metrics(kind))
