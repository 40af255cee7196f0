"""A few mutated files and recipes; `python -m tests.fuzz` runs as many as one likes."""

import random
import tomllib

import pytest

from populace.core.errors import PopulaceError
from populace.runs.recipe.parsing import parse
from tests.fuzz import cases, mutations, samples

FILES, FOLDERS, RECIPES = 250, 6, 60


@pytest.fixture
def loaders(tmp_path):
    return samples.loaders(tmp_path)


def test_every_sound_file_is_read(loaders):
    for path, reader in loaders.values():
        reader(path)


def test_a_mutated_file_is_read_or_refused(loaders):
    faults = []
    for number in range(FILES):
        rng = random.Random(number)
        name = rng.choice(list(loaders))
        path, reader = loaders[name]
        found = cases.read(rng, path, path.read_bytes(), reader)
        if found.is_fault:
            faults.append((number, name, found))
    assert not faults


def test_a_mutated_run_folder_is_described_or_refused(finished, tmp_path):
    at = tmp_path / "run"
    found = [cases.of_a_folder(random.Random(number), finished, at) for number in range(FOLDERS)]
    assert not [outcome for outcome in found if outcome.is_fault]


def test_a_mutated_recipe_is_read_or_refused():
    faults = []
    for number in range(RECIPES):
        rng = random.Random(number)
        text = cases.RECIPES[rng.choice(list(cases.RECIPES))]
        tree = mutations.changed(rng, tomllib.loads(text))
        damaged = mutations.damaged(rng, text.encode()).decode(errors="replace")
        for given in (cases.written(tree) or text, damaged):
            try:
                parse(given, "r.toml").population(check=False)
            except PopulaceError as error:
                if cases.judged(str(error)).is_fault:
                    faults.append((number, str(error)))
            except Exception as error:
                faults.append((number, repr(error)[:300]))
    assert not faults


def test_what_is_a_fault_is_known_for_one(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"sound")

    def of(error):
        def reader(_):
            raise error

        return cases.read(random.Random(0), path, b"sound", reader)

    assert of(PopulaceError("one line")).what == "refused"
    assert of(KeyError("x")).is_fault
    assert cases.judged("x" * 5000).is_fault
    assert cases.judged("two\nlines").is_fault
    assert cases.of_a_command("list", "nothing").what == "refused"
