"""What came out of members that took over states from one another: one outcome for each population."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from populace.core.population import Population
from populace.engine.controller import exchanging, history
from populace.runs.outcome.scores.measured import Scores
from populace.statistics import summarize


def entry(
    population: Population, scores: Scores, order: Callable[[Sequence[int]], list[int]]
) -> dict[str, Any] | None:
    """Return the best member of each population, summaries of their scores, and how the winner came about.

    Members that took over states from one another are not independent; populations are.

    Args:
        population: all members.
        scores: what was measured of them, and who exchanged.
        order: puts members in order, from the worst to the best.

    Returns:
        None where nobody exchanged.

    """
    if not scores.exchange:
        return None
    learner = population.learner
    floor = scores.floors[0].get(learner.score) if scores.floors else None
    chosen = np.asarray([order(m.tolist())[-1] for m in exchanging(population, scores.exchange)])

    def summary(values: np.ndarray) -> dict[str, Any]:
        lost = (scores.diverged_at[chosen] >= 0) | ~np.isfinite(values[chosen])
        found = summarize(values[chosen], lost, worst=floor, mode=learner.mode, seed=population.seed)
        return found.as_dict()

    winner = order(chosen.tolist())[-1]
    began = [population.settings[m.setting] for m in population.members]
    way = history(scores.decisions, began, winner, int(scores.selection_step[winner]))
    return {
        "of": scores.exchange,
        "best": chosen.tolist(),
        "winner": winner,
        "history": [{"step": s.step, "member": s.member, "settings": dict(s.settings)} for s in way],
        "validation": summary(scores.validation),
        "test": None if scores.test is None else summary(scores.test),
    }
