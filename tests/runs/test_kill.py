"""Resume is exact: a run that is killed again and again ends in the bit-identical state."""

import random
import shutil
import time
from pathlib import Path

import pytest

from populace.runs.run import Run
from tests import harness
from tests.runs.lives import command

KILLS = 20
STEPS = 200_000
RECIPE = f"""
name = "kill"

[run]
steps = {STEPS}
seeds = 2
strategy = "vmap"
devices = 2
log_every = 2_500
evaluate_every = 25_000
checkpoint_every = 0.02

[learner]
kind = "tests.learners:Quadratic"

[sweep]
learning_rate = [1e-2, 1e-3]
fuse = [1e9, 75_001]
"""


@pytest.mark.timeout(1200)
def test_twenty_kills_change_nothing(tmp_path):
    recipe = tmp_path / "kill.toml"
    recipe.write_text(RECIPE)
    first = command("run", recipe, "--trust", "--out", tmp_path / "first", "--no-report", "-q")
    first.join(300)  # fills the caches
    began = time.monotonic()
    whole = command("run", recipe, "--trust", "--out", tmp_path / "whole", "--no-report", "-q")
    whole.join(300)
    assert whole.exitcode == 0
    usual = time.monotonic() - began

    rng, killed, lives, reached = random.Random(7), 0, 0, set()
    folder = tmp_path / "killed-0"
    while killed < KILLS or len(reached - {0, STEPS}) < 3:
        assert killed < 4 * KILLS, f"no kill strikes while it trains: {reached}"
        started = (folder / "recipe.toml").is_file()
        if started and Run.load(folder).finished:
            assert_same_end(tmp_path / "whole", folder)
            lives += 1
            folder, started = tmp_path / f"killed-{lives}", False
        words = ["resume", folder] if started else ["run", recipe, "--trust", "--out", folder]
        if not started and folder.exists():
            shutil.rmtree(folder)  # killed before there was anything to resume
        before, began = newest(folder), time.monotonic()
        process = command(*words, "--no-report", "-q")
        process.join(rng.uniform(0.2, 0.9) * usual)
        if process.is_alive():
            process.kill()
            process.join()
            killed += 1
            reached.add(newest(folder))
            if newest(folder) == before:  # struck before it trained: the machine has become busier
                usual *= 1.05
        elif not started:  # the machine has become quicker: kill sooner
            usual = min(usual, time.monotonic() - began)
    if (folder / "recipe.toml").is_file():
        end = command("resume", folder, "--no-report", "-q")
        end.join(300)
        assert end.exitcode == 0
        assert_same_end(tmp_path / "whole", folder)


def newest(folder: Path) -> int:
    """Return the step of the newest checkpoint; 0 without any."""
    steps = [int(p.name) for p in (folder / "checkpoints").glob("*") if p.name.isdecimal()]
    return max(steps, default=0)


def assert_same_end(whole: Path, killed: Path) -> None:
    """Assert that two runs ended alike: last states, best models, divergences and metric tables."""
    population = Run.load(killed).population
    one, other = (harness.restored(folder, population) for folder in (whole, killed))
    for member in one:
        harness.assert_identical(one[member], other[member])
    for kind in ("train", "evaluation"):
        assert Run.load(whole).metrics(kind).equals(Run.load(killed).metrics(kind))
