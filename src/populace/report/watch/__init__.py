"""A live page of a run: read from its folder again and again while it trains."""

from populace.report.watch.server import Server

__all__ = ["Server"]
