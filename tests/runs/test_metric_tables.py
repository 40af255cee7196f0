"""Metric tables: parts that are whole or absent, and rows that are written once."""

import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from populace.core.population import Member
from populace.runs import metric_tables
from populace.runs.metric_tables import Recorder, read

MEMBERS = (Member(0, 0, 0), Member(1, 0, 5), Member(2, 1, 0), Member(3, 1, 5))


def _row(step: int) -> dict[str, np.ndarray]:
    return {"return": np.arange(4, dtype=np.float32) + 10 * step}


def _record(folder: Path, parts: list[list[int]], kind: str = "train") -> Recorder:
    """Write parts that hold these steps each."""
    recorder = Recorder(folder, MEMBERS, [8] * len(MEMBERS))
    for steps in parts:
        for step in steps:
            recorder.add(kind, step, _row(step))
        recorder.flush()
    return recorder


def _steps(folder: Path, kind: str = "train") -> list[int]:
    return read(folder, kind)["step"].to_pylist()[:: len(MEMBERS)]


def test_a_part_is_written_before_the_checkpoint_where_many_rows_wait(tmp_path, monkeypatch):
    monkeypatch.setattr(metric_tables, "_HELD", 3 * len(MEMBERS))
    recorder = Recorder(tmp_path, MEMBERS, [8] * len(MEMBERS))
    for step in range(1, 11):
        recorder.add("train", step, _row(step))
        assert sum(map(len, recorder._rows.values())) <= 3
    assert _steps(tmp_path) == list(range(1, 9))
    recorder.flush()
    assert _steps(tmp_path) == list(range(1, 11))
    recorder.drop_after(8)  # the last checkpoint: parts end there too
    assert _steps(tmp_path) == list(range(1, 9))


def test_what_was_added_is_read_one_row_per_member_and_step(tmp_path):
    _record(tmp_path, [[1, 2], [3]])
    table = read(tmp_path, "train")
    assert table.num_rows == 3 * 4
    for i, row in enumerate(table.to_pylist()):
        step, member = i // 4 + 1, MEMBERS[i % 4]
        assert row == {
            "step": step, "units": 8 * step, "member": member.index, "setting": member.setting,
            "seed": member.seed, "return": 10.0 * step + member.index,
        }  # fmt: skip


def test_steps_beyond_four_thousand_million_are_kept(tmp_path):
    """A long run on many frames does not fit 32 bits."""
    _record(tmp_path, [[5_000_000_000]])
    assert read(tmp_path, "train")["units"].to_pylist() == [40_000_000_000] * 4


def test_nothing_is_on_disk_before_a_flush_and_nothing_twice_after(tmp_path):
    recorder = Recorder(tmp_path, MEMBERS, [1] * len(MEMBERS))
    recorder.add("train", 1, _row(1))
    assert list(tmp_path.iterdir()) == []
    recorder.flush()
    recorder.flush()
    assert {p.name for p in tmp_path.iterdir()} == {"train-0000000001-0000000001.parquet", "manifest.json"}
    assert _steps(tmp_path) == [1]


def test_kinds_do_not_mix(tmp_path):
    recorder = Recorder(tmp_path, MEMBERS, [1] * len(MEMBERS))
    recorder.add("train", 1, {"loss": np.ones(4, np.float32)})
    recorder.add("evaluation", 1, {"return": np.ones(4, np.float32)})
    recorder.flush()
    assert "loss" in read(tmp_path, "train").column_names
    assert "loss" not in read(tmp_path, "evaluation").column_names
    assert _steps(tmp_path, "evaluation") == [1]


def test_nan_is_null_and_nothing_else_is(tmp_path):
    recorder = Recorder(tmp_path, MEMBERS, [1] * len(MEMBERS))
    values = np.array([1.0, math.nan, math.inf, 0.0], np.float32)
    recorder.add("train", 1, {"return": values})
    recorder.flush()
    assert read(tmp_path, "train")["return"].to_pylist() == [1.0, None, math.inf, 0.0]


def test_a_metric_that_is_not_always_there_is_null_elsewhere(tmp_path):
    recorder = Recorder(tmp_path, MEMBERS, [1] * len(MEMBERS))
    recorder.add("train", 1, {"a": np.ones(4, np.float32)})
    recorder.add("train", 2, {"b": np.ones(4, np.float32)})
    recorder.flush()
    recorder.add("train", 3, {"c": np.ones(4, np.float32)})
    recorder.flush()
    table = read(tmp_path, "train")
    assert table["a"].to_pylist() == [1.0] * 4 + [None] * 8
    assert table["b"].to_pylist() == [None] * 4 + [1.0] * 4 + [None] * 4
    assert table["c"].to_pylist() == [None] * 8 + [1.0] * 4


def test_an_empty_folder_is_an_empty_table(tmp_path):
    table = read(tmp_path, "train")
    assert table.num_rows == 0
    assert {"step", "units", "member", "setting", "seed"} <= set(table.column_names)


def test_parts_are_read_in_the_order_of_their_steps(tmp_path):
    for steps in ([900_000], [8, 9], [70]):
        _record(tmp_path, [steps])
    assert _steps(tmp_path) == [8, 9, 70, 900_000]


@given(cuts=st.lists(st.integers(1, 4), min_size=1, max_size=6), data=st.data())
def test_drop_after_removes_exactly_the_later_rows(tmp_path_factory, cuts, data):
    """Parts end at checkpoints, and a run goes on from a checkpoint: from the end of a part."""
    folder = tmp_path_factory.mktemp("metrics")
    ends = np.cumsum(cuts).tolist()
    parts = [list(range(end - n + 1, end + 1)) for n, end in zip(cuts, ends)]
    recorder = _record(folder, parts)
    at = data.draw(st.sampled_from([0, *ends]))
    recorder.drop_after(at)
    assert _steps(folder) == list(range(1, at + 1))
    for step in range(at + 1, ends[-1] + 1):
        recorder.add("train", step, _row(step))
    recorder.flush()
    assert _steps(folder) == list(range(1, ends[-1] + 1))
    assert read(folder, "train")["return"].to_pylist() == [
        10.0 * step + i for step in range(1, ends[-1] + 1) for i in range(4)
    ]


def test_drop_after_takes_rows_of_both_kinds(tmp_path):
    _record(tmp_path, [[1], [2]])
    _record(tmp_path, [[1], [2]], "evaluation").drop_after(1)
    assert _steps(tmp_path) == _steps(tmp_path, "evaluation") == [1]


def test_drop_after_leaves_what_is_not_a_part(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    _record(tmp_path, [[5]]).drop_after(0)
    assert {p.name for p in tmp_path.iterdir()} == {"notes.txt", "manifest.json"}


def test_half_written_parts_are_not_read_and_go(tmp_path):
    recorder = _record(tmp_path, [[1]])
    half = tmp_path / ".99.train-0000000002-0000000002.parquet"
    half.write_bytes(b"PAR1 and then the power went")
    assert _steps(tmp_path) == [1]
    recorder.drop_after(1)
    assert not half.exists()


def test_a_part_that_fails_to_be_written_is_absent_and_its_rows_are_kept(tmp_path, monkeypatch):
    recorder = _record(tmp_path, [[1]])
    recorder.add("train", 2, _row(2))

    def half(table: pa.Table, where: Path, **how: bool) -> None:
        Path(where).write_bytes(b"PAR1")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(metric_tables.pq, "write_table", half)
        with pytest.raises(OSError, match="No space left"):
            recorder.flush()
    assert _steps(tmp_path) == [1]
    recorder.flush()
    assert _steps(tmp_path) == [1, 2]


def test_a_part_appears_under_its_name_only_when_whole(tmp_path, monkeypatch):
    """At the moment of renaming, what is renamed can be read to its end."""
    whole: list[int] = []
    replace = Path.replace

    def watch(self: Path, target: Path) -> Path:
        if target.suffix == ".parquet":
            assert not Path(target).exists()
            whole.append(pq.read_table(self).num_rows)
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", watch)
    _record(tmp_path, [[1, 2], [3]])
    assert whole == [8, 4]


def test_the_tables_of_a_run_hold_every_member_at_every_step(finished):
    from populace.runs.run import Run

    run = Run.load(finished)
    expected = {"train": list(range(10, 301, 10)), "evaluation": list(range(50, 301, 50))}
    for kind, steps in expected.items():
        table = run.metrics(kind)
        pairs = list(zip(table["step"].to_pylist(), table["member"].to_pylist()))
        assert pairs == [(step, member) for step in steps for member in range(4)]
        assert table["units"].to_pylist() == [2 * step for step, _ in pairs]
    assert {"return", "length", "epsilon", "loss"} <= set(run.metrics("train").column_names)
    assert run.metrics("evaluation")["return"].null_count == 0


def test_an_unknown_table_is_refused(finished):
    from populace.core.errors import UsageError
    from populace.runs.run import Run

    with pytest.raises(UsageError, match="'trian'"):
        Run.load(finished).metrics("trian")
