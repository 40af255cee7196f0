"""Whatever is changed or lost in a run folder is found, named, and costs exit code 1."""

import shutil

import pytest

from populace.runs.integrity import verify


def test_a_sound_run_is_said_to_be_sound(trained, cli):
    before = {path: path.read_bytes() for path in trained.rglob("*") if path.is_file()}
    found = cli("verify", trained)
    assert (found.code, found.err) == (0, "")
    assert (
        "is as it was written: 4 parts of metric tables with 24 rows, checkpoints of step 20, 40" in found.out
    )
    assert "trained from step 20 to step 40" in found.out
    assert before == {path: path.read_bytes() for path in trained.rglob("*") if path.is_file()}


def test_a_flipped_bit_in_any_file_that_is_read_back_is_found(trained, tmp_path):
    """Event files of TensorBoard are a log: nothing reads them back, and their records have checksums."""
    for path in sorted(p for p in trained.rglob("*") if p.is_file()):
        if path.name.startswith("events.out"):
            continue
        copy = shutil.copytree(trained, tmp_path / "copy")
        file = copy / path.relative_to(trained)
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 4
        file.write_bytes(content)
        found = verify.damages(copy)
        if file.name == "recipe.toml":
            found = found or ["in a word that nothing depends on"]
        assert found, file
        assert all("\n" not in line for line in found)
        shutil.rmtree(copy)


LOST = (
    "recipe.toml", "environment.json", "metrics/manifest.json", "checkpoints/40/info.json",
    "checkpoints/20/arrays/_METADATA",
)  # fmt: skip


@pytest.mark.parametrize("name", LOST)
def test_a_lost_file_is_found(copy, cli, name):
    (copy / name).unlink()
    if name == "recipe.toml":
        assert "has no recipe.toml" in cli("verify", copy).refused(2)
        return
    found = cli("verify", copy)
    assert name.rpartition("/")[2] in found.out
    assert f"'{copy}' has " in found.refused(1)


def test_every_fault_is_named(copy):
    sorted((copy / "metrics").glob("*.parquet"))[0].unlink()
    shutil.rmtree(copy / "checkpoints" / "20" / "arrays" / "d")
    path = copy / "recipe.toml"
    path.write_text(path.read_text().replace("seed = 0", "seed = 3"))
    found = verify.damages(copy)
    assert len(found) == 3
    for words in ("is missing: 4 rows", "checkpoints/20' is damaged", "run.seed is 3, not 0"):
        assert any(words in line for line in found), found
