"""One process trains a run folder; the lock of one that is gone binds nobody."""

import json
import os
import subprocess
import sys
import time

import pytest

from populace.core import files
from populace.core.errors import RunError, UsageError
from populace.core.population import sweep
from populace.engine.callbacks import Callback
from populace.runs.folder import new
from populace.runs.integrity import lock
from populace.runs.integrity.status import status
from populace.runs.recipe.options import Options
from populace.runs.recipe.recipe import of_population
from populace.runs.run import Run
from populace.runs.training.launch import run_recipe, train
from tests.learners import Quadratic

OPTIONS = {"strategy": "vmap", "final_evaluation_size": 1, "log_every": 10, "evaluate_every": 20}


@pytest.fixture
def other():
    """The number of another process on this machine, which ends with the test."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process.pid
        process.kill()


def write(folder, **changes):
    with lock.held(folder):
        own = json.loads((folder / lock.FILE).read_text())
    (folder / lock.FILE).write_text(json.dumps(own | changes))


def test_a_run_that_is_trained_is_refused_to_others_and_listed(tmp_path, cli):
    folder, said = tmp_path / "runs" / "one", []

    def stop():
        if not said and (folder / "recipe.toml").is_file():
            with pytest.raises(RunError, match=rf"is in use: process {os.getpid()} on .* trains it"):
                Run.load(folder).resume()
            with pytest.raises(RunError, match="is in use"):
                Run.load(folder).resume(steps=80)
            for overwrite in (False, True):
                with pytest.raises(RunError, match="is in use"), new(folder, "run", overwrite):
                    pass
            said.append(cli("list", "runs", "--in", tmp_path / "runs").out)
            assert status(folder).state == "running"
        return False

    population = sweep(Quadratic(), seeds=2)
    run_recipe(
        of_population("run", population, Options(steps=40, seeds=[0, 1], **OPTIONS)), folder, stop=stop
    )
    assert "running" in said[0]
    assert f"process {os.getpid()} on" in said[0]
    assert "0 of 40 steps" in said[0]
    assert not (folder / lock.FILE).exists()
    assert "finished" in cli("list", "runs", "--in", tmp_path / "runs").out
    assert Run.load(folder).recipe.options.steps == 40
    assert "no folder" in cli("list", "runs", "--in", tmp_path / "none").refused(2)


def test_a_lock_binds_while_its_process_lives(tmp_path, other):
    write(tmp_path, pid=other, started=lock._started(other))
    with pytest.raises(RunError, match=f"process {other} on"), lock.held(tmp_path):
        pass
    # The number is another process's by now.
    (tmp_path / lock.FILE).write_text(
        json.dumps(json.loads((tmp_path / lock.FILE).read_text()) | {"started": "1"})
    )
    assert lock.owner(tmp_path) is None


@pytest.mark.parametrize(
    "changes", [{"pid": 2**22 + 1}, {"boot": "another"}, {}], ids=["gone", "boot", "own"]
)
def test_the_lock_of_a_process_that_is_gone_is_taken_over(tmp_path, changes):
    write(tmp_path, **changes)
    assert lock.owner(tmp_path) is None
    with lock.held(tmp_path):
        lock.check(tmp_path)
        assert f"process {os.getpid()} on" in str(lock.owner(tmp_path))
    assert not (tmp_path / lock.FILE).exists()


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"host": 1}'])
def test_a_damaged_lock_binds_nobody(tmp_path, text):
    (tmp_path / lock.FILE).write_text(text)
    with lock.held(tmp_path):
        assert lock.owner(tmp_path) is not None


def test_an_owner_on_another_machine_is_believed_until_it_has_been_silent(tmp_path):
    write(tmp_path, host="elsewhere")
    with pytest.raises(RunError, match="on elsewhere"), lock.held(tmp_path):
        pass
    before = time.time() - lock.GONE_AFTER - 1
    os.utime(tmp_path / lock.FILE, (before, before))
    with lock.held(tmp_path):
        write_over = json.loads((tmp_path / lock.FILE).read_text()) | {"host": "elsewhere"}
        (tmp_path / lock.FILE).write_text(json.dumps(write_over))
        with pytest.raises(RunError, match=r"was taken over by process .* on elsewhere"):
            lock.check(tmp_path)
    assert (tmp_path / lock.FILE).exists(), "the lock of another is not removed"


def test_an_owner_gives_signs_of_life(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "_BEAT", 0.01)
    with lock.held(tmp_path):
        os.utime(tmp_path / lock.FILE, (1, 1))
        deadline = time.time() + 10
        while (tmp_path / lock.FILE).stat().st_mtime == 1:
            assert time.time() < deadline
            time.sleep(0.01)


def test_a_run_that_ends_before_it_has_a_recipe_leaves_nothing(tmp_path):
    folder = tmp_path / "run"

    def fail():
        with new(folder, "run", False):
            (folder / "checkpoints").mkdir()
            (folder / "environment.json").write_text("{}")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert not folder.exists()


def test_the_folder_of_a_run_killed_in_its_first_moments_is_replaced(tmp_path):
    write(tmp_path, pid=2**22 + 1)
    (tmp_path / "checkpoints").mkdir()
    with pytest.raises(UsageError, match="exists"), new(tmp_path, "run", False):
        pass
    with new(tmp_path, "run", True) as folder:
        assert [p.name for p in folder.iterdir()] == [lock.FILE]
        (folder / "recipe.toml").write_text("")


def test_a_folder_that_no_run_made_is_left_alone(tmp_path):
    (tmp_path / "metrics").mkdir()
    with pytest.raises(UsageError, match="has no recipe"), new(tmp_path, "run", True):
        pass
    assert (tmp_path / "metrics").is_dir()
    assert not (tmp_path / lock.FILE).exists()


def test_no_file_is_left_half_written(tmp_path, monkeypatch):
    target = tmp_path / "file"
    files.write(target, "old")

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        files.write(target, "new")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
    assert target.read_text() == "old"


def test_a_run_taken_over_ends_before_it_writes(tmp_path):
    class Steals(Callback):
        def on_end(self, step):
            (tmp_path / "run" / lock.FILE).unlink()

    with pytest.raises(RunError, match="was taken over by another process"):
        train(sweep(Quadratic(), seeds=2), 40, out=tmp_path / "run", callbacks=[Steals()], **OPTIONS)
    assert not list((tmp_path / "run" / "metrics").glob("*.parquet"))
