"""What a run survives: damaged files, a full disk, being told to stop. The results stay the same."""

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest

from populace.runs.integrity import sealed
from tests.conftest import SMALL, Outcome, arrays, call, checkpoint_steps, outcome_of

# What Orbax leaves half read when a file of a checkpoint is damaged is collected later.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

# -- damaged checkpoints -------------------------------------------------------------------------------


def _data(checkpoint: Path) -> Path:
    """Return the largest file of a checkpoint: where the arrays are."""
    return max((p for p in checkpoint.rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)


def _truncate(checkpoint: Path) -> None:
    file = _data(checkpoint)
    os.truncate(file, file.stat().st_size // 2)


def _empty(checkpoint: Path) -> None:
    os.truncate(_data(checkpoint), 0)


def _overwrite(checkpoint: Path) -> None:
    file = _data(checkpoint)
    file.write_bytes(bytes(file.stat().st_size))


def _flip(checkpoint: Path) -> None:
    """Flip one bit in the middle of the data: the file stays readable."""
    file = _data(checkpoint)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def _lose_the_data(checkpoint: Path) -> None:
    _data(checkpoint).unlink()


def _lose_the_note(checkpoint: Path) -> None:
    (checkpoint / "info.json").unlink()


def _lose_the_arrays(checkpoint: Path) -> None:
    shutil.rmtree(checkpoint / "arrays")


def _garble_the_note(checkpoint: Path) -> None:
    (checkpoint / "info.json").write_text('{"layout": 2, "step":')


def _change_the_layout(checkpoint: Path) -> None:
    file = checkpoint / "info.json"
    file.write_text(sealed.seal(json.dumps(sealed.opened(file.read_text()) | {"layout": 99}, indent=1)))


def _change_a_checksum(checkpoint: Path) -> None:
    """Say something else about an array than is true, as a mix of two checkpoints would."""
    shutil.copy(checkpoint.parent / "100" / "info.json", checkpoint / "info.json")


def _change_the_step(checkpoint: Path) -> None:
    file = checkpoint / "info.json"
    file.write_text(file.read_text().replace('"step": 200', '"step": 100'))


def _take_the_place_of_another(checkpoint: Path) -> None:
    shutil.rmtree(checkpoint)
    shutil.copytree(checkpoint.parent / "100", checkpoint)


DAMAGE = {
    "cut in half": _truncate,
    "emptied": _empty,
    "zeroed": _overwrite,
    "one bit flipped": _flip,
    "data lost": _lose_the_data,
    "arrays lost": _lose_the_arrays,
    "note lost": _lose_the_note,
    "note garbled": _garble_the_note,
    "another layout": _change_the_layout,
    "another's note": _change_a_checksum,
    "another step": _change_the_step,
    "another's place": _take_the_place_of_another,
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_checkpoint_is_passed_over_and_said(stopped_copy, damage):
    from populace.runs.checkpoints import Checkpoints
    from populace.runs.run import Run
    from populace.runs.training.session import engine_of

    folder = stopped_copy
    assert checkpoint_steps(folder) == [100, 200]
    damage(folder / "checkpoints" / "200")
    said: list[str] = []
    run = Run.load(folder)
    engine = engine_of(run.recipe, run.population, said.append)
    store = Checkpoints(folder / "checkpoints")
    try:
        info = store.restore(engine, said.append)
    finally:
        store.close()
    assert info is not None
    assert engine.step == info["step"] == 100
    assert len(said) == 1
    assert said[0].startswith("checkpoint 200 is damaged (")
    assert "the one before" in said[0]


def test_a_sound_checkpoint_is_not_called_damaged(stopped_copy):
    """The test above could pass because everything is passed over."""
    from populace.runs.checkpoints import Checkpoints
    from populace.runs.run import Run
    from populace.runs.training.session import engine_of

    run = Run.load(stopped_copy)
    engine = engine_of(run.recipe, run.population, lambda line: None)
    said: list[str] = []
    store = Checkpoints(stopped_copy / "checkpoints")
    try:
        info = store.restore(engine, said.append)
    finally:
        store.close()
    assert engine.step == 200
    assert info is not None
    assert engine.training_seconds == info["training_seconds"] > 0
    for group_state in engine.group_states:
        assert (np.asarray(group_state.best.step) > 0).all(), "the best models so far belong to it"
        assert np.isfinite(np.asarray(group_state.best.score)).all()
    assert said == []


def test_checkpoints_are_in_the_order_of_their_steps(tmp_path):
    from populace.runs.checkpoints import Checkpoints

    for name in ("1000", "50", "200", ".4242.300"):
        (tmp_path / name).mkdir()
    store = Checkpoints.__new__(Checkpoints)
    store.folder = tmp_path
    assert store.steps() == [50, 200, 1000]


@pytest.mark.parametrize("damage", [_truncate, _flip], ids=["cut in half", "one bit flipped"])
def test_a_run_with_a_damaged_checkpoint_ends_as_if_nothing_had_happened(cli, stopped_copy, finished, damage):
    damage(stopped_copy / "checkpoints" / "200")
    found = cli("resume", stopped_copy, "--no-report")
    assert found.code == 0, found.err
    assert "checkpoint 200 is damaged" in found.out
    assert "resuming at step 100 of 300" in found.out
    assert outcome_of(stopped_copy) == outcome_of(finished)


def test_a_damaged_checkpoint_leaves_standard_error_clean(shell, stopped_copy):
    """In a process of its own: what readers leave half done speaks up when Python ends."""
    _lose_the_data(stopped_copy / "checkpoints" / "200")
    found = shell("resume", stopped_copy, "--no-report")
    assert found.code == 0, found.err
    assert "checkpoint 200 is damaged" in found.out
    assert found.err == ""


def test_a_run_whose_checkpoints_are_all_damaged_starts_again_and_says_so(cli, stopped_copy, finished):
    for step in (100, 200):
        _truncate(stopped_copy / "checkpoints" / str(step))
    found = cli("resume", stopped_copy, "--no-report")
    assert found.code == 0, found.err
    assert "checkpoint 200 is damaged" in found.out
    assert "checkpoint 100 is damaged" in found.out
    assert "from the beginning" in found.out
    assert outcome_of(stopped_copy) == outcome_of(finished)


def test_an_evaluation_with_every_checkpoint_damaged_fails_in_one_line(cli, stopped_copy):
    for step in (100, 200):
        _truncate(stopped_copy / "checkpoints" / str(step))
    line = cli("evaluate", stopped_copy, "--size", 2).refused(1)
    assert "checkpoint" in line
    assert str(stopped_copy) in line


# -- a disk that fills up ------------------------------------------------------------------------------


# Where a disk is full decides who notices: the checkpoints, in the background or not, the tables, or
# TensorBoard. All of these sizes end in the middle of the run.
@pytest.fixture(params=[400, 600, 1000], ids="{} kB".format)
def tiny_disk(request, tmp_path):
    """A file system of less than a megabyte."""
    place = tmp_path / "disk"
    place.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", f"size={request.param}k", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(words, capture_output=True).returncode:
        pytest.skip("needs the right to mount a tmpfs")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_disk_that_fills_up_stops_the_run_with_a_good_checkpoint(
    cli, small, tiny_disk, tmp_path, finished, monkeypatch
):
    from populace.runs.training import session

    # A checkpoint after every window, and all of them kept: the disk is full before the end.
    monkeypatch.setattr(session, "_SPARING", 0)
    out = tiny_disk / "run"
    often = ["--set", "run.checkpoint_every=1e-6", "--set", "run.checkpoints_kept=1000"]
    line = cli("run", small, "--out", out, "--no-report", *often).refused(1)
    assert "full" in line or "No space left" in line
    assert f"populace resume {out}" in line
    kept = checkpoint_steps(out)
    assert kept, "the disk was too small for a single checkpoint"
    assert f"step {kept[-1]} is intact" in line
    assert kept[-1] < 300

    roomy = tmp_path / "roomy"
    shutil.copytree(out, roomy)
    monkeypatch.undo()
    found = cli("resume", roomy, "--no-report")
    assert found.code == 0, found.err
    assert f"resuming at step {kept[-1]} of 300" in found.out
    assert "damaged" not in found.out
    assert outcome_of(roomy) == outcome_of(finished)


def test_a_disk_that_is_full_from_the_start_fails_in_one_line(cli, small, tiny_disk):
    with pytest.raises(OSError, match="No space"):
        (tiny_disk / "filler").write_bytes(bytes(2 << 20))
    line = cli("run", small, "--out", tiny_disk / "run", "--no-report").refused(1)
    assert str(tiny_disk) in line
    assert "No space left" in line or "full" in line


# -- being told to stop --------------------------------------------------------------------------------


def _stop_midway(program: list[str], words: list[object], number: int) -> Outcome:
    """Start the program, send it a signal when the first progress shows, and wait for its end."""
    command = [*program, *map(str, words)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        seen = []
        for line in running.stdout:
            seen.append(line)
            if "members  step" in line:
                running.send_signal(number)
                break
        out, err = running.communicate(timeout=120)
    return Outcome(running.returncode, "".join(seen) + out, err)


LONG = SMALL.replace("steps = 300", "steps = 4000").replace("every = 50", "every = 2000")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> Path:
    """The long run, from its start to its end."""
    place = tmp_path_factory.mktemp("long")
    (place / "long.toml").write_text(LONG)
    folder = place / "undisturbed"
    assert call("run", place / "long.toml", "--out", folder, "--no-report", "--quiet") == 0
    return folder


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)], ids=["SIGTERM", "SIGINT"]
)
def test_a_signal_ends_the_run_with_a_checkpoint_and_it_goes_on(
    program, cli, tmp_path, undisturbed, number, code
):
    file, out = tmp_path / "long.toml", tmp_path / "run"
    file.write_text(LONG)
    line = _stop_midway(program, ["run", file, "--out", out, "--no-report"], number).refused(code)
    assert f"populace resume {out}" in line
    (step,) = checkpoint_steps(out)
    assert 0 < step < 4000
    assert f"stopped at step {step} of 4000" in line

    found = cli("resume", out, "--no-report")
    assert found.code == 0, found.err
    assert f"resuming at step {step} of 4000" in found.out
    assert outcome_of(out) == outcome_of(undisturbed)


def test_a_finished_run_is_left_alone_and_told(cli, finished_copy):
    def files() -> dict[str, tuple[int, bytes]]:
        found = [p for p in sorted(finished_copy.rglob("*")) if p.is_file()]
        return {str(p): (p.stat().st_mtime_ns, p.read_bytes()) for p in found}

    before = files()
    found = cli("resume", finished_copy, "--no-report")
    assert found.code == 0, found.err
    assert "is already finished" in found.out
    assert files() == before


def test_a_run_that_never_got_to_a_checkpoint_starts_again(cli, stopped_copy, finished):
    shutil.rmtree(stopped_copy / "checkpoints")
    found = cli("resume", stopped_copy, "--no-report")
    assert found.code == 0, found.err
    assert "starting from the beginning" in found.out
    assert outcome_of(stopped_copy) == outcome_of(finished)


def test_half_written_files_of_a_kill_are_cleared(cli, stopped_copy, finished):
    litter = [
        stopped_copy / "metrics" / ".4242.train-0000000201-0000000210.parquet",
        stopped_copy / "checkpoints" / ".4242.250",
        stopped_copy / ".4242.results.json",
    ]
    for file in (litter[0], litter[1] / "arrays" / "d" / "data", litter[2]):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"PAR1")
    # Rows of after the checkpoint, which the resumed run writes again.
    last = sorted((stopped_copy / "metrics").glob("train-*.parquet"))[-1]
    shutil.copy(last, stopped_copy / "metrics" / "train-0000000210-0000000250.parquet")
    found = cli("resume", stopped_copy, "--no-report")
    assert found.code == 0, found.err
    assert not any(path.exists() for path in litter)
    assert outcome_of(stopped_copy) == outcome_of(finished)


# -- replaying -----------------------------------------------------------------------------------------


def test_a_recipe_of_a_run_replays_it_bit_for_bit(shell, finished, tmp_path):
    """In a process of its own, so that nothing but the file carries over."""
    out = tmp_path / "again"
    found = shell("run", finished / "recipe.toml", "--out", out, "--no-report", "--quiet")
    assert found.code == 0, found.err
    assert found.out == ""
    assert found.err == ""
    assert outcome_of(out) == outcome_of(finished)
    assert (out / "recipe.toml").read_bytes() == (finished / "recipe.toml").read_bytes()


def test_another_seed_ends_elsewhere(cli, finished, tmp_path):
    """Without this, a comparison that sees nothing would pass everything above."""
    out = tmp_path / "other"
    found = cli("run", finished / "recipe.toml", "--set", "run.seed=1", "--out", out, "--no-report")
    assert found.code == 0, found.err
    here, there = outcome_of(out), outcome_of(finished)
    for part in ("members", "train", "evaluation"):
        assert here[part] != there[part]
    assert arrays(out) != arrays(finished)


def test_the_moment_of_a_checkpoint_changes_nothing(cli, small, finished, tmp_path, monkeypatch):
    from populace.runs.training import session

    monkeypatch.setattr(session, "_SPARING", 0)
    out = tmp_path / "often"
    words = ["--set", "run.checkpoint_every=1e-6", "--set", "run.checkpoints_kept=2", "--no-report"]
    found = cli("run", small, "--out", out, *words)
    assert found.code == 0, found.err
    assert len(checkpoint_steps(out)) == 2
    assert outcome_of(out) == outcome_of(finished)
