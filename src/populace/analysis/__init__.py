"""Analysis: gradient flow through depth and time, cost profiles of layers, fitting a kernel by descent."""

from populace.analysis.cost import Profile, profile
from populace.analysis.gradient_flow import Flow, analytic_bound, through_depth, through_time

__all__ = ["Flow", "Profile", "analytic_bound", "profile", "through_depth", "through_time"]
