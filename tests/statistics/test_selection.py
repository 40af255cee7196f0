"""Which setting may be the best, and the luck of the winner, against simulated truths."""

import numpy as np
import pytest

from populace.statistics import (
    best_subset,
    interquartile_mean,
    probability_best,
    selection,
    undominated,
    winner_bias,
)


def test_probabilities_of_being_best_add_up_and_follow_the_scores():
    rows = np.random.default_rng(0).normal(size=(4, 8)) + np.array([[2.0], [2.4], [0.0], [-9.0]])
    found = probability_best(list(rows))
    assert sum(found) == pytest.approx(1)
    assert min(found[:2]) > found[2] >= found[3] == 0
    assert probability_best(list(-rows), mode="min") == found
    assert probability_best([[1.0] * 4, [1.0] * 4, [0.0] * 4]) == [0.5, 0.5, 0.0]


def test_nothing_is_known_of_the_best_of_few_runs():
    assert np.isnan(probability_best([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0, 7.0]])).all()
    assert best_subset([[1.0, 2.0, 3.0], [40.0, 50.0, 60.0]]) == [True, True]
    assert winner_bias([[1.0, 2.0, 3.0]] * 2, [[1.0, 2.0, 3.0]] * 2) is None


def test_what_all_settings_share_at_a_seed_does_not_blur_who_is_best():
    generator = np.random.default_rng(1)
    rows = 5 * generator.normal(size=8) + 0.1 * generator.normal(size=(2, 8)) + np.array([[0.5], [0.0]])
    apart, paired = (probability_best(list(rows), paired=p)[0] for p in (False, True))
    assert paired > 0.99 > 0.8 > apart


@pytest.mark.parametrize("paired", [False, True])
def test_very_many_runs_are_resampled_by_groups_of_them(paired, monkeypatch):
    generator = np.random.default_rng(0)
    shared = generator.exponential(size=400) if paired else 0.0
    chosen_by = [shared + generator.normal(size=400) + better for better in (0.0, 0.05, 0.1, -0.3)]
    measured = [x + 0.3 * generator.normal(size=400) for x in chosen_by]
    found = []
    for limit in (10**9, 100):
        monkeypatch.setattr(selection, "_MANY_RUNS", limit)
        bias = winner_bias(chosen_by, measured, paired=paired)
        found.append([*probability_best(chosen_by, paired=paired), 10 * bias.at_most])
    np.testing.assert_allclose(found[1], found[0], atol=0.06)
    monkeypatch.setattr(selection, "_draws", None)  # runs by resamples are held nowhere
    probability_best(chosen_by, paired=paired)


def test_settings_that_are_clearly_worse_cannot_be_the_best():
    generator = np.random.default_rng(2)
    rows = generator.normal(size=(5, 8)) + np.array([[0.0], [0.3], [-0.2], [-8.0], [-9.0]])
    assert best_subset(list(rows)) == [True, True, True, False, False]
    assert best_subset(list(-rows), mode="min") == [True, True, True, False, False]


def test_the_best_setting_is_among_those_that_may_be():
    generator = np.random.default_rng(3)
    means = np.array([[0.5], [0.4], [0.0], [-2.0]])
    kept = [best_subset(list(generator.normal(size=(4, 6)) + means)) for _ in range(300)]
    assert np.mean([row[0] for row in kept]) >= 0.95


def test_the_bias_of_skewed_scores_is_that_of_the_interquartile_mean():
    generator = np.random.default_rng(7)
    center = interquartile_mean(generator.lognormal(size=400_000))
    rows = generator.lognormal(size=(300, 16, 16))
    found = interquartile_mean(rows, axis=2).max(axis=1).mean() - center
    said = np.mean([winner_bias(list(row), list(row)).at_most for row in rows[:40]])
    assert said == pytest.approx(found, rel=0.25)  # around the mean it was a third of it


@pytest.mark.parametrize(("seeds", "noise"), [(4, 0.0), (8, 0.0), (8, 1.0)])
def test_the_bias_of_the_winner_of_equal_settings_is_what_it_is(seeds, noise):
    generator = np.random.default_rng(4)
    said, found = [], []
    for trial in range(200):
        chosen_by = generator.normal(size=(16, seeds))
        measured = chosen_by + noise * generator.normal(size=chosen_by.shape)
        winner = interquartile_mean(chosen_by, axis=1).argmax()
        found.append(interquartile_mean(measured[winner]))
        if trial < 40:
            said.append(winner_bias(list(chosen_by), list(measured)).at_most)
    assert np.mean(said) == pytest.approx(np.mean(found), rel=0.2)


def test_what_is_far_behind_adds_no_luck_and_what_all_share_none_either():
    generator = np.random.default_rng(5)
    rows = [499 + generator.normal(size=8), *(100 + 80 * generator.normal(size=(9, 8)))]
    found = winner_bias(rows, rows)
    assert (found.at_most, found.contenders) == (0, 1)
    equal = generator.normal(size=(6, 8))
    shared = list(equal + 10 * generator.normal(size=8))
    plain, apart = winner_bias(list(equal), list(equal)), winner_bias(shared, shared)
    paired = winner_bias(shared, shared, paired=True)
    assert paired.at_most == pytest.approx(plain.at_most, rel=0.3)
    assert apart.at_most > 4 * plain.at_most


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: probability_best([]), "at least one, got none"),
        (lambda: best_subset([[1.0, np.nan]]), "must not be NaN, got 1 of 2"),
        (lambda: winner_bias([[1.0] * 4], [[1.0] * 5]), "the same runs in each setting"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_the_front_is_what_the_definition_says():
    rng = np.random.default_rng(0)
    for columns in (1, 2, 4):
        rows = rng.integers(0, 5, (60, columns)).astype(float)  # with many ties
        beats = (rows[:, None] >= rows).all(2) & (rows[:, None] > rows).any(2)
        np.testing.assert_array_equal(undominated(rows), ~beats.any(0))


def test_a_row_that_is_not_complete_is_on_no_front_and_keeps_nobody_off():
    assert undominated([[np.nan, 9.0], [1.0, 1.0], [0.0, np.nan]]).tolist() == [False, True, False]
