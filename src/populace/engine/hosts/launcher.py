"""Launcher: what the environment says of other processes that were started together with this one."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from populace.core.errors import UsageError

_SLURM = ("SLURM_STEP_NODELIST", "SLURM_NTASKS", "SLURM_PROCID", "SLURM_LOCALID")
_OPEN_MPI = ("OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK")
_ADDRESS, _COUNT, _INDEX = "JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID"
_POD = "JOB_COMPLETION_INDEX"


@dataclass(frozen=True)
class Launch:
    """How many processes there are, and which of them this is; None where JAX finds that out."""

    name: str
    count: int | None = None
    index: int | None = None


def found(environment: Mapping[str, str] = os.environ) -> Launch | None:
    """Return who started several processes, or None where this one is alone.

    Slurm's `srun` and Open MPI's `mpirun` are recognized, and an indexed job of Kubernetes. Any other
    launcher says it by `JAX_COORDINATOR_ADDRESS` (`HOST:PORT` of process 0), `JAX_NUM_PROCESSES` and
    `JAX_PROCESS_ID`.

    Raises:
        UsageError: a part of that is missing, or is no number.

    """
    if environment.get(_ADDRESS) and _COUNT in environment:
        index = _INDEX if _INDEX in environment else _POD
        return _several("JAX_COORDINATOR_ADDRESS", environment, _COUNT, index)
    if environment.get("SLURM_JOB_ID") and all(name in environment for name in _SLURM):
        launch = _several("Slurm", environment, "SLURM_NTASKS", "SLURM_PROCID")
        return launch and Launch(launch.name)
    if environment.get("OMPI_COMM_WORLD_SIZE"):
        launch = _several("Open MPI", environment, *_OPEN_MPI)
        if launch is None or environment.get(_ADDRESS):
            return launch
        if "OMPI_MCA_orte_hnp_uri" in environment:
            return Launch(launch.name)
        raise UsageError(
            "mpirun of Open MPI 5 does not say where the first process is; give it: "
            f"`mpirun -x {_ADDRESS}=HOST:PORT ...`"
        )
    if "KUBERNETES_SERVICE_HOST" in environment and _POD in environment:
        if environment.get(_ADDRESS):
            raise UsageError(f"{_ADDRESS} is set and {_COUNT} is not; set it to the parallelism of the job")
        return Launch("Kubernetes")
    return None


def warning(environment: Mapping[str, str] = os.environ) -> str:
    """Return what a person should know who trains in a job of Slurm without `srun`; else an empty text."""
    job = environment.get("SLURM_JOB_ID")
    if not job or found(environment) is not None or environment.get("SLURM_STEP_NODELIST"):
        return ""
    return f"in job {job} of Slurm, but not started by srun: this process trains alone"


def speaks(environment: Mapping[str, str] = os.environ) -> bool:
    """Return whether this process says what all will say, before it has met the others."""
    for name in (_INDEX, "SLURM_PROCID", "OMPI_COMM_WORLD_RANK", _POD):
        if re.fullmatch(r"\d+", environment.get(name, "")):
            return int(environment[name]) == 0
    return True


def _several(name: str, environment: Mapping[str, str], count: str, index: str) -> Launch | None:
    """Return the launch of more than one process; None of one."""
    numbers = {}
    for variable in (count, index):
        text = environment.get(variable, "")
        if not re.fullmatch(r"\d{1,6}", text):
            raise UsageError(f"{variable} must be a whole number where {name} starts processes, got '{text}'")
        numbers[variable] = int(text)
    if numbers[count] <= 1:
        return None
    if numbers[index] >= numbers[count]:
        raise UsageError(f"{index} must be below {count}={numbers[count]}, got {numbers[index]}")
    return Launch(name, numbers[count], numbers[index])
