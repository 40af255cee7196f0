"""Reads finished or stopped runs and draws them, one or several, as one self-contained page."""

from populace.report.forecasts.page import write_forecasts
from populace.report.page import write
from populace.report.present import present
from populace.report.runs import RunLike

__all__ = ["RunLike", "present", "write", "write_forecasts"]
