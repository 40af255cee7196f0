"""Resume is exact: a run that is killed again and again ends in the bit-identical state."""

import os
import random
import subprocess
import sys
import time
from pathlib import Path

from populace.run import Run
from tests import harness

KILLS = 20
ROOT = Path(__file__).parents[1]
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


def test_twenty_kills_change_nothing(tmp_path):
    recipe = tmp_path / "kill.toml"
    recipe.write_text(RECIPE)
    began = time.monotonic()
    whole = command("run", recipe, "--out", tmp_path / "whole", "--no-report", "-q")
    _, error = whole.communicate(timeout=300)
    assert whole.returncode == 0, error.decode()
    usual = time.monotonic() - began

    rng, killed, folder = random.Random(7), 0, tmp_path / "killed"
    reached = []
    while killed < KILLS:
        started = (folder / "recipe.toml").is_file()
        if started and Run.load(folder).finished:
            # Too quick for the kills that are left: kill it from its last checkpoints but one.
            (folder / "results.json").unlink()
        words = ["resume", folder] if started else ["run", recipe, "--out", folder, "--overwrite"]
        process = command(*words, "--no-report", "-q")
        try:
            process.wait(timeout=rng.uniform(0.35, 0.9) * usual)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            killed += 1
        steps = [int(p.name) for p in (folder / "checkpoints").glob("*") if p.name.isdecimal()]
        reached.append(max(steps, default=0))
    # Some kills must have struck while it trained, or nothing was tested.
    assert len({step for step in reached if 0 < step < 1_200_000}) >= 5, reached
    end = command("resume", folder, "--no-report", "-q")
    _, error = end.communicate(timeout=300)
    assert end.returncode == 0, error.decode()

    population = Run.load(folder).population
    one, other = (harness.restored(tmp_path / name, population) for name in ("whole", "killed"))
    for member in one:
        harness.assert_identical(one[member], other[member])
    for kind in ("train", "evaluation"):
        assert Run.load(tmp_path / "whole").metrics(kind).equals(Run.load(folder).metrics(kind))
