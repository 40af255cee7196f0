"""What each of several runs was given: training, evaluations to choose from, and settings to search."""

from collections.abc import Sequence
from typing import Any

from populace.report import number_format
from populace.report.runs import Reading


def searched(reading: Reading) -> int:
    """Return how many settings the best one was chosen from."""
    return len(reading.settings)


def training(reading: Reading) -> int:
    """Return how many units a member of the best setting was trained for."""
    return int(reading.results.get("steps") or 0) * _per_step(reading, reading.winner or {})


def per_member(reading: Reading) -> list[int]:
    """Return for how many units members were trained: the fewest and the most, or the one number."""
    steps = int(reading.results.get("steps") or 0)
    found = {steps * _per_step(reading, entry) for entry in reading.settings or [{}]}
    return sorted({min(found), max(found)})


def _per_step(reading: Reading, entry: dict[str, Any]) -> int:
    return int(entry.get("units_per_step") or reading.results.get("units_per_step") or 1)


def evaluations(reading: Reading) -> int:
    """Return from how many evaluations during training each member's model was chosen."""
    if not reading.evaluation.num_rows or reading.results.get("checkpoint_selection") == "last":
        return min(reading.evaluation.num_rows, 1)
    return len(reading.evaluation.column("step").unique())


def cells(reading: Reading) -> list[tuple[str, float]]:
    """Return the settings searched, the training and the evaluations, each as shown and as a number."""
    work = f"{number_format.whole(training(reading))} {reading.unit}"
    return [
        (number_format.whole(searched(reading)), searched(reading)),
        (work, training(reading)),
        (number_format.whole(evaluations(reading)), evaluations(reading)),
    ]


def unequal(readings: Sequence[Reading], names: Sequence[str]) -> str:
    """Return a sentence on what the runs were not given alike; empty if they were."""
    kinds = {
        "training per member": [f"{number_format.whole(training(r))} {r.unit}" for r in readings],
        "evaluations to choose a model from": [number_format.whole(evaluations(r)) for r in readings],
        "settings searched": [number_format.whole(searched(r)) for r in readings],
    }
    differ = [
        f"{kind} ({', '.join(f'“{name}” {value}' for name, value in zip(names, values))})"
        for kind, values in kinds.items()
        if len(set(values)) > 1
    ]
    return f" They were not given the same {'; nor the same '.join(differ)}." if differ else ""
