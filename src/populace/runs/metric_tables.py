"""Records: the metric tables of a run, as Parquet parts that are whole or absent.

Each part is written whole and then listed in the manifest. Its name holds its first and last step, and parts
are cut at checkpoints, so that resuming drops exactly the parts that the resumed run will write again.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from populace.core.errors import RunError
from populace.core.files import remove, sweep, whole
from populace.core.population import Member
from populace.engine.hosts import is_writer
from populace.runs.folder import again
from populace.runs.integrity import manifest

Columns = dict[str, np.ndarray]
KINDS = ("train", "evaluation")
_HELD = 2**19
"""Rows that wait for the next checkpoint; with more of them a part is written before it."""


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
        names = {"member": "index", "setting": "setting", "seed": "seed"}
        self._who = {
            name: np.asarray([getattr(m, field) for m in members], np.int32) for name, field in names.items()
        }
        folder.mkdir(parents=True, exist_ok=True)
        self._parts = manifest.read(folder) or []

    def add(self, kind: str, step: int, metrics: Columns) -> None:
        """Add one row per member at a step; NaN is kept as null."""
        self._rows[kind].append((step, metrics))
        if sum(map(len, self._rows.values())) * len(self.members) > _HELD:
            self.flush()

    @property
    def digest(self) -> str:
        """The SHA-256 of what has been written, by which a checkpoint knows the tables that belong to it."""
        return manifest.digest(self._parts)

    def flush(self) -> None:
        """Write what was collected since the last flush, one part per kind, and list them."""
        written = []
        for kind, rows in self._rows.items():
            if rows and is_writer():
                first, last, table = rows[0][0], rows[-1][0], self._table(rows)
                path = self.folder / f"{kind}-{first:010d}-{last:010d}.parquet"
                with whole(path) as aside:
                    pq.write_table(table, aside, write_page_checksum=True)
                written.append(manifest.part(path, kind, first, last, table.num_rows))
        if written:
            manifest.keep(self.folder, [*self._parts, *written])
        self._parts += written
        for rows in self._rows.values():
            rows.clear()

    def drop_after(self, step: int) -> None:
        """Remove rows later than `step`, which a run resumed from there writes again, and what a kill left.

        Raises:
            RunError: a part that stays is missing or damaged.

        """
        if not is_writer():
            return
        kept = [part for part in self._parts if part.last <= step]
        manifest.check(self.folder, kept)
        manifest.keep(self.folder, kept)  # first: what is not listed does not count
        self._parts = kept
        for path in self.folder.glob("*.parquet"):
            if path.name not in {part.file for part in kept}:
                remove(path)
        sweep(self.folder)

    def _table(self, rows: list[tuple[int, Columns]]) -> pa.Table:
        count, times = len(self.members), len(rows)
        step = np.repeat(np.asarray([s for s, _ in rows], np.int64), count)
        columns = {
            "step": pa.array(step),
            "units": pa.array(step * np.tile(np.asarray(self.units_per_step, np.int64), times)),
        }
        for name, who in self._who.items():
            columns[name] = pa.array(np.tile(who, times))
        for name in sorted({name for _, metrics in rows for name in metrics}):
            absent = np.full(count, np.nan, np.float32)
            values = np.concatenate([metrics.get(name, absent) for _, metrics in rows])
            columns[name] = pa.array(values, mask=np.isnan(values))
        return pa.table(columns)


def read(folder: Path, kind: str) -> pa.Table:
    """Return the whole table of a kind, in the order it was written; empty if nothing was written yet.

    Raises:
        RunError: a part is missing or damaged.

    """
    listed = manifest.read(folder)
    if listed is None and (any(folder.glob("*.parquet")) or (folder.parent / "results.json").exists()):
        raise RunError(f"'{folder}' has no {manifest.FILE}", again(folder.parent))
    parts = sorted((part for part in listed or [] if part.kind == kind), key=lambda part: part.first)
    manifest.check(folder, parts)
    if not parts:
        names = ("step", "units", "member", "setting", "seed")
        return pa.table({name: pa.array([], pa.int64()) for name in names})
    # Not `read_table`: it imports the room for data sets of many files, which takes 50 MB.
    tables = [pq.ParquetFile(folder / p.file, page_checksum_verification=True).read() for p in parts]
    for part, table in zip(parts, tables):
        if table.num_rows != part.rows:
            raise RunError(
                f"'{folder / part.file}' has {table.num_rows:,} rows of {part.rows:,}", again(folder.parent)
            )
    return pa.concat_tables(tables, promote_options="permissive")
