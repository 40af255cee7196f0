"""What a population of scores says, and how sure one can be of it.

Scores have the shape `(runs,)`, or `(runs, tasks)` where the runs of one task are independent of
those of another. What is random draws from its own generator: the same seed gives the same numbers,
and NumPy's global state stays as it was. How often each interval covers the truth is measured by
`benchmarks/coverage.py`; docs/statistics.md has the table.

Sources: Agarwal et al. 2021, "Deep Reinforcement Learning at the Edge of the Statistical Precipice"
(https://arxiv.org/abs/2108.13264); Efron and Tibshirani 1993, "An Introduction to the Bootstrap";
Hesterberg 2015, "What Teachers Should Know About the Bootstrap" (https://arxiv.org/abs/1411.5279).
"""

from populace.statistics.aggregates import interquartile_mean
from populace.statistics.held_out import HeldOut, held_out_intervals
from populace.statistics.improvement import probability_of_improvement
from populace.statistics.intervals.bootstrap import bootstrap_interval
from populace.statistics.intervals.interval import Interval, Intervals, few
from populace.statistics.intervals.levels import FEWEST, MIN_RUNS_ANY_SHAPE
from populace.statistics.intervals.mean import mean_interval, mean_intervals
from populace.statistics.intervals.median import median_interval
from populace.statistics.multiple_comparisons import (
    SIGNIFICANCE_LEVEL,
    Comparison,
    intraclass_correlation,
    multiple_comparisons,
    worth_pairing,
)
from populace.statistics.profile import performance_profile
from populace.statistics.rank_tests import MIN_RUNS_PER_SIDE, brunner_munzel, holm, signed_rank
from populace.statistics.scores import Floats, with_worst, worst_of
from populace.statistics.selection import (
    WinnerBias,
    best_subset,
    probability_best,
    undominated,
    winner_bias,
)
from populace.statistics.summary import Summary, summarize

__all__ = [
    "FEWEST",
    "MIN_RUNS_ANY_SHAPE",
    "MIN_RUNS_PER_SIDE",
    "SIGNIFICANCE_LEVEL",
    "Comparison",
    "Floats",
    "HeldOut",
    "Interval",
    "Intervals",
    "Summary",
    "WinnerBias",
    "best_subset",
    "bootstrap_interval",
    "brunner_munzel",
    "few",
    "held_out_intervals",
    "holm",
    "interquartile_mean",
    "intraclass_correlation",
    "mean_interval",
    "mean_intervals",
    "median_interval",
    "multiple_comparisons",
    "performance_profile",
    "probability_best",
    "probability_of_improvement",
    "signed_rank",
    "summarize",
    "undominated",
    "winner_bias",
    "with_worst",
    "worst_of",
    "worth_pairing",
]  # fmt: skip
