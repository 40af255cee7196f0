"""The live line of a terminal: its phases, and what is left out where it is narrow."""

import io

import pytest
from rich.console import Console

from populace.cli.display import TRAINING, Display, Part, _bar

PARTS = [
    Part(5, "16 members"), Part(0, "step 30 of 100"), Part(4, "20 steps/s"), Part(1, "loss 2 (1 to 3)"),
    Part(2, "0:07 left"), Part(3, "1 diverged"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("width", "line"),
    [
        (20, " 30%  step 30 of 100"),
        (40, " 30%  step 30 of 100  loss 2 (1 to 3)"),
        (60, " 30%  step 30 of 100  loss 2 (1 to 3)  0:07 left  1 diverged"),
        (75, " 30%  step 30 of 100  20 steps/s  loss 2 (1 to 3)  0:07 left  1 diverged"),
        (12, " 30%"),
    ],
)
def test_a_narrow_terminal_leaves_out_what_matters_least(width, line):
    assert _bar(0.3, PARTS, width).plain == line


@pytest.mark.parametrize("width", [10, 33, 58, 80, 100, 108, 109, 200])
def test_a_line_never_wraps(width):
    line = _bar(0.3, PARTS, width)
    assert line.cell_len <= width
    assert ("━" in line.plain) == (width >= 109)


def test_a_terminal_names_the_phase_at_once_in_one_line_and_leaves_nothing():
    out = io.StringIO()
    console = Console(file=out, width=40, force_terminal=True, color_system=None)
    with Display(console, kind="terminal") as display:
        display.phase("loading")
        assert "loading ..." in out.getvalue()
        display.progress(0.3, PARTS)
        assert display.now == TRAINING
        display.phase("measuring", live=True)
        assert "measuring ..." in out.getvalue()
    assert "\x1b[2K" in out.getvalue().rpartition("...")[2], "the live line is taken away"


def test_what_a_line_says_already_is_no_line_of_its_own_and_silence_is_kept():
    out = io.StringIO()
    plain, silent = (Display(Console(file=out, width=80), kind="plain", silent=s) for s in (False, True))
    for display in (plain, silent):
        display.phase("compiling")
        display.phase("measuring", live=True)
        assert display.now == "measuring"
    assert out.getvalue() == "compiling\n"
