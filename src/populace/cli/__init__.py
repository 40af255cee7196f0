"""The command line."""

from populace.cli.entry import main

__all__ = ["main"]
