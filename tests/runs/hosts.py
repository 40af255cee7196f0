"""The command line as several processes that train together, as Slurm would start them on one machine."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

from tests.places import ROOT

FINISHED, LOST, TERMINATED = 0, 75, 143


class Together:
    """Processes that were started together.

    Args:
        count: how many.
        words: of the command line.
        changed: variables of the environment, by process.
        before: words in front of the command of each process.

    """

    def __init__(
        self,
        count: int,
        *words: object,
        changed: dict[int, dict[str, str]] | None = None,
        before: list[list[str]] | None = None,
        port: int = 0,
    ) -> None:
        port = port or _free_port()
        self.processes = []
        for index in range(count):
            environment = os.environ | {
                "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)]),
                "SLURM_JOB_ID": "7", "SLURM_STEP_NODELIST": "localhost", "SLURM_NTASKS": str(count),
                "SLURM_PROCID": str(index), "SLURM_LOCALID": str(index), "JAX_COORDINATOR_PORT": str(port),
            } | (changed or {}).get(index, {})  # fmt: skip
            command = [*(before or [[]] * count)[index], sys.executable, "-m", "populace", *map(str, words)]
            self.processes.append(
                subprocess.Popen(
                    command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
                )
            )

    def until(self, folder: Path, step: int) -> None:
        """Wait for a checkpoint above a step, or the end of a process."""
        while newest(folder) <= step and all(process.poll() is None for process in self.processes):
            time.sleep(0.02)

    def ends(self, seconds: float = 120) -> list[tuple[int, str]]:
        """Return exit code and standard error of each, once all have ended."""
        found = []
        try:
            for process in self.processes:
                _, error = process.communicate(timeout=seconds)
                found.append((process.returncode, error))
        finally:
            for process in self.processes:
                process.kill()
        return found


def newest(folder: Path) -> int:
    """Return the step of the newest checkpoint of a run, 0 if there is none."""
    inside = folder / "checkpoints"
    steps = [int(p.name) for p in inside.iterdir() if p.name.isdecimal()] if inside.is_dir() else []
    return max(steps, default=0)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("localhost", 0))
        return int(free.getsockname()[1])
