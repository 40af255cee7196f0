"""What a run folder says in its files: tables, results, environment; no learner is made for it."""

from pathlib import Path
from typing import Any

import pyarrow as pa

from populace.core.errors import UsageError
from populace.core.formatting import Overview
from populace.runs import metric_tables
from populace.runs.folder import read_json, resuming
from populace.runs.integrity import checkpoint_files, sittings
from populace.runs.recipe import kept


class Records(Overview):
    """The files of a run folder, read when they are asked for."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def recipe_text(self) -> str:
        """Return `recipe.toml` as it is.

        Raises:
            RunError: it cannot be read, or is not text.

        """
        return kept.text_of(self.path)

    def metrics(self, kind: str = "train") -> pa.Table:
        """Return a metric table, `train` or `evaluation`: one row per member and window."""
        if kind not in metric_tables.KINDS:
            raise UsageError(f"metrics are train or evaluation, got '{kind}'")
        return metric_tables.read(self.path / "metrics", kind)

    def results(self) -> dict[str, Any]:
        """Return `results.json`.

        Raises:
            RunError: the run has none yet, or it is damaged.

        """
        return read_json(self.path, "results.json", "the run has not ended", resuming(self.path))

    def environment(self) -> dict[str, Any]:
        """Return `environment.json`: versions, machine and devices.

        Raises:
            RunError: it is missing or damaged.

        """
        return read_json(self.path, "environment.json", "the folder is incomplete")

    @property
    def sound(self) -> bool:
        """Whether the newest checkpoint is what was written; of a finished run, resuming makes it again."""
        return checkpoint_files.is_newest_sound(self.path / "checkpoints")

    @property
    def sittings(self) -> list[dict[str, Any]]:
        """Where, by which versions and from which step to which the run was trained, oldest first."""
        return sittings.read(self.path)
