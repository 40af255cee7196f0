"""What training measured, collected from the engine and its evaluations."""

from types import SimpleNamespace

import numpy as np
import pyarrow as pa

from populace.core.population import sweep
from populace.engine.controller import Control
from populace.runs.outcome.scores import measured
from tests.learners import Quadratic

NAN = float("nan")


def test_evaluations_are_collected_member_by_member():
    population = sweep(Quadratic(), {"learning_rate": [0.1, 0.2]}, seeds=1)
    best = SimpleNamespace(score=np.array([-1.0, -np.inf]), step=np.array([20, 0]))
    engine = SimpleNamespace(
        population=population, group_states=[SimpleNamespace(best=best)],
        gather=lambda parts: parts[0], diverged_at=lambda: np.array([-1, 15]),
        control=Control(), controller=None,
    )  # fmt: skip
    table = pa.table({"step": [10, 10, 20, 20, 30, 30], "loss": [4.0, 7.0, 1.0, None, 4.0, None]})
    found = measured.collect(engine, table)
    np.testing.assert_array_equal(found.validation, [1.0, NAN])
    np.testing.assert_array_equal(found.course, [3.0, 7.0])
    np.testing.assert_array_equal(found.last, [4.0, NAN])
    engine.control = Control(None, [{"step": 10, "stop_members": [1]}])
    np.testing.assert_array_equal(measured.collect(engine, table).last, [4.0, 7.0])  # stopped, not diverged
