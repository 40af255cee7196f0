"""How often the intervals of a report cover the truth, end to end: from members' scores to what is printed.

    python benchmarks/report_coverage.py            # some twenty minutes of one core
    python benchmarks/report_coverage.py 8 100      # runs of 8 seeds a setting, 100 of each shape

No network is trained. Members get scores of known distributions, and all that follows is the code of a real
run: `runs.results.table`, which makes `results.json`, and `report.runs.Reading` with the sections and charts
that read it. Three settings of one shape, the second better by half a deviation and the third as good as
the first; validation and test scores are the member's skill with a little noise. Every interval is compared
with what 400,000 draws say. The standard error of an entry is 1 % over 400 runs, less where an entry counts
several settings, steps or thresholds.
"""

import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
import pyarrow as pa
from coverage import SHAPES

from populace.core.population import Population, sweep
from populace.report.charts.curves import score_grid, setting_curve
from populace.report.entries import interval_of
from populace.report.runs import Reading
from populace.report.sections import generalization_gap
from populace.rl import DQN
from populace.runs import results
from populace.runs.outcome.scores.tasks import Task
from populace.runs.results import Scores
from populace.statistics import (
    Interval,
    bootstrap_interval,
    interquartile_mean,
    performance_profile,
    probability_of_improvement,
)

SEEDS, RUNS = (5, 8, 16), 400
SHIFTS = (0.0, 0.5, 0.0)
STEPS, NOISE, LOST = (10, 20, 30, 40), 0.02, 0.3
HEADS = (
    "setting's score", "winner's score", "confirmed", "curve", "success rate", "profile", "improvement",
    "gap", "over 3 tasks",
)  # fmt: skip


class Simulated:
    """A learner whose scores are known: a shape, and how it is spread out over settings."""

    def __init__(self, shape: str) -> None:
        self.draw, generator = SHAPES[shape], np.random.default_rng(99)
        sample = self.draw(generator, (400_000,))
        self.unit = float(np.subtract(*np.quantile(sample, [0.84, 0.16]))) / 2
        self.threshold = float(np.quantile(sample, 0.3)) + 1e-9
        self.thresholds = np.quantile(sample, [0.1, 0.5, 0.8]) + 1e-9
        noisy = sample + NOISE * self.unit * generator.normal(size=sample.shape)
        self.middle = float(interquartile_mean(noisy))
        self.above = [float((noisy + s * self.unit > self.threshold).mean()) for s in SHIFTS[:2]]
        self.profile = (noisy[:, None] > self.thresholds).mean(axis=0)
        other = self.draw(generator, (400_000,)) + NOISE * self.unit * generator.normal(size=sample.shape)
        self.better = probability_of_improvement(noisy + 0.5 * self.unit, other).value
        lost = LOST * self.unit * (1 + generator.normal(size=sample.shape))
        self.gap = float(interquartile_mean(lost))
        self.tasks = float(interquartile_mean(np.concatenate([noisy + k * self.unit for k in range(3)])))

    def scores(self, generator: np.random.Generator, seeds: int, shifts: tuple[float, ...]) -> np.ndarray:
        """Return skills of members, (settings, seeds)."""
        return self.draw(generator, (len(shifts), seeds)) + np.array(shifts)[:, None] * self.unit

    def noise(self, generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Return what one evaluation adds."""
        return NOISE * self.unit * generator.normal(size=shape)


def reading(
    world: Simulated, population: Population, skills: np.ndarray, generator: np.random.Generator
) -> Reading:
    """Return a run whose members have these skills, as the report reads it."""
    flat, count = skills.ravel(), skills.size
    measured = flat + world.noise(generator, flat.shape)
    held_out = measured - LOST * world.unit * (1 + generator.normal(size=flat.shape))
    curve = flat + world.noise(generator, (len(STEPS), count))
    validation = curve.max(axis=0)
    none = np.full(count, -1)
    scores = Scores(validation, np.full(count, 40), curve[-1], curve.mean(axis=0), none, test=measured)
    scores.metrics = {"held_out_return": held_out}
    scores.tasks = [Task("simulated", "simulated", world.threshold, {}, "")] * len(skills)
    about = {"name": "simulated", "status": "finished", "test_description": "", "decisions": []}
    table = results.table(population, scores, results.choose(population, scores), 1, about)
    members = np.tile(np.arange(count), len(STEPS))
    evaluation = pa.table({"step": np.repeat(STEPS, count), "member": members, "return": curve.ravel()})
    return Reading(Path("simulated"), table, pa.table({}), evaluation, {}, "")


def one(
    world: Simulated, population: Population, again: Population, seeds: int, generator: np.random.Generator
) -> dict[str, list[tuple[Interval, float]]]:
    """Return the intervals of one report, each with what it should cover."""
    found: dict[str, list[tuple[Interval, float]]] = defaultdict(list)
    run = reading(world, population, world.scores(generator, seeds, SHIFTS), generator)
    truths = [world.middle + shift * world.unit for shift in SHIFTS]
    grid = score_grid(run)
    assert grid is not None
    for entry, truth, shift in zip(run.settings, truths, SHIFTS):
        interval = interval_of(entry["test"])
        assert interval is not None
        found["setting's score"].append((interval, truth))
        rate = Interval(*entry["test"]["success_rate"])
        found["success rate"].append((rate, world.above[bool(shift)]))
        if shift == 0:
            share, low, high = performance_profile(run.scores(entry), world.thresholds)
            found["profile"] += [
                (Interval(*part), t) for part, t in zip(zip(share, low, high), world.profile)
            ]
        curve = setting_curve(grid, entry)
        found["curve"] += [
            (Interval(float(v), float(a), float(b)), truth)
            for v, a, b in zip(curve.value, curve.low, curve.high)
        ]
    assert run.winner is not None
    chosen = run.winner["setting"]
    found["winner's score"].append((found["setting's score"][chosen][0], truths[chosen]))
    anew = reading(world, again, world.scores(generator, 16, SHIFTS[chosen : chosen + 1]), generator)
    interval = interval_of(anew.settings[0]["test"])
    assert interval is not None
    found["confirmed"].append((interval, truths[chosen]))
    assert run.comparison is not None
    for other, comparison in run.comparison.comparisons.items():
        apart = SHIFTS[chosen] - SHIFTS[other]
        truth = 0.5 if apart == 0 else world.better if apart > 0 else 1 - world.better
        found["improvement"].append((comparison.probability_of_improvement, truth))
    found["gap"] += [(gap.lost, world.gap) for gap in generalization_gap.measure(run)]
    first = np.array(run.scores(run.settings[0]))[:, None]
    more = world.draw(generator, (seeds, 2)) + world.noise(generator, (seeds, 2))
    table = np.concatenate([first, more], axis=1) + np.arange(3) * world.unit
    found["over 3 tasks"].append((bootstrap_interval(table), world.tasks))
    return found


def main(counts: tuple[int, ...], runs: int) -> None:
    """Print a table per number of seeds."""
    for seeds in counts:
        population = sweep(DQN(), {"learning_rate": [1e-3, 3e-4, 1e-4]}, seeds=seeds)
        again = sweep(DQN(), seeds=16)
        print(f"\n{seeds} seeds, {runs} runs\n\n| scores | " + " | ".join(HEADS) + " |", flush=True)
        print("|---|" + "---|" * len(HEADS))
        for place, shape in enumerate(SHAPES):
            world, generator = Simulated(shape), np.random.default_rng([place, seeds, 5])
            covered: dict[str, list[bool]] = defaultdict(list)
            for _ in range(runs):
                for name, pairs in one(world, population, again, seeds, generator).items():
                    slack = 1e-9 * (1 + world.unit)
                    covered[name] += [i.low - slack <= truth <= i.high + slack for i, truth in pairs]
            shares = (f"{np.mean(covered[name]):.3f}".lstrip("0") for name in HEADS)
            print(f"| {shape} | " + " | ".join(shares) + " |", flush=True)


if __name__ == "__main__":
    given = [int(argument) for argument in sys.argv[1:]]
    main((given[0],) if given else SEEDS, given[1] if len(given) > 1 else RUNS)
