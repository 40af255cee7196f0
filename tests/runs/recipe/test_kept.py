"""The recipe that a run folder keeps."""

import pytest

from populace.core.errors import RunError
from populace.runs.recipe import kept
from populace.runs.recipe.parsing import parse


def test_the_recipe_of_a_run_is_that_of_its_text(finished):
    text = kept.text_of(finished)
    assert kept.recipe_of(finished).text() == parse(text, "as it is").text() == text


def test_what_cannot_be_read_is_told_in_one_line(tmp_path):
    with pytest.raises(RunError, match=r"cannot read '.*recipe.toml': No such file or directory$"):
        kept.text_of(tmp_path)
    (tmp_path / kept.FILE).write_bytes(b'name = "\xff"')
    with pytest.raises(RunError, match=r"cannot read '.*recipe.toml': it is not text$"):
        kept.recipe_of(tmp_path)
