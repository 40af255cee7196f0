"""What came out of members that took over states from one another: one outcome for each population."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from populace.core.population import Population
from populace.statistics import summarize


def entry(
    population: Population,
    exchange: str,
    order: Callable[[Sequence[int]], list[int]],
    diverged_at: np.ndarray,
    floor: float | None,
    scores: Mapping[str, np.ndarray | None],
) -> dict[str, Any] | None:
    """Return the best member of each population, and summaries of their scores over populations.

    Members that took over states from one another are not independent; populations are.

    Args:
        population: all members.
        exchange: who exchanged: the members of one `seed`, `all`, or, empty, nobody.
        order: puts members in order, from the worst to the best.
        diverged_at: per member, the step or -1.
        floor: what a member counts as that diverged.
        scores: by name, per member; None where there are none.

    Returns:
        None where nobody exchanged.

    """
    if not exchange:
        return None
    everybody = np.arange(len(population))
    each = population.by_seed(everybody).T if exchange == "seed" else [everybody]
    chosen = np.asarray([order(members.tolist())[-1] for members in each])
    found: dict[str, Any] = {"of": exchange, "best": chosen.tolist()}
    for name, values in scores.items():
        if values is None:
            found[name] = None
            continue
        lost = (diverged_at[chosen] >= 0) | ~np.isfinite(values[chosen])
        mode = population.learner.mode
        found[name] = summarize(values[chosen], lost, worst=floor, mode=mode, seed=population.seed).as_dict()
    return found
