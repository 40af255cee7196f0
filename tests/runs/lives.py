"""The command line in processes that start at once: forks of a server that has everything imported."""

import multiprocessing
import os
import sys
from multiprocessing.process import BaseProcess

PRELOAD = ["populace.cli.app", "populace.cli.commands.train", "populace.runs.run", "orbax.checkpoint"]


def command(*words: object) -> BaseProcess:
    """Start the command line as a process of its own, so that a kill takes everything with it."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOAD)
    process = context.Process(target=_live, args=([*map(str, words)],))
    process.start()
    return process


def _live(words: list[str]) -> None:
    from populace.cli.entry import main

    sys.argv = ["populace", *words]
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)
    os.dup2(silent, 2)
    main()
