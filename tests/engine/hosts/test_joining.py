"""Joining: machines that differ are refused in one line, which names both."""

import copy

import pytest

from populace.engine.hosts import joining
from populace.engine.hosts.launcher import Launch

NAMES = ["process 0 on n0", "process 1 on n1"]
SAID = {
    "versions": {"Python": "3.11.7", "jax": "0.10.2"},
    "words": ["run", "kill.toml"],
    "files": {"kill.toml": "12"},
    "time": 1000.0,
}


@pytest.mark.parametrize(
    ("where", "value", "words"),
    [
        (
            ("versions", "jax"),
            "0.10.1",
            "process 1 on n1 has jax 0.10.1, process 0 on n0 has 0.10.2",
        ),
        (("words", 1), "other.toml", "was asked for 'run other.toml', process 0 on n0 for 'run kill.toml'"),
        (("files", "kill.toml"), "13", "process 1 on n1 has another 'kill.toml' than process 0 on n0"),
        (("time",), 1100.0, "the clock of process 1 on n1 is 100 seconds from that of process 0 on n0"),
        (("time",), 1029.0, ""),
    ],
)
def test_what_differs_is_told_in_one_line(where, value, words):
    other = copy.deepcopy(SAID)
    *path, last = where
    inner = other
    for step in path:
        inner = inner[step]
    inner[last] = value
    told = joining._difference([SAID, other], NAMES)
    assert (words in told and "\n" not in told) if words else not told


def test_who_has_not_started_is_told_and_a_port_in_use():
    launch = Launch("Slurm")
    text = "DEADLINE: # of tasks: 1/3. Some timed out task names:\n/job:jax_worker/replica:0/task:2\n/task:1"
    assert joining._why(launch, text, 20).startswith("process 1, process 2 did not start within 20 seconds")
    assert "JAX_COORDINATOR_PORT" in joining._why(launch, "UNKNOWN: Address already in use", 20)
    assert joining._why(launch, "", 20).endswith("did not meet: the first one did not answer")
