"""Tuning: controllers of a population, which decide between evaluations how it goes on."""

from populace.tuning.target_score import TargetScore

__all__ = ["TargetScore"]
