"""The command plan: how many seeds a difference takes, from the spread of an earlier run."""

from pathlib import Path

from populace.cli.output import Terminal, print_json
from populace.core.errors import UsageError


def plan(effect: float, folder: Path, score: str | None, power: float, as_json: bool) -> None:
    """Print how many seeds per setting a difference of a size takes to be significant."""
    from populace.runs.outcome.planning import required_seeds
    from populace.runs.run import Run

    results = Run.load(folder).results()
    name = results["score"]["name"]
    if score is not None and score != name:
        raise UsageError(f"'{folder}' measured {name}, not {score}; plan from a run of the same measure")
    settings = [entry for entry in results["settings"] if entry["diverged"] < len(entry["members"])]
    if not settings:
        raise UsageError(f"all members of '{folder}' diverged, so no spread is known; plan from another run")
    kind = "test" if settings[0]["test"] else "validation"
    scores = [s for entry in settings if None not in (s := entry[kind]["scores"])]
    try:
        seeds = required_seeds(scores, effect, power=power)
    except ValueError as error:
        raise UsageError(f"cannot plan from '{folder}': {error}") from None
    if as_json:
        print_json({"score": name, "effect": effect, "power": power, "seeds": seeds, "from": str(folder)})
        return
    Terminal().print(
        f"{seeds:,} seeds per setting find a difference of {effect:g} in {name} significant in "
        f"{100 * power:.0f} of 100 comparisons of two settings (spread of the {kind} scores of {folder})",
        highlight=False, markup=False, soft_wrap=True,
    )  # fmt: skip
