"""Names on a terminal: no escape sequence and no markup of theirs takes effect."""

import io
import warnings

from rich.table import Table

from populace.cli.output import Terminal, warning_line

HOSTILE = "x\x1b[31m\x1b]0;title\x07\u202ey[bold]z"


def test_a_terminal_prints_no_escape_sequence_of_a_name():
    out = io.StringIO()
    terminal = Terminal(file=out, width=200)
    terminal.print(HOSTILE, markup=False)
    table = Table.grid()
    table.add_row("one", HOSTILE.replace("[", r"\["))
    terminal.print(table)
    said = out.getvalue()
    assert not {"\x1b", "\x07", "\u202e"} & set(said)
    assert r"x\x1b[31m\x1b]0;title\u202ey[bold]z" in said.splitlines()[0]
    assert len(said.splitlines()) == 2, "lines stay lines"


def test_a_recipe_is_described_as_it_is_written(cli, tmp_path):
    file = tmp_path / "r.toml"
    file.write_text(
        'name = "x"\nabout = "a [bold red]b[/] \\u001b[2J c [/]"\n[learner]\nkind = "dqn"\n[sweep]\n'
        'env = ["CartPole-v1", "[red]x[/nothing] \\u001b[1m"]'
    )
    shown = cli("show", file)
    assert shown.code == 0
    assert r"a [bold red]b[/] \x1b[2J c [/]" in shown.out
    assert r"env: CartPole-v1, [red]x[/nothing] \x1b[1m" in shown.out
    assert "\x1b" not in shown.out


def test_a_word_of_ten_megabytes_is_answered_in_one_line(cli, tmp_path):
    file = tmp_path / "r.toml"
    file.write_text('[learner]\nkind = "dqn"')
    for words in (
        ["--set", "k" * 10**7 + "=1"],
        ["--steps", "9" * 10**6],
        ["--set", "batch_size=" + "9" * 5000],
    ):
        line = cli("run", file, "--out", tmp_path / "out", *words).refused(2)
        assert len(line) < 2_100


def test_a_warning_is_one_line_without_its_source(cli, monkeypatch):
    monkeypatch.setattr(warnings, "formatwarning", warnings.formatwarning)
    assert cli("--help").code == 0
    said = warnings.formatwarning(UserWarning("two\nlines \x1b[31m"), UserWarning, "a/b.py", 3, "x = 1")
    assert said == "populace: warning: two\\nlines \\x1b[31m\n"
    assert warning_line("old", DeprecationWarning, "a/b.py", 3) == "a/b.py:3: DeprecationWarning: old\n"
