"""The extensions of DQN, one by one and together, on two environments: what each of them brings, and costs.

    python benchmarks/rainbow.py [--out FOLDER] [--steps N] [ENVIRONMENT ...]
    python benchmarks/rainbow.py --cost

One population per environment, made of the settings in `rainbow.toml`, ten seeds each. Two scores: the
return of the final policy in 50 fresh episodes, and the mean of the evaluations along the way, which says how
soon it was good. Interquartile means over the seeds with 95 % bootstrap intervals, and the probability that a
seed with the extension beats one of plain DQN. Of several environments, all are printed below each other.
A run that was cut short goes on where the same folder is given again.

With `--cost`: how long an iteration of ten agents takes on CartPole, on one core, beside plain DQN. They take
turns, round by round, so that a slow minute of the machine falls on all; figures are medians over the rounds.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np

import populace as pop
from populace.core.population import Population
from populace.engine.training_loop import Engine
from populace.runs.recipe.parsing import parse
from populace.runs.recipe.recipe import Recipe
from populace.runs.run import Run
from populace.runs.training.launch import run_recipe
from populace.statistics import probability_of_improvement, summarize

NAMES = ("plain", "double", "dueling", "prioritized", "n-step", "c51", "quantile", "noisy", "rainbow")
RETURNS = {"CartPole-v1": (0.0, 100.0), "Acrobot-v1": (-100.0, 0.0)}  # discounted: bounds for the atoms
ROUNDS, ITERATIONS = 9, 400
RAW = argparse.RawDescriptionHelpFormatter


def ablation(env: str, steps: int | None = None) -> Recipe:
    """Return what is compared on an environment."""
    file = Path(__file__).with_suffix(".toml")
    recipe = parse(file.read_text(), file.name)
    low, high = RETURNS[env]
    bounds = {"v_min": low, "v_max": high}
    settings = [
        s | {"distribution": s["distribution"] | bounds}
        if s.get("distribution", {}).get("kind") == "c51"
        else s
        for s in recipe.settings
    ]
    learner = pop.settings.replace(recipe.learner, "env", env)
    options = recipe.options.model_copy(update={"steps": steps or recipe.options.steps})
    return replace(recipe, learner=learner, settings=settings, options=options)


def measure(recipe: Recipe, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Train, or go on, and return the scores (settings, seeds): final, and mean along the way."""
    run = Run.load(folder).resume() if folder.exists() else run_recipe(recipe, folder)
    final = [setting["test"]["scores"] for setting in run.results()["settings"]]
    table = run.metrics("evaluation").to_pydict()
    seeds = len(final[0])
    along = np.zeros((len(final) * seeds, 2))
    for member, score in zip(table["member"], table["return"]):
        along[member] += score, 1
    return np.asarray(final, float), (along[:, 0] / along[:, 1]).reshape(-1, seeds)


def compare(env: str, folder: Path, steps: int | None) -> None:
    """Print a Markdown table of one environment."""
    final, along = measure(ablation(env, steps), folder / env)
    print(f"\n## {env}\n\n| DQN | final return | beats plain | mean return on the way | beats plain |")
    print("|---|---|---|---|---|")
    for i, name in enumerate(NAMES):
        cells = []
        for scores in (final, along):
            iqm, better = summarize(scores[i]).iqm, probability_of_improvement(scores[i], scores[0])
            cells.append(f"{iqm.value:.0f} ({iqm.low:.0f} to {iqm.high:.0f})")
            cells.append(f"{better.value:.2f} ({better.low:.2f} to {better.high:.2f})" if i else "")
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


def timed(population: Population) -> Callable[[], float]:
    """Return what times one iteration of all agents, in microseconds, once they learn."""
    group_state = Engine(population, "vmap", 1).group_states[0]
    carry, at = group_state.carry, 0

    def round() -> float:
        nonlocal carry, at
        at += ITERATIONS
        start = time.perf_counter()
        carry, _ = jax.block_until_ready(group_state.program.advance(carry, at))
        return (time.perf_counter() - start) / ITERATIONS * 1e6

    round()  # compiles, and warms up
    return round


def cost() -> None:
    """Print a Markdown table of what an iteration costs."""
    recipe = ablation("CartPole-v1")
    whole = recipe.population()
    works = [timed(pop.sweep(recipe.learner, [s], seeds=10)) for s in whole.settings]
    rounds = [[work() for work in works] for _ in range(ROUNDS)]
    print("| DQN | iteration of 10 agents, µs | beside plain |\n|---|---|---|")
    for i, (name, times) in enumerate(zip(NAMES, zip(*rounds))):
        ratio = statistics.median(r[i] / r[0] for r in rounds)
        print(f"| {name} | {statistics.median(times):.0f} | {ratio:.2f} |", flush=True)


def main() -> None:
    """Print what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=RAW)
    parser.add_argument("environments", nargs="*", metavar="ENVIRONMENT", help=" or ".join(RETURNS))
    parser.add_argument("--out", type=Path, default=None, help="folder for the runs")
    parser.add_argument("--steps", type=int, help="iterations; without it, as many as in the recipe")
    parser.add_argument("--cost", action="store_true", help="only measure what an iteration costs")
    args = parser.parse_args()
    if unknown := set(args.environments) - set(RETURNS):
        parser.error(f"bounds of returns are known for {' and '.join(RETURNS)}, not {unknown.pop()}")
    if args.cost:
        cost()
        return
    pop.setup()
    folder = args.out or Path(tempfile.mkdtemp())
    for env in args.environments or RETURNS:
        compare(env, folder, args.steps)


if __name__ == "__main__":
    main()
