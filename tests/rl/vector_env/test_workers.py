"""Worker processes: what they answer, how they fail, that they load no JAX, and that none stays behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import gymnasium
import numpy as np
import pytest

from populace.core.errors import RunError, UsageError
from populace.rl.vector_env.process import messages
from populace.rl.vector_env.process.making import Spec
from populace.rl.vector_env.worker_pool import Report, WorkerPool
from tests.rl import host_envs

COUNTING = messages.record(("<f4", (3,)), ("|u1", ()))


def pool_of(cls: str, count: int = 2, timeout: float = 60.0, **arguments) -> WorkerPool:
    """Return the processes of one of the small environments, with room for its records."""
    spec = Spec(False, f"tests.rl.host_envs:{cls}", arguments, 9)
    worker_pool = WorkerPool(cls, spec, count, timeout)
    worker_pool.attach(COUNTING)
    return worker_pool


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where each file stands for one fault to come."""
    (tmp_path / "faults").mkdir()
    return tmp_path / "faults"


def started(worker_pool: WorkerPool, slots: list[int]) -> np.ndarray:
    """Begin episodes with the seeds 100, 101, ..., and return the slots."""
    at = np.asarray(slots)
    worker_pool.records["next_seed"][at] = 100 + at
    assert not worker_pool.begin(at).failed
    return at


def alive(pid: int) -> bool:
    """Whether a process is still there, and not only waiting to be asked how it ended."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def gone_within(pids: list[int], seconds: float) -> bool:
    """Wait for processes to end."""
    end = time.monotonic() + seconds
    while any(map(alive, pids)) and time.monotonic() < end:
        time.sleep(0.05)
    return not any(map(alive, pids))


@pytest.mark.parametrize(("length", "ends"), [(5, 10), (20, 5)])  # terminated after 5, truncated after 9
def test_steps_equal_those_of_the_environment(length, ends):
    worker_pool = pool_of("Counting", length=length)
    at = started(worker_pool, [0, 1, 2, 3, 4])
    plain = [gymnasium.wrappers.TimeLimit(host_envs.Counting(length), 9) for _ in at]
    seen = [env.reset(seed=100 + i)[0] for i, env in enumerate(plain)]
    np.testing.assert_array_equal(worker_pool.records["observation"][at], seen)
    ended = 0
    for t in range(12):
        action = (t + at) % 3
        worker_pool.records["action"][at], worker_pool.records["next_seed"][at] = action, 1000 * t + at
        report = worker_pool.step(at, {})
        assert report == Report()
        found = worker_pool.records[at]
        for i, env in enumerate(plain):
            seen, reward, terminated, truncated, _ = env.step(int(action[i]))
            assert (reward, terminated, truncated) == tuple(
                found[["reward", "terminated", "truncated"]][i].item()
            )
            if terminated or truncated:
                np.testing.assert_array_equal(found["final_observation"][i], seen)
                seen, _ = env.reset(seed=1000 * t + i)
                ended += 1
            np.testing.assert_array_equal(found["observation"][i], seen)
    assert ended == ends
    worker_pool.close()


def test_each_worker_has_its_share_and_none_is_left_after_close():
    worker_pool = pool_of("Counting")
    started(worker_pool, [0, 1, 2, 3])
    assert sorted(worker_pool._workers) == [0, 1]
    pids = [w.process.pid for w in worker_pool._workers.values()]
    assert len({*pids, os.getpid()}) == 3
    assert all(map(alive, pids))
    worker_pool.close()
    assert not any(map(alive, pids))


def test_an_exception_is_reported_with_its_slot_and_affects_no_other(folder):
    worker_pool = pool_of("Counting", 1, what="raise", at=2, trace=str(folder))
    at = started(worker_pool, [0, 1, 2])
    worker_pool.step(at, {})
    (folder / "one").touch()
    report = worker_pool.step(at, {})
    assert report.failed == {0: "ZeroDivisionError: the wheel came off"}
    assert not report.lost
    assert not report.restarted
    assert worker_pool.records["observation"][at][:, 0].tolist() == [1, 2, 2]
    again = worker_pool.step(at[:1], {0: (100, np.zeros(1, np.uint8))})
    assert again == Report()
    assert worker_pool.records["observation"][0, 0] == 2
    worker_pool.close()


def test_a_worker_that_dies_is_replaced_and_its_lost_slots_are_reported(folder):
    worker_pool = pool_of("Counting", what="die", at=1, trace=str(folder))
    at = started(worker_pool, [0, 1, 2, 3])
    (folder / "one").touch()
    report = worker_pool.step(at, {})
    (culprit,) = report.failed
    assert report.failed[culprit] == "its process ended with exit code 3"
    assert report.restarted == [culprit % 2]
    assert report.lost == {s for s in (0, 1, 2, 3) if s % 2 == culprit % 2} - {culprit}
    lost = np.asarray([culprit, *report.lost])
    worker_pool.records["obs_checksum"][lost] = 0
    assert not worker_pool.step(lost, {int(s): (100 + int(s), np.zeros(0, np.uint8)) for s in lost}).failed
    assert (worker_pool.records["observation"][at][:, 0] == 1).all()
    worker_pool.close()


def test_a_hanging_environment_is_distinguished_from_a_slow_batch(folder):
    worker_pool = pool_of("Counting", 1, timeout=1.0, what="hang", at=1, trace=str(folder))
    at = started(worker_pool, [0, 1])
    first = worker_pool._workers[0].process.pid
    (folder / "one").touch()
    begun = time.monotonic()
    report = worker_pool.step(at, {})
    assert 1 <= time.monotonic() - begun < 20
    assert report.failed == {0: "no answer within 1 s"}
    assert report.lost == {1}
    assert gone_within([first], 5)
    worker_pool.close()
    slow = pool_of("Counting", 1, timeout=1.0, what="slow", at=1)
    report = slow.step(started(slow, [0, 1, 2]), {})  # 3 times 0.5 s
    assert report == Report()
    slow.close()


def test_a_killed_worker_is_reported_with_its_signal():
    worker_pool = pool_of("Counting", 1)
    at = started(worker_pool, [0, 1])
    os.kill(worker_pool._workers[0].process.pid, signal.SIGKILL)
    assert list(worker_pool.step(at, {}).failed.values()) == ["its process was killed by SIGKILL"]
    worker_pool.close()


def test_a_replay_with_another_observation_is_reported():
    worker_pool = pool_of("Drifting", 1)
    at = started(worker_pool, [0])
    worker_pool.step(at, {})
    report = worker_pool.step(at, {0: (100, np.zeros(1, np.uint8))})
    assert report.mismatched == [0]
    worker_pool.close()


def test_a_worker_loads_no_jax_and_nothing_else_of_populace():
    program = (
        "import sys, populace.rl.vector_env.process.serving; "
        "print(*sorted(m for m in sys.modules if m.startswith(('jax', 'populace.'))))"
    )
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    process = "populace.rl.vector_env.process"
    # `populace.rl` registers its worlds with Gymnasium, by name alone.
    worlds = [f"populace.rl.environments{part}" for part in ("", ".worlds", ".worlds.registration")]
    assert loaded.stdout.split() == [
        "populace.rl", *worlds, "populace.rl.vector_env", process,
        *(f"{process}.{name}" for name in ("interface", "making", "messages", "probing", "serving")),
    ]  # fmt: skip


PARENT = """
import signal, sys, time, numpy as np
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs start deaf to it
from tests.rl.vector_env.test_workers import pool_of, started
pools = [pool_of("Counting", 1, what=what, at=1) for what in sys.argv[1:]]
for pool in pools:
    started(pool, [0])
print(*[w.process.pid for pool in pools for w in pool._workers.values()], flush=True)
pool.step(np.array([0]), {}) if sys.argv[-1] else time.sleep(60)
"""


@pytest.mark.parametrize(
    ("how", "faults"),
    # One process that waits and one whose environment hangs; or the parent itself waiting.
    [(signal.SIGKILL, ("", "hang")), (signal.SIGTERM, ("",)), (signal.SIGINT, ("", "hang"))],
)
def test_no_worker_outlives_the_run(how, faults):
    words = [sys.executable, "-c", PARENT, *faults]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as parent:
        assert parent.stdout is not None
        pids = [int(word) for word in parent.stdout.readline().split()]
        assert len(pids) == len(faults)
        assert all(map(alive, pids))
        parent.send_signal(how)
        parent.wait(20)
    assert gone_within(pids, 10)


def test_output_of_environments_goes_to_standard_error(capfd):
    worker_pool = pool_of("Talking", 1)
    started(worker_pool, [0])
    worker_pool.close()
    out, err = capfd.readouterr()
    assert out == ""
    assert "good morning" in err


@pytest.mark.parametrize(
    ("registered", "identifier", "arguments", "message"),
    [
        (True, "CartPole-v9", {}, "v9"),
        (True, "Nowhere/Pong-v5", {}, "name the package too: gymnasium:PACKAGE:Nowhere/Pong-v5"),
        (True, "no_such_package:Pong-v5", {}, "that is not installed: .*No module named 'no_such_package'"),
        (True, "CartPole-v1", {"color": 3}, "color"),
        (False, "tests.rl.host_envs:Counting", {"what": "raise"}, "ZeroDivisionError: the wheel came off"),
        (False, "tests.rl.host_envs:Counting", {"what": "die"}, "its process ended with exit code 3"),
        (False, "tests.rl.host_envs:Counting", {"what": "hang"}, "no answer within 1 s"),
        (False, "tests.rl.host_envs:Misshapen", {}, r"shape \(4,\), but observation_space has shape \(3,\)"),
    ],
)
def test_bad_environments_are_refused_before_anything_starts(registered, identifier, arguments, message):
    worker_pool = WorkerPool(
        "it", Spec(registered, identifier, arguments, 9), 1, 1.0 if "hang" in arguments.values() else 60
    )
    with pytest.raises(UsageError, match=message) as refused:
        worker_pool.probe()
    assert "\n" not in str(refused.value)
    assert not worker_pool._workers


def test_a_missing_package_is_reported_with_what_to_install():
    worker_pool = WorkerPool("it", Spec(False, "tests.rl.host_envs:Wanting", {}, 9), 1, 60)
    with pytest.raises(UsageError, match=r"that is not installed: .*pip install"):
        worker_pool.probe()


def test_an_environment_that_can_no_longer_be_created_ends_the_run(tmp_path):
    worker_pool = pool_of("Fragile", 1, file=str(tmp_path / "gone"))
    (tmp_path / "gone").touch()
    with pytest.raises(RunError, match="can no longer be created: OSError: the license has run out"):
        started(worker_pool, [0])
    worker_pool.close()
