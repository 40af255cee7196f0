"""TOML of somebody else's: read within bounds, and what is beyond them is said in one line."""

import pytest

from populace.core.errors import UsageError
from populace.core.untrusted import toml
from populace.runs.recipe.parsing import parse

BEYOND = {
    "digits": ("a = " + "9" * 5000, "more than 64 bits"),
    "bits": ("a = 0x" + "f" * 100, "more than 64 bits"),
    "deep in a list": ("a = [{b = [" + "9" * 20 + "]}]", "more than 64 bits"),
    "lists in lists": ("a = " + "[" * 100_000, "nested too deeply"),
    "forty lists": ("a = " + "[" * 40 + "]" * 40, "nested too deeply"),
    "tables in tables": (".".join("abcdefgh" * 5) + " = 1", "nested too deeply"),
    # Four hundred kilobytes, for which the parser of the standard library takes an hour.
    "a key of many parts": (".".join(["a"] * 200_000) + " = 1", "a key of more than 64 parts"),
    "quoted parts": (" . ".join(['"a b"'] * 200_000) + " = 1", "a key of more than 64 parts"),
    "no TOML": ("a = = 1", "is not TOML"),
}


@pytest.mark.parametrize(("text", "said"), BEYOND.values(), ids=BEYOND)
def test_what_is_beyond_the_bounds_is_refused(text, said):
    with pytest.raises(UsageError, match=said) as told:
        toml.loads(text, "r.toml")
    assert str(told.value).startswith("r.toml ")


def test_what_is_within_them_is_read():
    text = f"a = {2**63 - 1}\nb = {-(2**63)}\nc = [[[1.5]]]\nabout = '{'one. ' * 1000}'\n[d.e.f]\ng = true"
    assert toml.loads(text, "x")["d"] == {"e": {"f": {"g": True}}}


RECIPES = {
    "leads elsewhere": ('name = "../../x"', "holds one of"),
    "a path": ("name = '/tmp/x'", "holds one of"),
    "parent": ('name = ".."', "begins or ends"),
    "hidden": ('name = ".x"', "begins or ends"),
    "an option": ('name = "--out"', "begins or ends"),
    "an escape sequence": ('name = "x\\u001b[2J"', "does not print"),
    "right to left": ('name = "x\\u202e"', "does not print"),
    "a device": ('name = "nul.toml"', "a device of Windows"),
    "too long": ('name = "' + "x" * 151 + '"', "more than 150 bytes"),
    "empty": ('name = ""', "is empty"),
    "no text": ("name = 3", "name must be text"),
    "steps": ("[run]\nsteps = 2147483648", "steps: input should be less than 1073741824"),
    "a data set": ('[learner]\nkind = "node-classifier"\ndataset = "../../x"', "the name of a data set"),
}


@pytest.mark.parametrize(("text", "said"), RECIPES.values(), ids=RECIPES)
def test_a_recipe_with_a_name_that_no_folder_has_is_refused(text, said):
    text = text if "[learner]" in text else f'{text}\n[learner]\nkind = "dqn"'
    with pytest.raises(UsageError, match=said) as told:
        parse(text, "r.toml").population().learner_of(0)
    assert str(told.value).isprintable()


def test_a_name_as_people_give_it_is_one():
    for name in ("cartpole", "cartpole, confirmed", "Müller 2 (v1.5)", "学習"):
        assert parse(f'name = "{name}"\n[learner]\nkind = "dqn"', "r.toml").name == name
