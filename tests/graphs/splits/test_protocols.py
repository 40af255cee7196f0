"""The best epoch of a cross-validation, by tables that are known."""

from types import SimpleNamespace
from typing import cast

import pyarrow as pa
import pytest

from populace.core.errors import UsageError
from populace.core.population import sweep
from populace.graphs.learners.graph_classifier import GraphClassifier
from populace.graphs.splits.protocols import best_epoch
from populace.runs.run import Run


def test_a_fold_that_diverged_counts_as_the_worst():
    def run_of(accuracy):
        columns = {"step": [10] * 3 + [20] * 3, "setting": [0] * 6, "accuracy": accuracy}
        population = sweep(GraphClassifier(folds=3, protocol="gin"), seeds=3)
        recipe = SimpleNamespace(population=lambda: population)
        return cast(Run, SimpleNamespace(path="run", metrics=lambda kind: pa.table(columns), recipe=recipe))

    found = best_epoch(run_of([0.8, 0.5, 0.6, 0.9, None, 0.7]))
    assert (found.step, found.diverged) == (20, 1)
    assert found.accuracy.tolist() == [0.9, 0.5, 0.7]
    found = best_epoch(run_of([0.8, 0.7, 0.6, 0.9, None, None]))
    assert (found.step, found.diverged) == (10, 0), "the one fold that is left does not decide"
    with pytest.raises(UsageError, match="every fold diverged"):
        best_epoch(run_of([None] * 6))
