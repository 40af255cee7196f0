"""Launcher: who started several processes, as their environment says."""

import pytest

from populace.core.errors import UsageError
from populace.engine.hosts import launcher
from populace.engine.hosts.launcher import Launch

SLURM = {
    "SLURM_JOB_ID": "7", "SLURM_STEP_NODELIST": "n[1-4]", "SLURM_NTASKS": "4", "SLURM_PROCID": "3",
    "SLURM_LOCALID": "0",
}  # fmt: skip
ORTE = {
    "OMPI_COMM_WORLD_SIZE": "2",
    "OMPI_COMM_WORLD_RANK": "1",
    "OMPI_MCA_orte_hnp_uri": "1.0;tcp://10.0.0.1:3",
}
POD = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "JOB_COMPLETION_INDEX": "2"}
TOLD = {"JAX_COORDINATOR_ADDRESS": "n1:9", "JAX_NUM_PROCESSES": "3", "JAX_PROCESS_ID": "2"}


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        (SLURM, Launch("Slurm")),
        (SLURM | {"SLURM_NTASKS": "1", "SLURM_PROCID": "0"}, None),
        ({"SLURM_JOB_ID": "7", "SLURM_NTASKS": "4", "SLURM_PROCID": "0"}, None),
        (ORTE, Launch("Open MPI")),
        (ORTE | {"JAX_COORDINATOR_ADDRESS": "n1:9"}, Launch("Open MPI", 2, 1)),
        (POD, Launch("Kubernetes")),
        (TOLD, Launch("JAX_COORDINATOR_ADDRESS", 3, 2)),
        (POD | TOLD, Launch("JAX_COORDINATOR_ADDRESS", 3, 2)),
        (POD | {n: TOLD[n] for n in TOLD if n != "JAX_PROCESS_ID"}, Launch("JAX_COORDINATOR_ADDRESS", 3, 2)),
        (TOLD | SLURM, Launch("JAX_COORDINATOR_ADDRESS", 3, 2)),
    ],
)
def test_who_started_this_process(environment, expected):
    assert launcher.found(environment) == expected


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        (TOLD | {"JAX_PROCESS_ID": "3"}, "JAX_PROCESS_ID must be below JAX_NUM_PROCESSES=3, got 3"),
        (TOLD | {"JAX_NUM_PROCESSES": "many"}, "JAX_NUM_PROCESSES must be a whole number"),
        (
            SLURM | {"SLURM_PROCID": ""},
            "SLURM_PROCID must be a whole number where Slurm starts",
        ),
        ({n: ORTE[n] for n in ORTE if "orte" not in n}, "Open MPI 5 does not say where the first process is"),
        (POD | {"JAX_COORDINATOR_ADDRESS": "a:1"}, "JAX_NUM_PROCESSES is not; set it to the parallelism"),
    ],
)
def test_half_an_environment_is_refused(environment, words):
    with pytest.raises(UsageError) as error:
        launcher.found(environment)
    assert words in str(error.value)


def test_a_job_of_slurm_without_srun_is_warned_of_and_nothing_else():
    alone = {"SLURM_JOB_ID": "7", "SLURM_NTASKS": "4"}
    assert launcher.warning(alone) == "in job 7 of Slurm, but not started by srun: this process trains alone"
    one = SLURM | {"SLURM_NTASKS": "1", "SLURM_PROCID": "0"}
    assert [launcher.warning(e) for e in ({}, SLURM, one, ORTE)] == [""] * 4


def test_the_first_process_speaks_before_all_have_met():
    assert launcher.speaks({})
    assert launcher.speaks(TOLD | {"JAX_PROCESS_ID": "0"})
    assert not any(launcher.speaks(environment) for environment in (SLURM, ORTE, POD, TOLD))
