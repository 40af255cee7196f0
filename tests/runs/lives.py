"""The command line in processes that start at once: a server imports everything, and each life is a fork of it."""

import multiprocessing
import os
import sys
from multiprocessing.process import BaseProcess

PRELOAD = [
    "tests.runs.lives",
    "populace.cli.app",
    "populace.cli.train",
    "populace.runs.run",
    "orbax.checkpoint",
]


def command(*words: object) -> BaseProcess:
    """Start the command line as a process of its own, so that a kill takes everything with it."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOAD)
    process = context.Process(target=_live, args=([*map(str, words)],))
    process.start()
    return process


def _live(words: list[str]) -> None:
    from populace.cli.app import main

    sys.argv = ["populace", *words]
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)
    os.dup2(silent, 2)
    main()
