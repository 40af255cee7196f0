"""What a session compiles, and what it tells about members that diverge."""

import json

import jax
import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.core.population import sweep
from populace.engine.programs import compiled, compiled_cache
from populace.runs.recipe.options import Options
from populace.runs.recipe.recipe import of_population
from populace.runs.run import Run
from populace.runs.training.launch import run_recipe, train
from populace.runs.training.session import Stopped
from tests import programs
from tests.conftest import outcome_of
from tests.learners import Quadratic

OPTIONS = {"strategy": "vmap", "final_evaluation_size": 1, "log_every": 10, "evaluate_every": 20}


def test_a_second_population_of_the_same_structure_compiles_nothing(tmp_path):
    train(sweep(Quadratic(), {"learning_rate": [0.1, 0.03]}, seeds=2), 40, out=tmp_path / "one", **OPTIONS)
    before = programs.compiled()
    other = sweep(Quadratic(), {"learning_rate": [0.2, 0.05]}, seeds=[5, 6])
    train(other, 60, out=tmp_path / "other", **OPTIONS)
    assert programs.compiled() == before
    train(sweep(Quadratic(width=4), seeds=2), 10, out=tmp_path / "wider", **OPTIONS)
    assert programs.compiled() > before


def test_opening_a_run_and_asking_its_best_member_compiles_no_training(finished, monkeypatch):
    compiled_cache.forget()
    jax.clear_caches()

    def forbidden(*args):
        raise AssertionError("training was compiled, or members were made")

    for name in ("begin", "advance", "_ready_to_advance"):
        monkeypatch.setattr(compiled.Compiled, name, forbidden)
    before = programs.compiled()
    best = Run.load(finished).best()
    assert programs.compiled() - before <= 12  # arrays are brought to their devices, and a key is made
    before = programs.compiled()
    assert best.policy(np.zeros(4, np.float32)) in (0, 1)
    assert programs.compiled() - before <= 2


def test_a_member_that_diverges_is_named_once(tmp_path):
    lines = []
    run = train(
        sweep(Quadratic(), {"fuse": [1e9, 15]}, seeds=[7]),
        60,
        out=tmp_path / "run",
        log=lines.append,
        **OPTIONS,
    )
    (line,) = [line for line in lines if "member 1" in line]
    assert line == ("member 1 (seed 7, fuse 15) is not finite since step 15: frozen, the others go on")
    results = run.results()
    assert [m["diverged_at"] for m in results["members"]] == [None, 15]
    assert json.loads((run.path / "environment.json").read_text())["format"]
    # It counts as the model that it began with: its step was 0 when the first evaluation would have been.
    untrained = run.engine.group_states[0].program.begin().state["weights"]
    floor = float(np.mean((np.asarray(untrained[1]) - 1) ** 2))
    assert results["score"]["floor"] == "the untrained model"
    assert results["settings"][1]["floor"]["loss"] == pytest.approx(floor, rel=1e-5)
    assert results["settings"][1]["test"]["scores"] == [pytest.approx(floor, rel=1e-5)]
    assert results["settings"][1]["test"]["success_rate"][0] == 0
    assert results["settings"][0]["floor"] == {}


@pytest.mark.parametrize("after", [0, 2])
def test_a_run_that_is_stopped_at_once_or_later_ends_where_it_would_have(tmp_path, after):
    population = sweep(Quadratic(), {"learning_rate": [0.1, 0.03]}, seeds=2)
    whole = train(population, 60, out=tmp_path / "whole", **OPTIONS)
    asked = iter([*[False] * after, *[True] * 99])
    recipe = of_population("run", population, Options(steps=60, seeds=[0, 1], **OPTIONS))
    with pytest.raises(Stopped, match=r"go on with Run\.load"):
        run_recipe(recipe, tmp_path / "cut", stop=lambda: next(asked))
    cut = Run.load(tmp_path / "cut")
    assert not cut.finished
    assert outcome_of(cut.resume().path) == outcome_of(whole.path)


def test_a_winner_is_confirmed_on_new_seeds_and_to_the_bit_if_it_is_interrupted(tmp_path):
    population = sweep(Quadratic(), {"learning_rate": [0.03, 0.1, 20.0]}, seeds=[0, 2])
    whole = train(population, 60, out=tmp_path / "whole", confirm=3, **OPTIONS)
    found = whole.results()
    confirmed = found["confirmation"]
    assert confirmed["seeds"] == [1, 3, 4]
    assert [s["setting"] for s in confirmed["settings"]] == [found["best"]["setting"], found["best"]["rival"]]
    assert 2 not in (found["best"]["setting"], found["best"]["rival"])  # it diverges
    assert all(s["test"]["n"] == 3 for s in confirmed["settings"])
    # A member of the confirmation is that member of a run with all seeds.
    more = train(
        population.__class__(population.learner, population.settings, (1,)),
        60,
        out=tmp_path / "more",
        **OPTIONS,
    )
    alone = more.results()["settings"][found["best"]["setting"]]["test"]["scores"][0]
    assert confirmed["settings"][0]["test"]["scores"][0] == pytest.approx(alone, rel=1e-5)

    trained, asked = [], iter([False] * 3 + [True] * 99)
    recipe = of_population("run", population, Options(steps=60, seeds=[0, 2], confirm=3, **OPTIONS))

    def stop() -> bool:
        return bool(trained) and next(asked)

    def log(line: str) -> None:
        if "confirming" in line:
            trained.append(line)

    with pytest.raises(Stopped, match=r"go on with .*cut"):
        run_recipe(recipe, tmp_path / "cut", stop=stop, log=log)
    cut = Run.load(tmp_path / "cut")
    assert cut.results()["status"] == "finished"
    assert not cut.finished
    cut = Run.load(cut.resume().path)
    assert cut.finished
    assert cut.results()["confirmation"]["settings"] == confirmed["settings"]
    assert outcome_of(cut.path / "confirmation") == outcome_of(whole.path / "confirmation")
    # Another number of seeds begins anew; the same number has nothing left to do.
    assert cut.confirm(2).results()["confirmation"]["seeds"] == [1, 3]
    with pytest.raises(UsageError, match="seeds must be a whole number"):
        cut.confirm(0)


def test_what_cannot_be_confirmed_is_told(tmp_path):
    lines = []
    one = train(sweep(Quadratic(), seeds=2), 60, out=tmp_path / "one", confirm=2, **OPTIONS)
    assert one.finished
    with pytest.raises(UsageError, match="it has one setting"):
        one.confirm()
    bad = sweep(Quadratic(), {"fuse": [15.0, 16.0]}, seeds=[7])
    dead = train(bad, 60, out=tmp_path / "dead", confirm=2, log=lines.append, **OPTIONS)
    assert dead.results()["confirmation"] is None
    assert any("not confirmed: all members diverged" in line for line in lines)
