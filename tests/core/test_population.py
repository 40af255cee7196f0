"""Sweeps: who is in a population."""

import math

import jax
import numpy as np
import pytest

from populace.core import population, swept
from populace.core.errors import UsageError
from populace.core.population import sweep
from populace.core.swept import LogUniform, Uniform
from populace.rl import DQN
from populace.runs.training.launch import train
from tests.learners import Quadratic


def test_a_grid_takes_every_combination_with_every_seed():
    population = sweep(Quadratic(), {"learning_rate": [0.1, 0.2], "limit": [1.0, 2.0, 3.0]}, seeds=4)
    assert len(population) == 24
    pairs = {(s["learning_rate"], s["limit"]) for s in population.settings}
    assert pairs == {(a, b) for a in (0.1, 0.2) for b in (1.0, 2.0, 3.0)}
    assert [m.seed for m in population.members[:4]] == [0, 1, 2, 3]


def test_a_dotted_path_reaches_a_nested_module():
    population = sweep(DQN(), {"exploration.decay": [0.9, 0.95]})
    assert population.learner_of(1).exploration.decay == 0.95
    assert population.groups[0].learner.exploration.decay.shape == (2,)


@pytest.mark.parametrize(
    ("learner", "axes", "steps", "most"),
    [
        (DQN(), {}, 2**29, "536,870,911"),
        (DQN(), {"num_envs": [2, 8]}, 2**28, "268,435,455"),
        (DQN(), {"learning_rate": [0.1, 0.2]}, 2**29, "536,870,911"),
        (Quadratic(), {}, 2**31, "2,147,483,647"),
    ],
)
def test_more_steps_than_a_member_can_count_are_refused(learner, axes, steps, most, tmp_path):
    population = sweep(learner, axes)
    population.check_steps(steps - 1)
    with pytest.raises(UsageError, match=f"steps {steps:,} are too many: .* a member counts at most {most}"):
        population.check_steps(steps)
    with pytest.raises(UsageError, match="steps"):  # in the recipe's words where no learner could count them
        train(population, steps, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_axes_of_structure_become_groups():
    axes = [
        {"width": w, "learning_rate": r}
        for w, r in ((2, 0.1), (2, 0.2), (3, 0.1), (3, 0.2), (2, 0.3), (2, 0.4))
    ]
    population = sweep(Quadratic(), axes, seeds=2)
    assert [len(g.members) for g in population.groups] == [8, 4]
    assert [g.learner.width for g in population.groups] == [2, 3]
    indices = sorted(m.index for g in population.groups for m in g.members)
    assert indices == list(range(12))


def test_who_belongs_to_a_setting_is_known_without_a_look_at_all_members():
    population = sweep(Quadratic(), {"width": [2, 3], "learning_rate": [0.1, 0.2]}, seeds=[4, 9, 5])
    for setting in range(4):
        own = [m.index for m in population.members if m.setting == setting]
        assert list(population.members_of(setting)) == own
    for group in population.groups:
        assert group.indices.tolist() == [m.index for m in group.members]


def test_each_setting_makes_its_learner_once(monkeypatch):
    made = []
    applied = swept.applied
    monkeypatch.setattr(swept, "applied", lambda *given: made.append(given) or applied(*given))
    settings = sweep(Quadratic(), {"learning_rate": np.linspace(0.1, 0.2, 30).tolist()})
    assert len(settings.groups) == 1
    settings.check_steps(5)
    assert len(made) == 30


def test_a_member_costs_no_look_at_its_learner(monkeypatch):
    looked = []
    shape = population._shape
    monkeypatch.setattr(population, "_shape", lambda leaf: looked.append(leaf) or shape(leaf))
    many = sweep(Quadratic(), {"learning_rate": [0.1, 0.2]}, seeds=500)
    (group,) = many.groups
    assert len(looked) == 2 * len(jax.tree.leaves(Quadratic()))
    np.testing.assert_array_equal(group.learner.learning_rate, np.repeat(np.float32([0.1, 0.2]), 500))
    assert group.learner.limit.shape == ()


def test_the_values_of_an_axis_are_listed_once_in_their_order():
    settings = [{"exploration": e, "num_envs": n} for e in ("constant", "linear") for n in (8, 2, 4)]
    assert sweep(DQN(), settings).axes == {"exploration": ["constant", "linear"], "num_envs": [8, 2, 4]}
    tables = [{"exploration": {"kind": "constant", "value": v}} for v in (0.1, 0.2)]
    assert sweep(DQN(), tables).axes == {"exploration": [t["exploration"] for t in tables]}


def test_one_member_is_the_population_of_its_setting_its_seed_and_the_root_seed():
    population = sweep(Quadratic(), {"learning_rate": [0.1, 0.2]}, seeds=[4, 7], seed=3)
    alone = population.only(population.members[3])
    assert (alone.settings, alone.seeds, alone.seed) == (({"learning_rate": 0.2},), (7,), 3)


def test_what_one_of_a_list_of_settings_does_not_name_is_what_the_learner_has():
    population = sweep(Quadratic(learning_rate=0.3), [{"learning_rate": 0.1}, {"limit": 3.0}], seeds=[7])
    assert population.settings == (
        {"learning_rate": 0.1, "limit": 10.0},
        {"learning_rate": 0.3, "limit": 3.0},
    )
    population = sweep(DQN(), [{}, {"learning_rate": 1e-4}], seeds=2)
    assert population.settings == ({"learning_rate": DQN().learning_rate}, {"learning_rate": 1e-4})
    assert population.axes == {"learning_rate": [DQN().learning_rate, 1e-4]}
    kinds = sweep(DQN(), [{}, {"exploration": "linear"}, {"exploration.decay": 0.9}]).settings
    assert kinds[0] == {"exploration": "exponential", "exploration.decay": DQN().exploration.decay}
    assert kinds[1:] == ({"exploration": "linear"}, {"exploration.decay": 0.9})


def test_an_axis_over_a_kind_leaves_an_axis_over_its_part_in_force():
    kinds = ["exponential", {"kind": "exponential", "per": "frame"}]
    population = sweep(DQN(), {"exploration.decay": [0.9, 0.95], "exploration": kinds})
    found = [population.learner_of(i).exploration for i in range(4)]
    assert [e.decay for e in found] == [0.9, 0.9, 0.95, 0.95]
    assert [e.per for e in found] == [DQN().exploration.per, "frame"] * 2
    by_kind = sweep(DQN(), {"exploration.decay": [0.9], "exploration.kind": ["exponential"]})
    assert by_kind.learner_of(0).exploration.decay == 0.9
    with pytest.raises(UsageError, match=r"unknown setting .*decay. of kind linear"):
        sweep(DQN(), {"exploration.decay": [0.9, 0.95], "exploration": ["exponential", "linear"]})


def test_a_swept_number_of_environments_counts_its_own_frames():
    population = sweep(DQN(), {"num_envs": [2, 8], "learning_rate": [1e-3, 1e-4]}, seeds=1)
    assert population.units_per_step == (2, 2, 8, 8)


def test_samples_are_different_settings():
    axes = {"width": [2, 3], "learning_rate": [0.1, 0.2]}
    drawn = sweep(Quadratic(), axes, samples=4).settings
    assert len({tuple(s.values()) for s in drawn}) == 4
    with pytest.raises(UsageError, match="only 4 different settings can be drawn"):
        sweep(Quadratic(), axes, samples=5)


def test_samples_follow_their_distribution():
    axes = {"learning_rate": LogUniform(1e-4, 1e-2), "limit": Uniform(1, 3), "width": [2, 3]}
    drawn = sweep(Quadratic(), axes, samples=4000, seed=1).settings
    logs = np.log10([s["learning_rate"] for s in drawn])
    assert logs.min() >= -4
    assert logs.max() <= -2
    assert abs(logs.mean() + 3) < 4 * (2 / math.sqrt(12)) / math.sqrt(4000)
    assert abs(np.mean([s["limit"] for s in drawn]) - 2) < 0.05
    assert 0.45 < np.mean([s["width"] == 2 for s in drawn]) < 0.55
    assert drawn == sweep(Quadratic(), axes, samples=4000, seed=1).settings
    assert drawn != sweep(Quadratic(), axes, samples=4000, seed=2).settings


def places(drawn):
    """Return where settings lie in the unit square of a logarithmic and a linear axis."""
    rows = [[(math.log10(s["learning_rate"]) + 4) / 2, (s["limit"] - 1) / 2] for s in drawn]
    return np.array(rows)


SQUARE = {"learning_rate": LogUniform(1e-4, 1e-2), "limit": Uniform(1, 3)}


def test_a_latin_hypercube_has_one_setting_in_each_part_of_every_axis():
    drawn = sweep(Quadratic(), SQUARE, samples=25, sampling="latin-hypercube", seed=3).settings
    for axis in places(drawn).T:
        assert sorted((25 * axis).astype(int)) == list(range(25))
    whole = sweep(Quadratic(), SQUARE | {"width": [2, 3, 4]}, samples=9, sampling="latin-hypercube").settings
    assert sorted(s["width"] for s in whole) == [2, 2, 2, 3, 3, 3, 4, 4, 4]


def test_a_sobol_sequence_has_one_setting_in_each_box_of_the_square():
    drawn = sweep(Quadratic(), SQUARE, samples=64, sampling="sobol", seed=3).settings
    for rows in (1, 2, 4, 8, 16, 32, 64):  # every elementary interval of a (0, 6, 2)-net
        boxes = (places(drawn) * [rows, 64 // rows]).astype(int)
        assert len(np.unique(boxes, axis=0)) == 64


@pytest.mark.parametrize("sampling", ["latin-hypercube", "sobol"])
def test_other_samplings_follow_their_seed_and_differ_where_a_list_repeats(sampling):
    axes = {"width": [2, 3], "learning_rate": [0.1, 0.2]}
    assert len(sweep(Quadratic(), axes, samples=4, sampling=sampling).settings) == 4
    one, same, other = (
        sweep(Quadratic(), SQUARE, samples=8, sampling=sampling, seed=s).settings for s in (1, 1, 2)
    )
    assert one == same
    assert one != other
    with pytest.raises(UsageError, match=f"sampling is {sampling}, and a grid is not sampled"):
        sweep(Quadratic(), axes, sampling=sampling)
    with pytest.raises(UsageError, match="sampling must be random, latin-hypercube, sobol, got 'halton'"):
        sweep(Quadratic(), axes, samples=2, sampling="halton")


def test_numbers_and_arrays_of_numpy_are_swept_as_plain_ones():
    rates = np.logspace(-3, -1, 3)
    plain = sweep(Quadratic(), {"learning_rate": rates.tolist(), "width": [1, 2]}, seeds=2)
    numpy = sweep(Quadratic(), {"learning_rate": rates, "width": np.array([1, 2])}, seeds=np.int64(2))
    assert numpy == plain
    values = [value for setting in numpy.settings for value in setting.values()]
    assert {type(value) for value in (*values, *numpy.seeds)} == {int, float}
    assert sweep(Quadratic(), seeds=np.arange(2)).seeds == (0, 1)
    listed = sweep(Quadratic(), [{"width": np.int64(2)}])
    assert type(listed.settings[0]["width"]) is int


@pytest.mark.parametrize(
    ("axes", "seeds", "message"),
    [
        ({"learning_rate": []}, 1, "empty"),
        ([], 1, "empty"),
        ({"learning_rate": 0.1}, 1, "must be a list"),
        ({"learning_rate": [0.1, -1.0]}, 1, "learning_rate must be > 0, got -1.0"),
        ({"learning_rate": [math.nan]}, 1, "learning_rate must be > 0"),
        ({"learning_rte": [0.1]}, 1, "did you mean 'learning_rate'"),
        ({"width": [1.5]}, 1, "width must be an int"),
        ({"limit": Uniform(1, 2)}, 1, "samples"),
        (
            {"learning_rate": [0.1, 0.2, 0.1]},
            1,
            "settings 0 and 2 .* same learner: learning_rate 0.1; keep one",
        ),
        (
            {"learning_rate": [0.1, 0.1 + 1e-12]},
            1,
            "learning_rate 0.1; learning_rate 0.10.*; numbers are float32",
        ),
        ([{}, {"limit": 10.0}], 1, "settings 0 and 1"),
        (None, 0, "seeds must be at least 1"),
        (None, [1, 1], "differ"),
        (None, [-1], "whole number"),
        (None, 2.5, "seeds must be a whole number or a list of them, got 2.5"),
    ],
)
def test_what_cannot_be_swept_is_told(axes, seeds, message):
    with pytest.raises(UsageError, match=message):
        sweep(Quadratic(), axes, seeds=seeds)
