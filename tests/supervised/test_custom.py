"""A network and a loss of the user's own: learned with, resumed exactly, and asked for by name."""

from pathlib import Path
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from populace.core.errors import UsageError
from populace.core.population import sweep
from populace.core.settings import setting
from populace.optim.optimizers import Optimizer
from populace.runs.recipe.options import Options
from populace.runs.recipe.recipe import of_population
from populace.runs.run import Run
from populace.runs.training.launch import run_recipe
from tests import harness
from tests.supervised.problems import classifier, regressor


def network_fn(inputs: tuple[int, ...], outputs: int, key: Any) -> eqx.nn.MLP:
    return eqx.nn.MLP(inputs[0], outputs, 8, 1, activation=jnp.tanh, key=key)


def focal(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Return `-(1 - p)^2 log p` of each label (Lin et al. 2017)."""
    log_p = jnp.sum(jax.nn.one_hot(labels, logits.shape[-1]) * jax.nn.log_softmax(logits), -1)
    return -((1 - jnp.exp(log_p)) ** 2) * log_p


def quartic(outputs: jax.Array, targets: jax.Array) -> jax.Array:
    return (outputs - targets) ** 4


class Halved(Optimizer):
    """Gradient descent at a share of the learning rate."""

    kind: ClassVar[str] = "halved"
    share: float = setting(0.5, above=0, help="share of the learning rate")

    def transformation(self, learning_rate: Any) -> optax.GradientTransformation:
        return optax.sgd(learning_rate * self.share)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of a classifier with a network and a loss of its own, whole and cut."""
    folder = tmp_path_factory.mktemp("custom")
    learner = classifier(network_fn=network_fn, loss_fn=focal)
    harness.check_resume_is_exact(sweep(learner, seeds=2), 150, folder)
    return folder


def test_it_learns(folder):
    (found,) = Run.load(folder / "whole", classifier(network_fn=network_fn, loss_fn=focal)).results()[
        "settings"
    ]
    assert found["test"]["iqm"][0] > 0.97


def test_a_run_says_what_its_recipe_cannot_make(folder):
    run = Run.load(folder / "whole")
    assert run.finished, "results can be read all the same"
    message = (
        r"was trained with a network_fn and a loss_fn of your own, .* give Run.load the learner of the run"
    )
    for ask in (lambda: run.best(), lambda: Run.load(folder / "whole", classifier(loss_fn=None))):
        with pytest.raises(UsageError, match=message) as caught:
            ask()
        assert "\n" not in str(caught.value)


def test_the_loss_is_the_one_that_was_given():
    outputs, y = np.zeros((3, 1), np.float32), np.array([[1.0], [2.0], [4.0]], np.float32)
    learner = regressor(loss_fn=quartic)
    z = (y - np.asarray(learner.data.y_mean)) / np.asarray(learner.data.y_deviation)
    np.testing.assert_allclose(learner.losses(outputs, y), z[:, 0] ** 4, rtol=1e-5)


def test_a_kind_that_is_not_imported_is_asked_for(tmp_path):
    population = sweep(regressor(optimizer=Halved()))
    options = Options(steps=2, strategy="vmap", final_evaluation_size=1)
    run = run_recipe(of_population("own", population, options), tmp_path / "run")
    text = run.recipe_text()
    (tmp_path / "run" / "recipe.toml").write_text(
        text.replace(f'kind = "{Halved.__module__}:Halved"', 'kind = "elsewhere"')
    )
    with pytest.raises(UsageError, match=r"trained on data of your own.*Run.load\(") as caught:
        _ = Run.load(tmp_path / "run").recipe
    assert "\n" not in str(caught.value)
