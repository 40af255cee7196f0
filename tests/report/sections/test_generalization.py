"""Gaps and overfitting on synthetic curves with known answers, and the section of the page."""

import json

import numpy as np
import pyarrow as pa
import pytest
from fake_run import fake_run

from populace import report
from populace.report.runs import Reading
from populace.report.sections import generalization, generalization_gap

UNITS = np.arange(1, 21) * 1000.0
TWO = {"learning_rate": [1e-3, 1e-2]}


def test_the_gap_is_of_pairs():
    rng = np.random.default_rng(0)
    common = rng.normal(0, 100, 12)
    lost = 5 + rng.normal(0, 0.1, 12)
    found = generalization_gap.gap(common, common - lost)
    assert found.value == pytest.approx(np.sort(lost)[3:9].mean())
    assert 4.8 < found.low < found.high < 5.2, "what the members have in common cancels"
    assert generalization_gap.gap(common, common - lost, lower=True).value == pytest.approx(-found.value)


def test_a_member_without_both_numbers_is_left_out():
    assert generalization_gap.gap([3.0, np.nan, 5.0], [1.0, 1.0, np.nan]).value == 2.0
    assert generalization_gap.gap([np.nan], [1.0]) is None


def curves(early, late, members=6, noise=0.5, seed=0):
    """Straight lines that turn in the middle: slopes per 1,000 units, before and after."""
    rng = np.random.default_rng(seed)
    t = np.arange(20)
    line = early * np.minimum(t, 10) + late * np.maximum(t - 10, 0)
    return line + rng.normal(0, noise, (members, 20)) + rng.normal(0, 3, (members, 1))


def test_changes_are_those_of_the_last_half():
    found = generalization_gap.trends(UNITS, curves(5, 2, noise=0), curves(5, -3, noise=0))
    assert found.training.value == pytest.approx(2 * 9)
    assert found.held_out.value == pytest.approx(-3 * 9)


def test_an_evaluation_that_failed_hardly_moves_the_line():
    failing = curves(5, 2, noise=0)
    failing[:, 17] -= 1_000
    found = generalization_gap.trends(UNITS, failing, curves(5, -3))
    assert found.training.value == pytest.approx(2 * 9)
    assert found.overfits


def test_the_slope_is_scipys():
    from scipy.stats import theilslopes

    rng = np.random.default_rng(4)
    units, scores = np.sort(rng.uniform(0, 100, 12)), rng.normal(0, 1, (5, 12))
    wanted = [theilslopes(row[6:], units[6:]).slope * (units[-1] - units[6]) for row in scores]
    assert generalization_gap.trends(units, scores, scores).training.value == pytest.approx(
        np.mean(sorted(wanted)[1:4])
    )


@pytest.mark.parametrize(
    ("training", "held_out", "overfits"),
    [
        ((5, 2), (5, -3), True),
        ((5, 2), (5, 2), False),  # both still rise
        ((5, -2), (5, -3), False),  # both fall
        ((5, 0), (5, -3), False),  # it has stopped to learn
        ((5, 2), (5, 0), False),
        ((-5, 2), (5, -3), True),  # what was before the last half plays no part
    ],
)
def test_overfitting_is_rising_where_trained_and_falling_where_not(training, held_out, overfits):
    pair = curves(*training, seed=1), curves(*held_out, seed=2)
    assert generalization_gap.trends(UNITS, *pair).overfits == overfits
    assert generalization_gap.trends(UNITS, -pair[0], -pair[1], lower=True).overfits == overfits
    assert not generalization_gap.trends(UNITS, -pair[0], -pair[1]).overfits or not overfits


def test_noise_alone_is_seldom_flagged():
    flags = [
        generalization_gap.trends(
            UNITS, curves(0, 0, noise=5, seed=s), curves(0, 0, noise=5, seed=s + 500)
        ).overfits
        for s in range(60)
    ]
    assert sum(flags) <= 3


def test_too_little_says_nothing():
    rising, falling = curves(5, 2), curves(5, -3)
    assert generalization_gap.trends(UNITS, rising[:2], falling[:2]) is None
    assert generalization_gap.trends(UNITS[:6], rising[:, :6], falling[:, :6]) is None
    falling[:4, 15] = np.nan
    assert generalization_gap.trends(UNITS, rising, falling) is None, "two whole members are left"


def held_out_run(path, *, loses=50.0, late=0.0, **more):
    """A run whose held-out score lies `loses` below, and `late` more with each of the last evaluations."""
    run = fake_run(path, media=False, solved=None, **({"axes": TWO, "seeds": 6, "diverged": ()} | more))
    table = run.tables["evaluation"]
    step = table["step"].to_numpy()
    after = np.maximum(step - 10_000, 0) / 500
    rises = np.asarray(table["return"].to_numpy(zero_copy_only=False), float) + 2 * after
    table = table.set_column(table.column_names.index("return"), "return", pa.array(rises, from_pandas=True))
    other = pa.array(rises - loses - (2 + late) * after, from_pandas=True)
    run.tables["evaluation"] = table.append_column("held_out_return", other)
    for member in run.content["members"]:
        if member["test"]:
            score = member["test"]["score"]
            value = None if score is None else score - loses - member["seed"]
            member["test"]["metrics"] = {"held_out_return": value}
    run.recipe = (
        '[run]\nsteps = 20000\n[learner]\nkind = "dqn"\nenv = "Braking-v0(friction=(0.6, 0.9))"\n'
        'held_out = "Braking-v0(friction=(0.2, 0.4))"\n'
    )
    return run


def test_a_run_without_held_out_evaluations_has_no_section(tmp_path):
    run = fake_run(tmp_path, axes=TWO, media=False)
    assert generalization.section(Reading.of(run)) is None
    assert 'id="generalization"' not in report.write([run]).read_text(encoding="utf-8")


def test_the_section_gives_the_gap_of_each_setting(tmp_path):
    run = held_out_run(tmp_path)
    found = generalization_gap.measure(Reading.of(run))
    assert [m.lost.value for m in found] == pytest.approx([52.5] * 2)
    assert all(50 <= m.lost.low <= m.lost.high <= 55 for m in found)
    page = report.write([run]).read_text(encoding="utf-8")
    assert 'id="generalization"' in page
    assert 'href="#generalization"' in page
    part = page.split('<section id="generalization">')[1].split("</section>")[0]
    assert "measured after selection: a gap of 52.5 (95 % interval 50" in part
    assert (
        "Training environment: Braking-v0(friction=(0.6, 0.9)); held out: Braking-v0(friction=(0.2, 0.4))."
        in part
    )
    assert part.count('<tr class=" chosen">') == 1
    specs = json.loads(page.split('id="specs">')[1].split("</script>")[0])
    assert {"generalization", "generalization-gap"} <= set(specs)


def test_what_is_not_told_apart_is_not_called_a_gap(tmp_path):
    run = held_out_run(tmp_path, axes={}, seeds=6)
    for member, difference in zip(run.content["members"], (-5, 5, -4, 4.5, 3, -3)):
        member["test"]["metrics"]["held_out_return"] = member["test"]["score"] + difference
    sentence = generalization.section(Reading.of(run))["sentence"]
    assert sentence.endswith("is not distinguishable from zero.")
    for member in run.content["members"]:
        member["test"]["metrics"]["held_out_return"] = member["test"]["score"] + 5 + member["seed"]
    assert "it does better held out, by 7.5 (5" in generalization.section(Reading.of(run))["sentence"]


def test_overfitting_is_flagged_on_the_page(tmp_path):
    reading = Reading.of(held_out_run(tmp_path / "a", late=6))
    sentences = generalization.section(reading)["overfitting"]
    assert len(sentences) == 2
    assert all(s.startswith("Overfitting: over the last half of training, “learning_rate") for s in sentences)
    reading = Reading.of(held_out_run(tmp_path / "b", late=-2))
    assert generalization.section(reading)["overfitting"] == ["No setting is flagged as overfitting."]


def test_a_diverged_member_is_in_the_gap_by_its_floors(tmp_path):
    run = held_out_run(tmp_path, axes={}, seeds=6, diverged=(2,))
    run.content["settings"][0]["floor"] = {"return": 1.0, "held_out_return": -500.0}
    (found,) = generalization_gap.measure(Reading.of(run))
    assert found.n == 6
    assert generalization_gap.test_pairs(Reading.of(run))[2] == (1.0, -500.0)
    del run.content["settings"][0]["floor"]["held_out_return"]  # unknown: there is no pair to count it by
    (found,) = generalization_gap.measure(Reading.of(run))
    assert found.n == 5


@pytest.mark.parametrize(
    "case",
    [
        {"axes": {}, "seeds": 1},
        {"seeds": 2, "diverged": (0, 3)},
        {"diverged": (0, 1, 2, 3), "seeds": 2},
        {"test": False, "external": False, "status": "stopped"},
        {"lower": True},
        {"empty": True},
    ],
)
def test_odd_runs_make_a_page(tmp_path, case):
    run = held_out_run(tmp_path, **case)
    page = report.write([run]).read_text(encoding="utf-8")
    specs = page.split('id="specs">')[1].split("</script>")[0]
    json.loads(specs, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    said = generalization.section(Reading.of(run))
    everyone = case.get("diverged") == (0, 1, 2, 3)
    assert (said is None) == everyone
    if case.get("seeds", 6) < 5 and said:
        assert "cannot be determined: it takes 5 seeds and 8 evaluations" in said["overfitting"][0]
    if case.get("seeds") == 1:
        assert "without an interval" in said["sentence"]
    if case.get("status") == "stopped":
        assert "in the last evaluation" in said["sentence"]
