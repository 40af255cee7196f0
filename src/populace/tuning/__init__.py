"""Tuning: controllers of a population, which decide between evaluations how it goes on."""

from populace.tuning.halving import Hyperband, SuccessiveHalving
from populace.tuning.population_based import PopulationBased
from populace.tuning.schedule import Schedule
from populace.tuning.target_score import TargetScore

__all__ = ["Hyperband", "PopulationBased", "Schedule", "SuccessiveHalving", "TargetScore"]
