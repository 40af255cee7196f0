"""Whatever fails while a run is trained is told in one line, and costs nothing that was on the disk."""

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import pytest

from populace.core.errors import RunError
from populace.core.learner import Learner
from populace.core.mean import Mean
from populace.core.population import sweep
from populace.core.settings import setting
from populace.engine.callbacks import Callback
from populace.runs.integrity import checkpoint_files, failures, lock
from populace.runs.run import Run
from populace.runs.training.launch import train
from tests.learners import Quadratic

HERE = Path(__file__).parent
OPTIONS: Any = {"strategy": "vmap", "final_evaluation_size": 1, "log_every": 10, "evaluate_every": 20}


# -- the n-th write fails ------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def library(tmp_path_factory) -> Path:
    """What makes writes fail, compiled."""
    if sys.platform != "linux" or not (compiler := shutil.which("cc") or shutil.which("gcc")):
        pytest.skip("needs Linux and a C compiler")
    built = tmp_path_factory.mktemp("library") / "failing_writes.so"
    source = HERE / "failing_writes.c"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", built, source, "-ldl"], check=True)
    return built


KINDS = {"full": "the disk is full", "broken": "Input/output error", "memory": "memory ran out"}


def _check_failing(library: Path, place: Path, *wanted: str) -> None:
    """Train with failing writes; check what each run said and left, and that nothing else was printed."""
    words = [sys.executable, "-m", "tests.runs.integrity.failing_writes", str(place), *wanted]
    environment = os.environ | {"LD_PRELOAD": str(library)}
    root = HERE.parents[2]
    done = subprocess.run(words, cwd=root, capture_output=True, text=True, check=False, env=environment)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr[-3000:]
    found = [json.loads(line) for line in done.stdout.splitlines()]
    made_good = 0
    for one in found:
        if not one["error"]:
            # Threads do not write equally often every time; what failed once TensorStore may do again.
            assert one["late"] if not one["reached"] else one["kind"] == "broken", one
            assert (one["left"], one["same"], one["damages"]) == ([], True, []), one
            made_good += one["reached"]
            continue
        assert one["told"], one
        assert "\n" not in one["error"], one
        assert KINDS[one["kind"]] in one["error"], one
        assert one["left"] == [], one
        if one["begun"]:
            assert one["same"], one
            assert one["damages"] == [], one
            good = (
                f"the checkpoint of step {one['steps'][-1]} is" if one["steps"] else "there is no checkpoint"
            )
            assert good in one["error"], one
        else:
            assert not one["there"], one
    assert made_good <= 0.02 * len(found), "a failure that is not told is the exception"
    assert {one["kind"] for one in found if one["steps"]} == set(KINDS), "some after the first checkpoint"
    assert any(not one["begun"] for one in found), "some before the run has begun"


def test_a_failing_write_is_told_and_costs_nothing(library, tmp_path):
    _check_failing(library, tmp_path, "full:5:160", "broken:9:400", "broken:140:180", "memory:2:39")


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_every_failing_write_is_told_and_costs_nothing(library, tmp_path):
    _check_failing(library, tmp_path, *(f"{kind}:1:1" for kind in KINDS))


# -- other failures ------------------------------------------------------------------------------------


class Failing(Learner):
    """Raises on the host at one step of its training."""

    at: int = setting(50, low=0, help="step that fails")

    def init(self, key: jax.Array) -> jax.Array:
        del key
        return jnp.zeros((), jnp.int32)

    def step(self, state: jax.Array, key: jax.Array) -> tuple[jax.Array, dict[str, Mean]]:
        del key

        def host(step: Any) -> Any:
            if int(step) == self.at:
                raise ArithmeticError("the simulator lost its footing")
            return step

        seen = jax.pure_callback(host, jax.ShapeDtypeStruct((), jnp.int32), state, vmap_method="sequential")
        return seen + 1, {"score": Mean(1.0)}

    def evaluate(self, state: jax.Array, key: jax.Array) -> dict[str, Mean]:
        del key
        return {"score": Mean(state.astype(jnp.float32))}


class Unmeasurable(Quadratic):
    """Raises in Python, after training."""

    def for_test(self, size: int) -> Any:
        raise LookupError("no test today\nand none tomorrow")


def test_a_learner_that_raises_at_a_step_is_told_in_one_line(tmp_path, capfd, caplog):
    out = tmp_path / "run"
    with pytest.raises(RunError) as caught:
        train(sweep(Failing(), seeds=2), 100, out=out, checkpoint_every=1e-9, **OPTIONS)
    line = str(caught.value)
    assert line.startswith("Failing failed after step ")
    assert "ArithmeticError: the simulator lost its footing" in line
    assert "\n" not in line
    assert f"Run.load('{out}').resume()" in line
    assert (capfd.readouterr().err, caplog.records) == ("", [])


def test_a_learner_that_raises_in_python_is_told_in_one_line(tmp_path):
    with pytest.raises(RunError, match=r"^Unmeasurable failed after step 20: LookupError: no test today; the "
                       r"checkpoint of step 20 is intact; mend it, then Run.load"):  # fmt: skip
        train(sweep(Unmeasurable(), seeds=2), 20, out=tmp_path / "run", **OPTIONS)
    assert Run.load(tmp_path / "run", Unmeasurable()).metrics("train").num_rows == 4


def test_what_a_callback_raises_is_the_callers_own(tmp_path):
    class Own(Callback):
        def on_window(self, window):
            raise StopAsyncIteration("mine")

    with pytest.raises(StopAsyncIteration, match="mine"):
        train(sweep(Quadratic(), seeds=2), 20, out=tmp_path / "run", callbacks=[Own()], **OPTIONS)
    assert not (tmp_path / "run" / lock.FILE).exists()


def test_a_folder_removed_under_the_run_is_told(tmp_path):
    out = tmp_path / "run"

    class Removes(Callback):
        def on_window(self, window):
            shutil.rmtree(out)

    with pytest.raises(RunError, match=r"run' was removed while it was trained"):
        train(sweep(Quadratic(), seeds=2), 20, out=out, callbacks=[Removes()], **OPTIONS)
    assert not out.exists()


def test_a_disk_without_inodes_is_told(tmp_path):
    place = tmp_path / "disk"
    place.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=8m,nr_inodes=24", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(words, capture_output=True).returncode:
        pytest.skip("needs the right to mount a tmpfs")
    out = place / "run"
    try:
        with pytest.raises(RunError, match=r"the disk is full, of bytes or of files; "):
            train(sweep(Quadratic(), seeds=2), 400, out=out, checkpoint_every=1e-9, **OPTIONS)
        for step in checkpoint_files.steps(out / "checkpoints"):
            checkpoint_files.check(out / "checkpoints" / str(step))
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def test_errors_of_libraries_are_those_of_the_system():
    found = failures.of_the_disk(ValueError("Error writing: RESOURCE [No space left on device]"))
    assert (found.errno, found.strerror) == (errno.ENOSPC, "No space left on device")
    assert failures.of_the_disk(found) is found
    assert failures.of_the_disk(ValueError("odd\nand more")).strerror == "odd"
