"""A run folder that somebody else packed: devices for files, and sealed notes that are not those of a run."""

import json
import os

import pytest

from populace.core.errors import PopulaceError
from populace.runs.integrity import checkpoint_files, manifest, sealed, sittings, verify
from populace.runs.run import Run


def changed(file, change):
    """Write a sealed file that says something else, as whoever can write it can."""
    file.write_text(sealed.seal(json.dumps(change(sealed.opened(file.read_text())), indent=1)))


FILES = ("results.json", "environment.json", "sittings.json", "metrics/manifest.json", "recipe.toml")


@pytest.mark.parametrize("name", FILES)
def test_a_device_or_a_pipe_in_the_place_of_a_file_never_ends_nothing(cli, finished_copy, name):
    for put in (lambda path: path.symlink_to("/dev/zero"), os.mkfifo):
        (finished_copy / name).unlink()
        put(finished_copy / name)
        for command in ("verify", "report"):
            found = cli(command, finished_copy)
            assert found.code in (0, 1, 2), name
            assert "POPULACE_DEBUG" not in found.err
        assert cli("verify", finished_copy).code != 0


def test_a_checkpoint_reads_no_file_but_its_own(finished_copy):
    step = max(checkpoint_files.steps(finished_copy / "checkpoints"))
    folder = finished_copy / "checkpoints" / str(step)
    for name in ("/dev/zero", "../../recipe.toml"):
        changed(folder / "info.json", lambda info, name=name: info | {"files": {name: "0" * 64}})
        with pytest.raises(ValueError, match=r"cannot be read: it is not there"):
            checkpoint_files.check(folder)
    assert any(str(step) in line for line in verify.damages(finished_copy))


NOTES = {
    "a table elsewhere": (
        "metrics/manifest.json",
        lambda note: {"parts": [note["parts"][0] | {"file": "../../x.parquet"}]},
        "parts.0.file: string should match",
    ),
    "rows in words": (
        "metrics/manifest.json",
        lambda note: {"parts": [note["parts"][0] | {"rows": "many"}]},
        "parts.0.rows: input should be",
    ),
    "a sitting from nowhere": (
        "sittings.json",
        lambda note: {"sittings": [note["sittings"][0] | {"first_step": "\x1b[31m"}]},
        "sittings.0.first_step: input should be",
    ),
    "sittings without packages": (
        "sittings.json",
        lambda note: {"sittings": [note["sittings"][0] | {"packages": []}]},
        "sittings.0.packages: input should be",
    ),
}


@pytest.mark.parametrize(("name", "change", "said"), NOTES.values(), ids=NOTES)
def test_a_sealed_note_of_another_shape_is_one_line(cli, finished_copy, name, change, said):
    changed(finished_copy / name, change)
    read = manifest.read if "manifest" in name else sittings.read
    with pytest.raises(PopulaceError, match="cannot be trusted") as told:
        read((finished_copy / name).parent)
    assert said in str(told.value)
    found = cli("verify", finished_copy)
    assert (found.code, "POPULACE_DEBUG" in found.err, "\x1b" in found.out) == (1, False, False)


def test_what_a_checkpoint_says_in_another_shape_is_told_before_its_arrays_are_read(finished_copy):
    for change in (
        {"control": {"x": 1}},
        {"training_seconds": "long"},
        {"arrays": {"a": [1]}},
        {"files": []},
    ):
        for step in checkpoint_files.steps(finished_copy / "checkpoints"):
            file = finished_copy / "checkpoints" / str(step) / "info.json"
            changed(file, lambda info, change=change: info | change)
        with pytest.raises(PopulaceError, match=r"is damaged \(info.json: "):
            _ = Run.load(finished_copy).engine


def test_what_a_sitting_says_steers_no_terminal(cli, finished_copy):
    def hostile(note):
        return {"sittings": [one | {"started": "\x1b[2Jnow", "packages": {}} for one in note["sittings"]]}

    changed(finished_copy / "sittings.json", hostile)
    found = cli("verify", finished_copy)
    assert found.code == 0
    assert r"\x1b[2Jnow" in found.out
    assert "\x1b" not in found.out
