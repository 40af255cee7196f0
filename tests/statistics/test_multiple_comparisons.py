"""Rank tests against SciPy and enumeration, and how often families of equal settings differ significantly."""

import itertools
import warnings

import numpy as np
import pytest
from scipy import stats

from populace.statistics import (
    brunner_munzel,
    holm,
    intraclass_correlation,
    multiple_comparisons,
    signed_rank,
    worth_pairing,
)


def by_enumeration(x, y):
    """The share of all splits whose statistic by SciPy is at least as large."""
    pooled, n = np.concatenate([x, y]), len(x)
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for chosen in itertools.combinations(range(len(pooled)), n):
            first = np.isin(np.arange(len(pooled)), chosen)
            found.append(abs(stats.brunnermunzel(pooled[first], pooled[~first]).statistic))
    return np.mean(np.asarray(found) >= found[0] * (1 - 1e-9))


@pytest.mark.parametrize(("n", "m"), [(4, 4), (5, 3), (3, 6)])
def test_brunner_munzel_is_the_share_of_all_splits(n, m):
    generator = np.random.default_rng(n)
    for _ in range(4):
        x, y = generator.integers(0, 6, n).astype(float), generator.integers(1, 9, m).astype(float)
        if not set(x) & set(y) or len(set(x) | set(y)) > 2:  # SciPy has no statistic for two values
            assert brunner_munzel(x, y) == pytest.approx(by_enumeration(x, y))


def test_many_splits_are_drawn_and_very_many_are_normal():
    generator = np.random.default_rng(1)
    for n in (20, 250):
        x, y = generator.normal(0.5 / n**0.5 * 4, size=n), generator.normal(size=n)
        expected = stats.brunnermunzel(x, y, distribution="normal").pvalue
        assert brunner_munzel(x, y) == pytest.approx(expected, abs=0.02 if n == 20 else 1e-9)
    assert (
        brunner_munzel(x, y - 1, alternative="greater")
        < 1e-9
        < 1 - 1e-9
        < brunner_munzel(y - 1, x, alternative="greater")
    )


def test_one_sided_p_values_of_either_side_add_to_one_and_the_observed_split():
    x, y = [3.0, 5.0, 6.0, 9.0], [1.0, 4.0, 2.0, 7.5]
    there, back = (brunner_munzel(a, b, alternative="greater") for a, b in ((x, y), (y, x)))
    assert there < 0.2 < 0.8 < back
    assert brunner_munzel(x, y) == pytest.approx(2 * there)
    assert brunner_munzel([2.0, 2.0], [2.0, 2.0]) == 1.0


def test_a_stable_setting_is_not_told_from_one_that_is_half_better_and_half_worse():
    # Mann-Whitney takes the difference of the spreads for one of the places: 11 % at a level of 5 %.
    generator = np.random.default_rng(8)
    rows = [
        (generator.normal(0, 0.1, 12), generator.choice([-1, 1], 12) + generator.normal(0, 0.1, 12))
        for _ in range(400)
    ]
    assert np.mean([brunner_munzel(x, y) <= 0.05 for x, y in rows]) < 0.08
    assert np.mean([stats.mannwhitneyu(x, y).pvalue <= 0.05 for x, y in rows]) > 0.08


def test_signed_rank_is_scipys_and_exact_with_ties():
    generator = np.random.default_rng(2)
    for n in (5, 9, 14):
        d = generator.normal(0.4, size=n)
        assert signed_rank(d) == pytest.approx(stats.wilcoxon(d, method="exact").pvalue)
    tied = np.array([1, 1, 2, -3, 4, 4, 0, 5.0])
    ranks = stats.rankdata(np.abs(tied[tied != 0]))
    sums = [ranks @ signs for signs in itertools.product([-1, 1], repeat=7)]
    observed = abs(ranks @ np.sign(tied[tied != 0]))
    assert signed_rank(tied) == pytest.approx(np.mean(np.abs(sums) >= observed))
    assert signed_rank([0.0, 0.0]) == 1.0


def test_signed_rank_of_many_pairs_is_scipys_normal_one():
    d = np.random.default_rng(3).integers(-8, 10, 300).astype(float)
    expected = stats.wilcoxon(d, method="asymptotic", correction=False).pvalue
    assert signed_rank(d) == pytest.approx(expected, rel=1e-9)


def test_fifty_thousand_runs_are_compared_without_a_table_of_all_pairs():
    x, y = np.random.default_rng(4).normal(size=(2, 50_000))
    assert 0.05 < brunner_munzel(x, y + 0.001) <= 1
    assert brunner_munzel(x, y + 0.1) < 1e-9
    assert abs(intraclass_correlation([x, y])) < 0.02
    assert intraclass_correlation([x, x + 1.0]) == pytest.approx(1)
    assert signed_rank(x - y - 0.1) < 1e-9


def test_holm_steps_down():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.01, 0.02], 6) == pytest.approx([0.06, 0.10])
    with pytest.raises(ValueError, match=r"at least the number of p-values 2, got 1"):
        holm([0.1, 0.2], 1)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_fewer_than_four_runs_a_side_are_not_tested(n):
    (found,) = multiple_comparisons(np.arange(n) + 100.0, [np.arange(9.0)])
    assert not found.testable
    assert not found.significant
    assert found.probability_of_improvement.value == 1


def test_a_clear_difference_is_significant_and_a_chosen_winner_pays_for_the_choice():
    x, y = np.arange(4) + 10.0, np.arange(4.0)
    (found,) = multiple_comparisons(x, [y])
    assert found.p_value == pytest.approx(2 / 70)
    assert found.significant
    three = multiple_comparisons(x, [y, y, y], chosen=True)
    assert not any(v.testable or v.significant for v in three), "4 runs cannot be significant among 6 pairs"
    x, y = np.arange(5) + 10.0, np.arange(5.0)
    assert [v.p_value for v in multiple_comparisons(x, [y, y, y], chosen=True)] == pytest.approx(
        [6 * 2 / 252] * 3
    )
    assert [v.p_value for v in multiple_comparisons(x, [y, y, y])] == pytest.approx([3 * 2 / 252] * 3)


@pytest.mark.parametrize("shared", [0.0, 1.5])
def test_families_of_equal_settings_seldom_differ_significantly(shared):
    generator = np.random.default_rng(3)
    false = 0
    for _ in range(500):
        rows = generator.normal(size=(4, 6)) + shared * generator.normal(size=6)
        best = rows.mean(axis=1).argmax()
        others = [row for i, row in enumerate(rows) if i != best]
        found = multiple_comparisons(rows[best], others, chosen=True, paired=worth_pairing(rows))
        false += any(v.significant for v in found)
    assert false <= 0.05 * 500


def test_runs_of_the_same_seed_are_compared_where_the_seed_matters():
    generator = np.random.default_rng(4)
    seeds = generator.normal(size=12)
    rows = 3 * seeds + 0.3 * generator.normal(size=(3, 12)) + np.array([[0.5], [0.0], [0.0]])
    assert intraclass_correlation(rows) > 0.9
    assert worth_pairing(rows)
    assert not worth_pairing(generator.normal(size=(3, 12)))
    apart, by_seed = (multiple_comparisons(rows[0], [rows[1]], paired=p)[0] for p in (False, True))
    assert by_seed.paired
    assert by_seed.significant
    assert not apart.significant
    assert not multiple_comparisons(rows[0][:5], [rows[1][:5]], paired=True)[0].paired, (
        "5 pairs cannot reach 5 %"
    )


def test_the_share_of_the_seed_is_the_intraclass_correlation_of_ranks():
    rows = np.array([[1.0, 2.0, 3.0, 4.0], [10.0, 30.0, 20.0, 40.0], [0.1, 0.2, 0.4, 0.3]])
    ranks = stats.rankdata(rows, axis=1)
    between = 3 * np.var(ranks.mean(axis=0), ddof=1)
    rest = ((ranks - ranks.mean(axis=0)) ** 2).sum() / (2 * 3)
    assert intraclass_correlation(rows) == pytest.approx((between - rest) / (between + 2 * rest))
    assert intraclass_correlation(rows[:1]) == intraclass_correlation(np.zeros((3, 5))) == 0
