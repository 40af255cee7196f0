"""Parts of metric tables that are missing or damaged are named, and nothing reads on over them."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from populace.core.errors import RunError
from populace.runs import metric_tables
from populace.runs.integrity import manifest, sealed
from populace.runs.run import Run


def parts(folder):
    return sorted((folder / "metrics").glob("*.parquet"))


def lose(folder):
    parts(folder)[0].unlink()


def cut(folder):
    part = parts(folder)[0]
    part.write_bytes(part.read_bytes()[:-1])


def flip(folder):
    part = parts(folder)[-1]
    content = bytearray(part.read_bytes())
    content[len(content) // 2] ^= 1
    part.write_bytes(content)


def exchange(folder):
    one, other = parts(folder)[:2]
    other.write_bytes(one.read_bytes())


def lose_the_manifest(folder):
    (folder / "metrics" / manifest.FILE).unlink()


def change_the_manifest(folder):
    path = folder / "metrics" / manifest.FILE
    path.write_text(path.read_text().replace('"rows": 4', '"rows": 8'))


def lose_everything(folder):
    for path in (folder / "metrics").iterdir():
        path.unlink()


DAMAGE = {
    lose: ["is missing: ", "evaluation-0000000020-0000000020.parquet"],
    cut: ["is damaged: it has ", "bytes"],
    flip: ["is damaged: its checksum does not match"],
    exchange: ["is damaged"],
    lose_the_manifest: ["has no manifest.json"],
    change_the_manifest: ["manifest.json' cannot be trusted"],
    lose_everything: ["has no manifest.json"],
}


@pytest.mark.parametrize("damage", DAMAGE, ids=lambda d: d.__name__)
def test_damaged_tables_are_refused_by_readers_and_by_the_report(copy, cli, damage):
    damage(copy)

    def read():
        for kind in metric_tables.KINDS:
            Run.load(copy).metrics(kind)

    with pytest.raises(RunError, match=rf"populace run {copy}/recipe.toml --out NEW`") as refused:
        read()
    for line in (str(refused.value), cli("report", copy).refused(1)):
        assert all(word in line for word in DAMAGE[damage]), line


@pytest.mark.parametrize("damage", [lose, flip, lose_everything], ids=lambda d: d.__name__)
def test_a_run_with_damaged_tables_is_not_gone_on_with(half, cli, damage):
    metric_tables.Recorder(half / "metrics", (), []).drop_after(20)  # as it was when it was stopped
    damage(half)
    before = {path: path.read_bytes() for path in half.rglob("*") if path.is_file()}
    assert str(half / "metrics") in cli("resume", half, "--no-report").refused(1)
    after = {path: path.read_bytes() for path in half.rglob("*") if path.is_file()}
    assert {p for p in before if before[p] != after.get(p)} == set(), "a refusal changes nothing"


def test_what_a_kill_left_unlisted_does_not_count_and_goes(half):
    """Between a part and its entry, or between an entry and the removal of its part."""
    tables = half / "metrics"
    rows = Run.load(half).metrics("train").num_rows
    part = parts(half)[-1]
    part.rename(tables / "train-0000000050-0000000060.parquet")
    path = tables / manifest.FILE
    note = sealed.opened(path.read_text())
    note["parts"] = [one for one in note["parts"] if one["file"] != part.name]
    path.write_text(sealed.seal(json.dumps(note, indent=1)))
    assert Run.load(half).metrics("train").num_rows < rows
    Run.load(half).resume()
    assert Run.load(half).metrics("train").num_rows == rows
    assert len(parts(half)) == 4


def test_pages_carry_checksums(trained):
    """Any reader of Parquet can check them, without the manifest."""
    path = parts(trained)[-1]
    content = bytearray(path.read_bytes())
    column = pq.ParquetFile(path).metadata.row_group(0).column(0)
    content[column.data_page_offset + column.total_compressed_size - 2] ^= 1
    flipped = trained.parent / "flipped.parquet"
    flipped.write_bytes(content)
    with pytest.raises(OSError, match=r"(?i)crc|checksum"):
        pq.read_table(flipped, page_checksum_verification=True)
    whole = pq.read_table(path, page_checksum_verification=True)
    assert np.isfinite(whole["loss"].to_numpy()).all()
