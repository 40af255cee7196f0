"""Records: the metric tables of a run, as Parquet parts that are whole or absent.

Each part is written aside and renamed. Its name holds its first and last step, and parts are cut at
checkpoints, so that resuming drops exactly the parts that the resumed run will write again.
"""

import os
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from populace.core.population import Member
from populace.engine.hosts import is_writer

Columns = dict[str, np.ndarray]
KINDS = ("train", "evaluation")
_NAME = re.compile(r"(train|evaluation)-(\d+)-(\d+)\.parquet")


class Recorder:
    """Collects rows and writes them as parts.

    Args:
        folder: where the parts go.
        members: who the rows are about; each column of an added row has one entry per member.
        units_per_step: how many units one step of each member works through.

    """

    def __init__(self, folder: Path, members: tuple[Member, ...], units_per_step: Sequence[int]) -> None:
        self.folder, self.members, self.units_per_step = folder, members, units_per_step
        self._rows: dict[str, list[tuple[int, Columns]]] = {kind: [] for kind in KINDS}
        folder.mkdir(parents=True, exist_ok=True)

    def add(self, kind: str, step: int, metrics: Columns) -> None:
        """Add one row per member at a step; NaN is kept as null."""
        self._rows[kind].append((step, metrics))

    def flush(self) -> None:
        """Write what was collected since the last flush, one part per kind."""
        for kind, rows in self._rows.items():
            if rows and is_writer():
                first, last = rows[0][0], rows[-1][0]
                name = f"{kind}-{first:010d}-{last:010d}.parquet"
                aside = self.folder / f".{name}.{os.getpid()}"
                pq.write_table(self._table(rows), aside)
                aside.replace(self.folder / name)
            rows.clear()

    def drop_after(self, step: int) -> None:
        """Remove rows later than `step`, which a run resumed from there writes again."""
        if not is_writer():
            return
        for path, _, first, _ in _parts(self.folder):
            if first > step:
                path.unlink()
        for path in self.folder.glob(".*.parquet.*"):  # parts that a kill left half-written
            path.unlink()

    def _table(self, rows: list[tuple[int, Columns]]) -> pa.Table:
        count, times = len(self.members), len(rows)
        step = np.repeat(np.asarray([s for s, _ in rows], np.int64), count)
        columns = {
            "step": pa.array(step),
            "units": pa.array(step * np.tile(np.asarray(self.units_per_step, np.int64), times)),
        }
        for name in ("member", "setting", "seed"):
            field = "index" if name == "member" else name
            who = np.asarray([getattr(m, field) for m in self.members], np.int32)
            columns[name] = pa.array(np.tile(who, times))
        for name in sorted({name for _, metrics in rows for name in metrics}):
            absent = np.full(count, np.nan, np.float32)
            values = np.concatenate([metrics.get(name, absent) for _, metrics in rows])
            columns[name] = pa.array(values, mask=np.isnan(values))
        return pa.table(columns)


def read(folder: Path, kind: str) -> pa.Table:
    """Return the whole table of a kind, in the order it was written; empty if there is none."""
    parts = [path for path, k, _, _ in _parts(folder) if k == kind]
    if not parts:
        names = ("step", "units", "member", "setting", "seed")
        return pa.table({name: pa.array([], pa.int64()) for name in names})
    return pa.concat_tables([pq.read_table(p) for p in parts], promote_options="permissive")


def _parts(folder: Path) -> list[tuple[Path, str, int, int]]:
    found = [(p, _NAME.fullmatch(p.name)) for p in sorted(folder.glob("*.parquet"))]
    return [(p, m[1], int(m[2]), int(m[3])) for p, m in found if m]
