"""Whether a learner is the one that a run was trained by: what a folder knows of its data and settings."""

from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.runs.fingerprint import check_settings, digest
from populace.runs.recipe.recipe import Recipe
from populace.supervised import Classifier, Data
from tests.learners import Quadratic, Table

RUN = Path("a run")


def test_a_digest_tells_content_shape_and_type():
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    known = digest(Table(data=x))
    assert len(known) == 64
    assert digest(Table(data=jnp.asarray(x), rate=0.1)) == known
    others = (x + 1, x.T, x.reshape(3, 2), x[None], x.view(np.int32), x.astype(np.float64))
    assert known not in (found := {digest(Table(data=other)) for other in others})
    assert len(found) == len(others)
    assert digest(Quadratic()) == ""


def test_examples_in_files_have_the_digest_of_the_array(tmp_path):
    x, y = np.random.default_rng(0).normal(size=(20, 3)), np.arange(20) % 2
    known = digest(Classifier(Data.from_classes(x, y)))
    for name, values in {"same": x, "other": np.where(np.arange(20)[:, None] == 13, x + 1, x)}.items():
        np.save(tmp_path / f"{name}.npy", values)
        found = digest(Classifier(Data.from_classes(tmp_path / f"{name}.npy", y)))
        assert (found == known) == (name == "same")


def test_a_setting_that_an_old_recipe_does_not_know_counts_as_its_default():
    lines = Recipe("run", Quadratic(learning_rate=0.3)).text().splitlines()
    (unknown,) = (line for line in lines if line.startswith("limit ="))
    old = "\n".join(line for line in lines if line != unknown)
    check_settings(RUN, old, Quadratic(learning_rate=0.3))
    with pytest.raises(UsageError, match=r"limit is 3.0, the run has 10.0; give"):
        check_settings(RUN, old, Quadratic(learning_rate=0.3, limit=3.0))
    with pytest.raises(UsageError, match=r"learning_rate is 0.1, the run has 0.3; give"):
        check_settings(RUN, old, Quadratic())
