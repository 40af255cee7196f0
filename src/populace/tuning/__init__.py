"""Tuning: controllers, which decide between evaluations how a population goes on, and searches by a study."""

from populace.tuning.halving import Hyperband, SuccessiveHalving
from populace.tuning.population_based import PopulationBased
from populace.tuning.schedule import Schedule
from populace.tuning.study import optimize
from populace.tuning.target_score import TargetScore

__all__ = ["Hyperband", "PopulationBased", "Schedule", "SuccessiveHalving", "TargetScore", "optimize"]
