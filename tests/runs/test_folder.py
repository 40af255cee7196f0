"""A run folder of another format is refused in one line."""

import json
import math

import pytest

from populace.core.errors import UsageError
from populace.runs.folder import FORMAT, check_format, keep_json, new, read_json
from populace.runs.outcome.scores.made import Made
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


def test_a_refusal_speaks_python_in_python_and_options_on_the_command_line(tmp_path):
    (tmp_path / "recipe.toml").touch()
    with pytest.raises(UsageError) as refused:
        new(tmp_path, "run", overwrite=False).__enter__()
    python, typed = str(refused.value), refused.value.command_line
    assert f"Run.load('{tmp_path}').resume() goes on with it, overwrite=True replaces it" in python
    assert f"`populace resume {tmp_path}` goes on with it, --overwrite replaces it" in typed
    with pytest.raises(UsageError, match=r"is a file; choose another with out=\.\.\.$") as refused:
        new(tmp_path / "recipe.toml", "run", overwrite=False).__enter__()
    assert refused.value.command_line.endswith("; choose another with --out")


def test_its_own_format_is_read(finished):
    assert json.loads((finished / "environment.json").read_text())["format"] == FORMAT
    assert Run.load(finished).results()["format"] == FORMAT


def test_the_results_of_many_members_are_a_line_for_each_entry_and_sealed_all_the_same(tmp_path):
    for many in (1000, 1001):
        value = {"best": {"member": 3}, "members": [{"member": i, "score": float(i)} for i in range(many)]}
        lazy = value | {"members": Made(many, value["members"].__getitem__)}
        for given in (value, lazy):
            keep_json(tmp_path, "many.json", given)
            assert read_json(tmp_path, "many.json", "") == value
            keep_json(tmp_path, "nan.json", given | {"scores": [math.nan] * many})
            assert read_json(tmp_path, "nan.json", "") == value | {"scores": [None] * many}
        lines = (tmp_path / "many.json").read_text().splitlines()
        assert len(lines) == 5 if many > 1000 else len(lines) > many
