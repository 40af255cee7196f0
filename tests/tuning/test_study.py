"""A study asks for settings and is told what they scored; no trial is lost or trained twice."""

import enum
import types
from typing import Any

import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.core.swept import LogUniform
from populace.runs.run import Run
from populace.tuning import optimize
from populace.tuning.study import _Axis
from tests.learners import Quadratic

State = enum.Enum("State", ["RUNNING", "COMPLETE", "FAIL"])
AXES = {"learning_rate": LogUniform(1e-3, 1.0), "limit": [5.0, 10.0]}
OPTIONS: dict = {"strategy": "vmap", "log_every": 10, "evaluate_every": 10, "final_evaluation_size": 1}


class Trial:
    """A trial as Optuna's: parameters and attributes."""

    def __init__(self, number: int) -> None:
        self.number, self.state, self.value = number, State.RUNNING, None
        self.params: dict[str, Any] = {}
        self.user_attrs: dict[str, Any] = {}
        self.rng = np.random.default_rng(number)

    def suggest_float(self, name: str, low: float, high: float, *, log: bool) -> None:
        assert log
        self.params[name] = float(np.exp(self.rng.uniform(np.log(low), np.log(high))))

    def suggest_categorical(self, name: str, choices: list[Any]) -> None:
        assert all(isinstance(c, str | float | int) for c in choices)
        self.params[name] = choices[self.rng.integers(len(choices))]

    def set_user_attr(self, name: str, value: Any) -> None:
        self.user_attrs[name] = value


class Study:
    """A study that draws at random and can be killed: what it was asked for and not told stays running."""

    def __init__(self, *directions: str) -> None:
        self.directions = [types.SimpleNamespace(name=d.upper()) for d in directions]
        self.trials: list[Trial] = []

    def ask(self) -> Trial:
        self.trials.append(Trial(len(self.trials)))
        return self.trials[-1]

    def tell(self, number: int, value: float | None = None, state: Any = None) -> None:
        trial = self.trials[number]
        assert trial.state is State.RUNNING
        trial.value, trial.state = value, state or State.COMPLETE

    def get_trials(self, *, deepcopy: bool) -> list[Trial]:
        assert not deepcopy
        return list(self.trials)


def test_every_trial_is_told_the_score_of_its_setting(tmp_path):
    study = Study("minimize")
    runs = optimize(study, Quadratic(), AXES, 20, trials=5, batch=3, seeds=2, out=tmp_path, **OPTIONS)
    assert [len(run.results()["settings"]) for run in runs] == [3, 2]
    assert sorted(folder.name for folder in tmp_path.iterdir()) == ["trials-0000-0002", "trials-0003-0004"]
    for trial in study.trials:
        run = Run.load(trial.user_attrs["populace_folder"])
        (entry,) = [e for e in run.results()["settings"] if e["values"] == trial.params]
        assert trial.value == entry["validation"]["iqm"][0]
        assert trial.state is State.COMPLETE


def test_a_killed_search_finishes_the_trials_that_it_was_asked_for(tmp_path):
    def killed(line: str) -> None:
        if "measuring" in line:
            raise KeyboardInterrupt

    study, plan = Study("minimize"), {"trials": 4, "batch": 2, "out": tmp_path}
    with pytest.raises(KeyboardInterrupt):
        optimize(study, Quadratic(), AXES, 20, log=killed, **plan, **OPTIONS)
    study.ask()  # asked for by somebody else
    later = [study.ask() for _ in range(2)]  # of a batch whose folder was never made
    for trial in later:
        trial.params = {"learning_rate": 0.1, "limit": 5.0}
        trial.set_user_attr("populace_folder", str(tmp_path / "trials-0003-0004"))
    runs = optimize(study, Quadratic(), AXES, 20, **plan, **OPTIONS)
    assert [run.path.name for run in runs] == ["trials-0000-0001", "trials-0003-0004"]
    assert [trial.state.name for trial in study.trials] == ["COMPLETE"] * 2 + ["RUNNING"] + ["COMPLETE"] * 2
    assert later[0].value == later[1].value  # one setting, trained once
    assert len(runs[1].results()["settings"]) == 1


def test_a_trial_of_which_every_member_diverged_has_failed(tmp_path):
    study = Study("minimize")
    optimize(study, Quadratic(), {"fuse": [2.0]}, 10, trials=1, seeds=2, out=tmp_path / "run", **OPTIONS)
    assert [trial.state for trial in study.trials] == [State.FAIL]


def test_values_that_are_no_numbers_or_words_are_chosen_by_their_names():
    axis, trial = _Axis("hidden_sizes", [(8,), (8, 8)]), Trial(0)
    axis.suggest(trial)
    assert trial.params["hidden_sizes"] in ("(8,)", "(8, 8)")
    assert axis.value({"hidden_sizes": "(8, 8)"}) == (8, 8)
    assert _Axis("kind", ["a", None]).value({"kind": None}) is None


@pytest.mark.parametrize(
    ("directions", "more", "words"),
    [
        (("maximize",), {}, r"the study is to maximize, and the loss is better the lower .*'minimize'"),
        (("minimize", "minimize"), {}, "a study of one objective is needed, the loss; this one has 2"),
        (("minimize",), {"trials": 0}, "trials must be a whole number of at least 1, got 0"),
        (("minimize",), {"axes": {}}, "axes are empty"),
        (("minimize",), {"axes": {"limit": []}}, "the list of 'limit' is empty"),
    ],
)
def test_what_cannot_be_searched_is_refused_before_a_trial_is_asked_for(directions, more, words, tmp_path):
    study, options = Study(*directions), {"axes": AXES, "steps": 10, "trials": 2} | more
    with pytest.raises(UsageError, match=words):
        optimize(study, Quadratic(), out=tmp_path, **options)
    assert not study.trials


def test_optuna_finds_the_better_learning_rate(tmp_path):
    optuna = pytest.importorskip("optuna", reason="optuna is not installed (pip install 'populace[tune]')")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="minimize", sampler=optuna.samplers.TPESampler(seed=0))
    axes = {"learning_rate": [1e-4, 0.2]}
    optimize(study, Quadratic(), axes, 20, trials=4, batch=4, out=tmp_path, **OPTIONS)
    assert study.best_params == {"learning_rate": 0.2}
    assert len(study.get_trials()) == 4
