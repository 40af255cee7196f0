"""A run that is opened with another learner than it was trained with."""

import dataclasses
import json

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest

from populace.core.errors import UsageError
from populace.core.population import sweep
from populace.runs.recipe.options import Options
from populace.runs.recipe.recipe import of_population
from populace.runs.run import Run
from populace.runs.training.launch import run_recipe
from populace.runs.training.session import Stopped
from populace.supervised import MLP, Data, Momentum
from tests.supervised.problems import blobs, classifier, regressor


@pytest.fixture(scope="module")
def halted(tmp_path_factory):
    """A run of `classifier()` that was stopped with a checkpoint."""
    folder = tmp_path_factory.mktemp("halted") / "run"
    recipe = of_population("halted", sweep(classifier()), Options(steps=40, strategy="vmap", log_every=10))
    with pytest.raises(Stopped):
        run_recipe(recipe, folder, stop=lambda: True)
    return folder


def moved(learner):
    data = Data.from_classes(blobs()[0] + 1, blobs()[1], test=blobs(seed=1), validation=0.2)
    return dataclasses.replace(learner, data=data)


OTHERS = {
    "other data": (lambda: moved(classifier()), r"data are not those that '.*run' was trained on"),
    "another width": (
        lambda: classifier(network=MLP(hidden_sizes=(9,))),
        r"differs from the recipe.*network.hidden_sizes is \[9\], the run has \[8\]",
    ),
    "another kind of optimizer": (
        lambda: classifier(optimizer=Momentum()),
        r"differs from the recipe.*optimizer.kind is 'momentum', the run has 'adam'",
    ),
    "another rate": (lambda: classifier(learning_rate=0.5), "learning_rate is 0.5, the run has 0.01"),
    "another learner": (regressor, "was trained by a Classifier, not a Regressor"),
}


@pytest.mark.parametrize(("other", "message"), OTHERS.values(), ids=OTHERS)
def test_a_run_is_not_opened_with_another_learner(halted, other, message):
    with pytest.raises(UsageError, match=message):
        Run.load(halted, other())


def test_a_checkpoint_of_another_network_is_not_called_damaged(halted):
    """Two networks of the user's own look alike to a recipe."""
    other = dataclasses.replace(classifier(), network_fn=lambda i, o, key: eqx.nn.Linear(i[0], o, key=key))
    for act in (lambda run: run.resume(), lambda run: run.evaluate(1)):
        with pytest.raises(UsageError, match=r"checkpoint [0-9]+ of '.*run' does not fit the learner"):
            act(Run.load(halted, other))
    assert sorted(p.name for p in (halted / "checkpoints").iterdir())


def test_data_are_told_by_their_content_alone(halted):
    learner = classifier()
    run = Run.load(halted, dataclasses.replace(learner, data=jax.tree.map(jnp.asarray, learner.data)))
    assert run.resume().finished
    assert len(json.loads((halted / "data.json").read_text())["sha256"]) == 64
    (halted / "data.json").unlink()
    assert Run.load(halted, moved(classifier())).finished, "an older folder has no digest to go by"
