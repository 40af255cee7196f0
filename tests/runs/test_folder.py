"""A run folder of another format is refused in one line."""

import json

import pytest

from populace.core.errors import UsageError
from populace.runs.folder import FORMAT, check_format
from populace.runs.run import Run


@pytest.mark.parametrize(
    ("note", "found"), [({"populace": "0.0.9"}, 1), ({"format": FORMAT + 1}, FORMAT + 1)]
)
def test_another_format_is_refused(tmp_path, note, found):
    (tmp_path / "recipe.toml").write_text("steps = 1")
    (tmp_path / "environment.json").write_text(json.dumps(note))
    with pytest.raises(UsageError, match=f"has format {found}, this version of populace reads {FORMAT}"):
        Run.load(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "{"])
def test_a_damaged_note_says_nothing(tmp_path, text):
    (tmp_path / "environment.json").write_text(text)
    check_format(tmp_path)


def test_its_own_format_is_read(finished):
    assert json.loads((finished / "environment.json").read_text())["format"] == FORMAT
    assert Run.load(finished).results()["format"] == FORMAT
