"""So far: a run while it trains, read from its folder as a finished one is, without a look at its process.

What a process has not written yet is not seen: metrics come with checkpoints.
"""

from typing import Any

import numpy as np
import pyarrow as pa

from populace.core.errors import RunError
from populace.runs.folder import read_json
from populace.runs.integrity.status import Status, status
from populace.runs.run import Run
from populace.runs.training.head import POPULATION
from populace.statistics import summarize


class RunSoFar(Run):
    """A run folder whose results, before there are any, are those of its evaluations until now.

    Each setting has a `validation` summary of the best evaluations of its members; a member that has no score
    in the last one diverged or was stopped, and counts as the worst of its setting. Nothing was tested.
    """

    def results(self) -> dict[str, Any]:
        """Return `results.json`, or what evaluations say until now.

        Raises:
            RunError: an earlier version began the run, so that it does not say who is trained; or a file is
                damaged.

        """
        now = status(self.path)
        if now.state in ("finished", "stopped"):
            return super().results()
        head = read_json(
            self.path, POPULATION, "an earlier version began the run, and it can be seen once it ends"
        )
        return _so_far(head, self.metrics("evaluation"), now)

    def changed_at(self) -> tuple[float, ...]:
        """Return what differs once there is something new to see."""
        files = ("metrics/manifest.json", "results.json", "recipe.toml", "report.html")
        return tuple(p.stat().st_mtime if (p := self.path / f).exists() else 0.0 for f in files)


def _so_far(head: dict[str, Any], evaluations: pa.Table, now: Status) -> dict[str, Any]:
    seeds, mode = head["seeds"], head["score"]["mode"]
    steps, values = _evaluated(evaluations, head["score"]["name"], len(head["settings"]) * len(seeds))
    count, sign = values.shape[1], 1.0 if mode == "max" else -1.0
    seen = np.isfinite(values)
    ended = ~seen[-1] if len(values) else np.zeros(count, bool)
    best, at = np.full(count, np.nan), np.zeros(count, int)
    if len(values):
        places = np.where(seen, sign * values, -np.inf).argmax(0)
        best, at = values[places, np.arange(count)], steps[places]
    settings, means = [], []
    for number, setting in enumerate(head["settings"]):
        own = list(range(number * len(seeds), (number + 1) * len(seeds)))
        summary = summarize(best[own], ended[own], mode=mode)
        found = summary.as_dict() | {"headline": "iqm"}
        entry = {"setting": number, "values": setting, "members": own, "diverged": int(ended[own].sum())}
        settings.append(entry | {"floor": {}, "validation": found, "test": None, "external": None})
        means.append(-np.inf if np.isnan(summary.iqm.value) else sign * summary.iqm.value)
    members = [
        {
            "member": m,
            "setting": m // len(seeds),
            "seed": seeds[m % len(seeds)],
            "diverged_at": None,
            "validation": {"score": None if np.isnan(best[m]) else float(best[m]), "step": int(at[m])},
            "test": None,
            "external": None,
        }
        for m in range(count)
    ]
    return {
        "name": head["name"],
        "status": now.state,
        "unit": head["unit"],
        "steps": now.step,
        "steps_total": now.steps,
        "score": head["score"],
        "axes": head["axes"],
        "settings": settings,
        "members": members,
        "best": {"setting": int(np.argmax(means))} if max(means) > -np.inf else None,
        "decisions": [],
        "ended": int(ended.sum()),
    }


def _evaluated(evaluations: pa.Table, score: str, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the steps of all evaluations, (times,), and the scores there, (times, members)."""
    if score not in evaluations.column_names or not evaluations.num_rows:
        return np.zeros(0, int), np.zeros((0, count))
    if evaluations.num_rows % count:
        raise RunError(f"the evaluations are not of the {count:,} members that {POPULATION} names")
    values = evaluations[score].to_numpy(zero_copy_only=False).astype(float)
    return evaluations["step"].to_numpy().reshape(-1, count)[:, 0], values.reshape(-1, count)
