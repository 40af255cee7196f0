"""One small run, stopped once: checkpoints of the steps 20 and 40, and parts of tables for both sittings."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from populace.core.population import sweep
from populace.runs.recipe.options import Options
from populace.runs.recipe.recipe import of_population
from populace.runs.run import Run
from populace.runs.training.launch import run_recipe
from populace.runs.training.session import Stopped
from tests.conftest import Reached
from tests.learners import Quadratic


@pytest.fixture(scope="session")
def trained(tmp_path_factory) -> Path:
    """The finished run. Read only."""
    folder, reached = tmp_path_factory.mktemp("integrity") / "run", Reached(20)
    options: Any = {"strategy": "vmap", "final_evaluation_size": 1, "log_every": 10, "evaluate_every": 20}
    population = sweep(Quadratic(), {"learning_rate": [0.1, 0.05]}, seeds=2)
    recipe = of_population("run", population, Options(steps=40, seeds=[0, 1], **options))
    with pytest.raises(Stopped):
        run_recipe(recipe, folder, callbacks=[reached], stop=reached.is_over)
    Run.load(folder).resume()
    return folder


@pytest.fixture
def copy(trained, tmp_path) -> Path:
    """The finished run, to do with as one likes."""
    return Path(shutil.copytree(trained, tmp_path / "run"))


@pytest.fixture
def half(copy) -> Path:
    """The run as it was stopped, to do with as one likes."""
    (copy / "results.json").unlink()
    shutil.rmtree(copy / "checkpoints" / "40")
    return copy
