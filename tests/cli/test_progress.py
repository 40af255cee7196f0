"""What a run shows while it trains."""

import io
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
from rich.console import Console

from populace.cli import progress
from populace.cli.display import Display
from populace.cli.notebook import Line
from populace.cli.progress import Progress
from populace.core.population import sweep
from populace.engine.callbacks import Evaluation, Window
from populace.engine.training_loop import Engine
from tests.learners import Quadratic

SOUND = np.array([-1, -1])


def shown(
    windows: list[tuple[int, float]],
    begun: int = 0,
    diverged_at: np.ndarray = SOUND,
    losses: tuple[float, float] = (2.0, 2.0),
) -> str:
    """Return the last line that is shown of two members, after windows of so many seconds and a score."""
    out = io.StringIO()
    display = Progress(Console(file=out, width=200), kind="plain")
    display.steps = 100
    display.on_start(sweep(Quadratic(), seeds=2), begun)
    for step, seconds in windows:
        display.on_window(Window(step, {}, diverged_at, seconds))
    display._shown = -np.inf  # long ago
    display.on_evaluation(Evaluation(windows[-1][0], {"loss": np.array(losses)}, diverged_at))
    return out.getvalue().splitlines()[-1]


def test_without_a_terminal_phases_are_named_and_then_a_line_is_printed_every_five_seconds(monkeypatch):
    now, out = [100.0], io.StringIO()
    monkeypatch.setattr(progress.time, "perf_counter", lambda: now[0])
    display = Display(Console(file=out, width=200), kind="plain")
    display.phase("loading")
    shown = Progress(display=display)
    shown.steps = 100
    shown.on_phase("timing strategies")
    shown.on_phase("timing strategies")
    shown.on_start(sweep(Quadratic(), seeds=2), 0)
    assert out.getvalue().splitlines() == ["loading", "timing strategies", "compiling"]
    for step in range(1, 101):
        shown.on_window(Window(step, {}, SOUND, 0.2))
        shown.on_evaluation(Evaluation(step, {"loss": np.array([2.0, 2.0])}, SOUND))
        now[0] += 0.25
    shown.on_end(100)
    shown.on_end(100)
    shown.on_phase("measuring")
    lines = out.getvalue().splitlines()[3:]
    assert [line.split()[3] for line in lines] == ["1", "22", "43", "64", "85", "100"]


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


def test_the_score_of_one_that_diverged_is_the_worst():
    assert "loss 3 (3 to 3)" in shown([(10, 1.0)], diverged_at=np.array([-1, 4]), losses=(3.0, np.nan))


class Kernel:
    """IPython as it is in a notebook, as far as a display is concerned: outputs are kept as shown."""

    def __init__(self, monkeypatch: Any, kernel: Any = "kernel") -> None:
        self.outputs: list[dict[str, str]] = []
        shell = SimpleNamespace(kernel=kernel)
        module = SimpleNamespace(display=self.display)
        monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
        monkeypatch.setitem(sys.modules, "IPython.display", module)

    def display(self, shown: dict[str, str], *, raw: bool, display_id: bool) -> Any:
        assert raw
        assert display_id
        self.outputs.append(shown)
        at = len(self.outputs) - 1

        def update(shown: dict[str, str], *, raw: bool) -> None:
            assert raw
            self.outputs[at] = shown

        return SimpleNamespace(update=update)


def test_a_notebook_shows_one_output_that_is_updated(monkeypatch, capsys):
    kernel = Kernel(monkeypatch)
    engine = Engine(sweep(Quadratic(), seeds=2), "vmap")
    display = Progress()
    assert display.display.kind == "notebook"
    engine.callbacks = [display]
    engine.train(40, window=10, evaluate_every=20)
    (output,) = kernel.outputs
    assert output["text/plain"].startswith("100%  2 members  step 40 of 40  ")
    assert output["text/html"].startswith(
        '<progress max="1" value="1.0000"></progress>&ensp;100%&ensp; 2 members'
    )
    assert "loss " in output["text/plain"]
    assert capsys.readouterr().out == ""


def test_ipython_in_a_terminal_is_no_notebook(monkeypatch):
    Kernel(monkeypatch, kernel=None)
    assert Progress().display.kind == "plain"


def test_words_are_escaped_and_silence_is_kept(monkeypatch):
    kernel = Kernel(monkeypatch)
    Line().show(0.5, ["<b> & co"])
    assert "&lt;b&gt; &amp; co" in kernel.outputs[0]["text/html"]
    display = Progress(silent=True)
    display.on_end(3)
    assert len(kernel.outputs) == 1
