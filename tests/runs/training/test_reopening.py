"""The engine of a run, as its newest checkpoint left it."""

import shutil

import numpy as np
import pytest

from populace.core.errors import RunError
from populace.runs.recipe import kept
from populace.runs.run import Run
from populace.runs.training import reopening


def test_the_engine_has_what_the_newest_checkpoint_holds(finished):
    run = Run.load(finished)
    engine = reopening.engine_of(finished, kept.recipe_of(finished), run.population)
    assert engine.step == run.results()["steps"]
    best = run.best()
    weights = best.weights()
    assert weights
    assert all(np.isfinite(w).all() for w in weights.values())


def test_a_run_without_checkpoints_says_so(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "checkpoints")
    run = Run.load(tmp_path / "run")
    with pytest.raises(RunError, match="has no checkpoint yet"):
        reopening.engine_of(tmp_path / "run", kept.recipe_of(tmp_path / "run"), run.population)
