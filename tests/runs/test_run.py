"""What a run says of itself, with and without its results and its data."""

import shutil

import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.core.population import sweep
from populace.runs.run import Run
from populace.runs.training.launch import train
from tests.learners import Table
from tests.runs.training.test_extension import INTERVALS, trained


@pytest.fixture(scope="module")
def one(tmp_path_factory) -> Run:
    """A run of two settings and two seeds each. Read only."""
    return trained(tmp_path_factory.mktemp("runs") / "whole", 120, **INTERVALS)


def test_a_run_and_what_it_holds_say_what_they_are(one):
    text = str(one)
    assert text.splitlines()[0] == f"Run '{one.path}'"
    summary = one.results()["best"]["test"]["iqm"]
    for line in ("status ", "finished, ", f"loss {summary[0]:.4g} ({summary[1]:.4g} to {summary[2]:.4g})"):
        assert line in text
    assert "data" not in text
    assert "<table>" in one._repr_html_()
    best = one.best()
    assert repr(best).startswith("Trained Quadratic\n")
    assert f"of seed {best.member.seed}" in repr(best)
    assert "3 numbers in 1 array" in repr(best)
    assert repr(one.population).startswith(f"Population of {len(one.population)} members of Quadratic")


def test_a_run_without_results_says_so(tmp_path, one):
    shutil.copytree(one.path, tmp_path / "run")
    (tmp_path / "run" / "results.json").unlink()
    text = str(Run.load(tmp_path / "run"))
    assert "interrupted, " in text
    assert "none yet" in text
    (tmp_path / "run" / "results.json").write_text("[]")
    assert "damaged" in str(Run.load(tmp_path / "run"))


def test_a_run_on_data_of_ones_own_says_so_first(tmp_path):
    learner = Table(data=np.ones((2, 3), np.float32))
    train(sweep(learner, seeds=1), 2, out=tmp_path / "run", strategy="map")
    run = Run.load(tmp_path / "run")
    assert "of your own, which are not in the folder: Run.load(" in str(run)
    for use in (run.best, lambda: run.population, run.evaluate, lambda: run.resume(4)):
        with pytest.raises(UsageError, match=r"was trained on data of your own.*Run.load\("):
            use()
    assert "of your own" not in str(Run.load(tmp_path / "run", learner))
