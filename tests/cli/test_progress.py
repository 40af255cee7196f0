"""What a run shows while it trains."""

import io

import numpy as np
from rich.console import Console

from populace.cli.progress import Progress
from populace.core.population import sweep
from populace.engine.training_loop import Evaluation, Window
from tests.learners import Quadratic

SOUND = np.array([-1, -1])


def shown(windows: list[tuple[int, float]], begun: int = 0, diverged_at: np.ndarray = SOUND) -> str:
    """Return the last line that is shown of two members, after windows of so many seconds and a score."""
    out = io.StringIO()
    display = Progress(100, Console(file=out, width=200), live=False, silent=False)
    display.on_start(sweep(Quadratic(), seeds=2), begun)
    for step, seconds in windows:
        display.on_window(Window(step, {}, diverged_at, seconds))
    display.on_evaluation(Evaluation(windows[-1][0], {"loss": np.array([2.0, 2.0])}, diverged_at))
    return out.getvalue().splitlines()[-1]


def test_speed_and_time_left_count_all_members():
    line = shown([(10, 5.0), (20, 1.0), (30, 1.0)])
    assert line == "2 members  step 30 of 100  20 steps/s  loss 2 (2 to 2)  0:07 left"


def test_a_resumed_run_counts_from_where_it_began():
    assert "step 60 of 100  10 steps/s" in shown([(60, 2.0)], begun=50)


def test_the_first_window_is_not_remembered_and_the_others_fade():
    assert "  50 steps/s  " in shown([(10, 50.0), (20, 0.4)])
    units, seconds = 0.9 * 20 + 20, 0.9 * 0.4 + 0.8
    assert f"  {units / seconds:.0f} steps/s  " in shown([(10, 50.0), (20, 0.4), (30, 0.8)])


def test_those_that_diverged_are_counted():
    assert shown([(10, 1.0)], diverged_at=np.array([-1, 4])).endswith("  1 diverged")
