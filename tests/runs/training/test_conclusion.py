"""What a run writes when it ends: how far it got, what it took, and who is the best, if anybody is."""

import numpy as np
import pytest
from rich.console import Console

from populace.cli.results import print_results
from populace.core.errors import RunError
from populace.core.population import sweep
from populace.report import present
from populace.runs.run import Run
from populace.runs.training.launch import train
from tests.learners import Quadratic

OPTIONS = {"strategy": "vmap", "final_evaluation_size": 1, "log_every": 10, "evaluate_every": 20}


def test_a_run_that_ends_early_says_so_in_its_results(stopped):
    results = Run.load(stopped).results()
    assert results["status"] == "stopped"
    assert results["steps"] == 200
    assert results["steps_total"] == 300
    timing = results["timing"]
    assert timing["resumed"] == 1
    frames = 200 * results["units_per_step"] * len(results["members"])
    assert timing["units_per_s"] * timing["train_s"] == pytest.approx(frames)
    assert not Run.load(stopped).finished


def test_where_all_members_diverged_there_is_no_best(tmp_path, capsys):
    bad = sweep(Quadratic(), {"fuse": [15.0, 16.0]}, seeds=7)
    lines = []
    dead = train(bad, 40, out=tmp_path / "dead", log=lines.append, **OPTIONS)
    found = dead.results()
    assert [m["diverged_at"] for m in found["members"]] == [15] * 7 + [16] * 7
    assert found["best"] is None
    with pytest.raises(RunError, match=r"has no best member: all 14 diverged, the first at step 15; lower"):
        dead.best()
    with pytest.raises(RunError, match=r"has no best member: all 14 diverged"):
        dead.predictions(np.zeros(1))
    told = [line for line in lines if "not finite" in line]
    assert len(told) == 11
    assert told[-1].startswith("4 more members are not finite since step ")
    present(dead)
    assert not (dead.path / "media").exists()
    print_results(Console(width=200), dead.path, found)
    assert "no best setting  all 14 members diverged, the first at step 15" in capsys.readouterr().out
