"""Intervals: how far a statistic may be off, and how wide an interval must be to cover what it says."""
