"""populace trains whole populations of neural networks and agents as one compiled program.

    import populace as pop

    run = pop.train(pop.sweep(pop.rl.DQN(), {"learning_rate": [1e-3, 3e-4]}, seeds=8), steps=10_000)

Names are imported when they are first used: the command line's help must not wait for JAX.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from populace import (
        analysis,
        forecasting,
        graphs,
        images,
        nn,
        optim,
        physics,
        report,
        rl,
        statistics,
        supervised,
        text,
        tuning,
    )
    from populace.cli.progress import Progress
    from populace.core.errors import PopulaceError, RunError, UsageError
    from populace.core.learner import Learner
    from populace.core.mean import Mean
    from populace.core.media import Image, Video
    from populace.core.population import Population, sweep
    from populace.core.settings import Settings, setting
    from populace.core.swept import LogUniform, Uniform
    from populace.engine.callbacks import Callback, Evaluation, Window
    from populace.engine.controller import Controller, Decision
    from populace.engine.placement import setup
    from populace.runs.run import Run
    from populace.runs.trained_member import Trained, load_trained
    from populace.runs.training.launch import train

_HOME = {
    "Callback": "engine.callbacks", "Evaluation": "engine.callbacks", "Window": "engine.callbacks",
    "Controller": "engine.controller", "Decision": "engine.controller",
    "Progress": "cli.progress",
    "Learner": "core.learner", "Mean": "core.mean", "Image": "core.media", "Video": "core.media",
    "LogUniform": "core.swept", "Population": "core.population", "Uniform": "core.swept",
    "sweep": "core.population", "PopulaceError": "core.errors", "RunError": "core.errors",
    "UsageError": "core.errors", "Run": "runs.run", "Trained": "runs.trained_member",
    "load_trained": "runs.trained_member", "train": "runs.training.launch",
    "Settings": "core.settings", "setting": "core.settings", "setup": "engine.placement",
}  # fmt: skip
_ROOMS = (
    "analysis", "forecasting", "graphs", "images", "nn", "optim", "physics", "report", "rl", "statistics",
    "supervised", "text", "tuning",
)  # fmt: skip

__all__ = [
    "Callback", "Controller", "Decision", "Evaluation", "Image", "Learner", "LogUniform", "Mean",
    "PopulaceError", "Population", "Progress", "Run", "RunError", "Settings", "Trained", "Uniform",
    "UsageError", "Video", "Window", "analysis", "forecasting", "graphs", "images", "load_trained", "nn",
    "optim", "physics", "report", "rl", "setting", "setup", "statistics", "supervised", "sweep", "text",
    "train",
    "tuning",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f"populace.{_HOME[name]}"), name)
    if name in _ROOMS:
        return importlib.import_module(f"populace.{name}")
    if name == "__version__":
        from importlib.metadata import version

        return version("populace")
    raise AttributeError(f"module 'populace' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)
