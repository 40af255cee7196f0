"""A run goes on only with the recipe, the data and the tables that its checkpoint was trained with."""

import json
import shutil

import pytest

from populace.core.errors import RunError, UsageError
from populace.runs.integrity import continuity, manifest
from populace.runs.run import Run


def edit(folder, old, new):
    path = folder / "recipe.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


KIND = 'kind = "tests.learners:Quadratic"\n'
CHANGED = {
    "rate": (f"{KIND}learning_rate = 0.1", f"{KIND}learning_rate = 0.2", "learning_rate is 0.2, not 0.1"),
    "sweep": ("learning_rate = 0.05", "learning_rate = 0.06", "settings is "),
    "seed": ("\nseed = 0", "\nseed = 1", "run.seed is 1, not 0"),
    "seeds": ("seeds = [\n    0,", "seeds = [\n    7,", "run.seeds is [7, 1], not [0, 1]"),
    "log_every": ("log_every = 10", "log_every = 5", "run.log_every is 5, not 10"),
    "selection": ('"best"', '"last"', 'run.checkpoint_selection is "last", not "best"'),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGED)
def test_a_changed_recipe_is_refused_and_named(half, cli, change):
    old, new, named = CHANGED[change]
    edit(half, old, new)
    for command in (["resume", half, "--no-report"], ["evaluate", half]):
        line = cli(*command, "--trust").refused(2)  # a changed recipe is asked about again
        assert named in line
        assert "was changed after checkpoint 20" in line
        assert "put it back" in line
    edit(half, new, old)
    continuity.check(half, json.loads((half / "checkpoints" / "20" / "info.json").read_text()))


def test_what_trains_nothing_may_be_changed(half, trained):
    path = half / "recipe.toml"
    path.write_text(
        "# my note\n"
        + path.read_text()
        .replace("checkpoint_every = 30.0", "checkpoint_every = 1.0")
        .replace("checkpoints_kept = 3", "checkpoints_kept = 5")
        .replace('name = "run"', 'name = "mine"')
    )
    run = Run.load(half, trust=True).resume()
    assert run.finished
    assert run.metrics("train").equals(Run.load(trained).metrics("train"))


def test_fewer_steps_than_were_trained_are_refused(copy, cli):
    edit(copy, "steps = 40", "steps = 30")
    line = cli("resume", copy, "--no-report", "--trust").refused(2)
    assert "asks for 30 steps, and 40 have been trained" in line
    assert "damaged" in cli("list", "runs", "--in", copy.parent).out


def test_other_data_beside_a_checkpoint_are_refused(half):
    info = {"step": 20, **continuity.note(half), "data": "0" * 64}
    with pytest.raises(RunError, match=r"data.json' is not what checkpoint 20 was trained with"):
        continuity.check(half, info)


def test_tables_of_another_moment_are_refused(half):
    """A folder that was copied while it was trained: the tables are older than the checkpoint."""
    tables = half / "metrics"
    kept = manifest.read(tables)
    assert kept is not None
    manifest.keep(tables, kept[1:])
    with pytest.raises(RunError, match=r"metrics' is not what checkpoint 20 was written with"):
        Run.load(half).resume()


def test_a_checkpoint_of_another_run_is_refused(half, trained):
    edit(half, "learning_rate = 0.05", "learning_rate = 0.06")
    shutil.copytree(trained / "checkpoints" / "40", half / "checkpoints" / "40")
    with pytest.raises(UsageError, match="was changed after checkpoint 40: settings"):
        _ = Run.load(half, trust=True).engine
