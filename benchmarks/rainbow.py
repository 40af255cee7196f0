"""The extensions of DQN, one by one and together, on two environments: what each of them brings.

    python benchmarks/rainbow.py [--out FOLDER] [ENVIRONMENT ...]

One population per environment, made of the settings in `rainbow.toml`, ten seeds each. Two scores: the
return of the final policy in 50 fresh episodes, and the mean of the evaluations along the way, which says how
soon it was good. Interquartile means over the seeds with 95 % bootstrap intervals, and the probability that a
seed with the extension beats one of plain DQN. Of several environments, all are printed below each other.
"""

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

import populace as pop
from populace.recipe import parse
from populace.run import run_recipe
from populace.statistics import probability_of_improvement, summarise

NAMES = ("plain", "double", "dueling", "prioritised", "n-step", "c51", "quantile", "noisy", "rainbow")
RETURNS = {"CartPole-v1": (0.0, 100.0), "Acrobot-v1": (-100.0, 0.0)}  # discounted: bounds for the atoms
RAW = argparse.RawDescriptionHelpFormatter


def measure(env: str, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Train on one environment and return the scores (settings, seeds): final, and mean along the way."""
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
    run = run_recipe(replace(recipe, learner=learner, settings=settings), folder / env)
    results = run.results()
    final = [setting["fresh"]["scores"] for setting in results["settings"]]
    table = run.metrics("evaluation").to_pydict()
    seeds = len(final[0])
    along = np.zeros((len(final) * seeds, 2))
    for member, score in zip(table["member"], table["return"]):
        along[member] += score, 1
    return np.asarray(final, float), (along[:, 0] / along[:, 1]).reshape(-1, seeds)


def main() -> None:
    """Print a Markdown table per environment."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=RAW)
    parser.add_argument("environments", nargs="*", choices=[*RETURNS, []], default=list(RETURNS))
    parser.add_argument("--out", type=Path, default=None, help="folder for the runs")
    args = parser.parse_args()
    pop.setup()
    folder = args.out or Path(tempfile.mkdtemp())
    for env in args.environments:
        final, along = measure(env, folder)
        print(f"\n## {env}\n\n| DQN | final return | beats plain | mean return on the way | beats plain |")
        print("|---|---|---|---|---|")
        for i, name in enumerate(NAMES):
            cells = []
            for scores in (final, along):
                iqm, better = summarise(scores[i]).iqm, probability_of_improvement(scores[i], scores[0])
                cells.append(f"{iqm.value:.0f} ({iqm.low:.0f} to {iqm.high:.0f})")
                cells.append(f"{better.value:.2f} ({better.low:.2f} to {better.high:.2f})" if i else "")
            print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
