"""Words of somebody else's in a message: they do nothing to a terminal, and end."""

import pytest

from populace.core.errors import Advice, UsageError, first_line, unknown
from populace.core.untrusted.shown import escaped, line, shortened, shown


def test_what_does_not_print_is_written_out():
    assert escaped("red \x1b[31m, \x07, left \u202e, new\nline, tab\t") == (
        r"red \x1b[31m, \x07, left \u202e, new\nline, tab\t"
    )
    assert escaped("Grüße, 学習 — ok") == "Grüße, 学習 — ok"
    assert escaped("\udcff") == r"\udcff", "a name of bytes that are no text"


def test_a_long_text_keeps_its_ends():
    text = shortened("begin" + "x" * 10**6 + "end", 100)
    assert len(text) == 100
    assert text.startswith("begin")
    assert text.endswith("end")
    assert "1,000,008 characters" in text
    assert shortened("short") == "short"


def test_a_message_is_one_line_of_bounded_length():
    error = UsageError("\x1b[2J" + "k" * 10**7 + " is wrong\nand more", Advice("do this", "do that"))
    for said in (str(error), error.command_line, line("\n" * 10**6), first_line(ValueError("v" * 10**6))):
        assert len(said) <= 2000
        assert said.isprintable()
    assert error.command_line.endswith("; do that"), "the advice stays"


def test_an_unknown_name_is_short_however_long_it_is():
    error = str(unknown("setting", "k" * 10**7, ["learning_rate", "batch_size"], where=" of dqn"))
    assert len(error) < 300
    assert "10,000,000 characters" in error
    assert error.endswith("known: batch_size, learning_rate")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (3, "3"),
        ("text", "'text'"),
        ([1, 2.5, "a"], "[1, 2.5, 'a']"),
        (10**5000, "an integer of 16,610 bits"),
        ({"a": 10**5000}, "{'a': an integer of 16,610 bits}"),
    ],
    ids=["number", "text", "list", "digits", "table"],
)
def test_a_value_is_shown_as_python_writes_it(value, said):
    assert shown(value) == said


def test_a_large_value_is_shown_shortened():
    nested: list = []
    for _ in range(10_000):
        nested = [nested]
    for value in (nested, "x" * 10**6, list(range(10**6)), {i: i for i in range(10**5)}, object()):
        assert len(shown(value)) < 500
