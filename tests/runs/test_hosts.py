"""Several processes train one run: to the same end as one, whoever dies, and however many go on."""

import os
import random
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from populace.runs.run import Run
from tests.runs.hosts import FINISHED, LOST, TERMINATED, Together, newest
from tests.runs.lives import command
from tests.runs.test_kill import assert_same_end

RECIPE = """
name = "hosts"

[run]
steps = {steps}
seeds = 3
strategy = "map"
devices = 2
log_every = 2_500
evaluate_every = 25_000
checkpoint_every = 0.02

[learner]
kind = "tests.learners:Quadratic"

[sweep]
width = [3, 5]
fuse = [1e9, 75_001]
"""
QUIET = ("--no-report", "-q")


def written(folder: Path, steps: int = 150_000) -> list[object]:
    """Return the words that run the recipe, written there."""
    recipe = folder / "hosts.toml"
    recipe.write_text(RECIPE.format(steps=steps))
    return ["run", recipe, "--trust", *QUIET, "--out"]


def alone(*words: object) -> None:
    """Run the command line in one process."""
    process = command(*words)
    process.join(300)
    assert process.exitcode == 0


def only_line(ends: list[tuple[int, str]]) -> str:
    """Return what was said, by one process and in one line."""
    said = [error for _, error in ends if error]
    assert len(said) == 1, ends
    assert said[0].count("\n") == 1
    return said[0]


@pytest.mark.timeout(600)
def test_a_run_ends_alike_whoever_died_and_however_many_went_on(tmp_path):
    run = written(tmp_path)
    alone(*run, tmp_path / "whole")
    folder = tmp_path / "shared"
    resume = ["resume", folder, "--trust", *QUIET]

    pair = Together(2, *run, folder)
    pair.until(folder, 0)
    pair.processes[1].send_signal(signal.SIGKILL)
    ends = pair.ends()
    assert [code for code, _ in ends] == [LOST, -signal.SIGKILL], ends
    assert "process 1 on" in only_line(ends)
    assert "`populace resume` goes on from the last checkpoint" in only_line(ends)
    assert not (folder / "lock.json").exists()

    four = Together(4, *resume)
    four.until(folder, newest(folder))
    four.processes[2].send_signal(signal.SIGTERM)
    ends = four.ends()
    assert [code for code, _ in ends] == [TERMINATED] * 4, ends
    assert "stopped at step" in only_line(ends)

    pair = Together(2, *resume)
    pair.until(folder, newest(folder))
    pair.processes[0].send_signal(signal.SIGKILL)
    ends = pair.ends()
    assert [code for code, _ in ends] == [-signal.SIGKILL, LOST], ends
    assert "process 0 on" in only_line(ends)

    shutil.copytree(folder, tmp_path / "one")
    alone("resume", tmp_path / "one", "--trust", *QUIET)
    ends = Together(2, *resume).ends()
    assert ends == [(FINISHED, "")] * 2
    for ended in (tmp_path / "one", folder):
        assert_same_end(tmp_path / "whole", ended)
        mine, theirs = Run.load(tmp_path / "whole").results(), Run.load(ended).results()
        for name in ("settings", "members", "best"):
            assert mine[name] == theirs[name]


@pytest.mark.timeout(120)
def test_a_folder_that_is_not_shared_is_refused_by_one_process_in_one_line(tmp_path):
    run, elsewhere = written(tmp_path), tmp_path / "elsewhere"
    elsewhere.mkdir()
    here = ["env", "-C", str(tmp_path)]
    ends = Together(2, *run, "mine", before=[here, ["env", "-C", str(elsewhere)]]).ends()
    assert [code for code, _ in ends] == [2, 2], ends
    assert "process 1 on" in only_line(ends)
    assert "does not see the run folder 'mine' that process 0 on" in only_line(ends)
    assert not (tmp_path / "mine").exists()


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_a_hundred_kills_of_either_process_change_nothing(tmp_path):
    run, rng = written(tmp_path), random.Random(7)
    alone(*run, tmp_path / "whole")
    for number in range(int(os.environ.get("POPULACE_KILLS", "100"))):
        folder = tmp_path / "killed"
        pair = Together(2, *run, folder)
        pair.until(folder, rng.randrange(100_000))
        victim = rng.randrange(2)
        pair.processes[victim].send_signal(signal.SIGKILL)
        ends = pair.ends()
        assert ends[victim][0] in (-signal.SIGKILL, FINISHED), (number, ends)
        assert ends[1 - victim][0] in (LOST, FINISHED), (number, ends)
        if ends[1 - victim][0] == LOST:
            assert f"process {victim} on" in only_line(ends)
        going = Together(rng.choice([1, 2, 4]), "resume", folder, "--trust", *QUIET)
        assert {code for code, _ in going.ends()} == {FINISHED}
        assert_same_end(tmp_path / "whole", folder)
        shutil.rmtree(folder)


@pytest.fixture
def machines() -> Iterator[list[list[str]]]:
    """Yield what a command begins with on each of two machines of one network, with their own names."""
    if os.geteuid() or not shutil.which("ip") or not shutil.which("unshare"):
        pytest.skip("network namespaces need root, ip and unshare")
    names = [f"populace-{os.getpid()}-{i}" for i in range(2)]
    links = [f"pv{os.getpid() % 10**6}-{i}" for i in range(2)]

    def ip(*words: str) -> bool:
        return subprocess.run(["ip", *words], capture_output=True, check=False).returncode == 0

    made = all(ip("netns", "add", name) for name in names)
    made = made and ip("link", "add", links[0], "type", "veth", "peer", "name", links[1])
    for i, (name, link) in enumerate(zip(names, links)):
        made = made and ip("link", "set", link, "netns", name)
        made = made and ip("-n", name, "addr", "add", f"10.213.7.{i + 1}/24", "dev", link)
        made = (
            made and ip("-n", name, "link", "set", link, "up") and ip("-n", name, "link", "set", "lo", "up")
        )
    named = 'hostname "$1" && shift && exec "$@"'
    try:
        if not made:
            pytest.skip("this machine makes no network namespaces")
        yield [
            ["ip", "netns", "exec", name, "unshare", "--uts", "sh", "-c", named, "sh", f"machine-{i}"]
            for i, name in enumerate(names)
        ]
    finally:
        for name in names:
            ip("netns", "del", name)


@pytest.mark.timeout(300)
def test_a_machine_that_loses_its_network_is_named_and_both_end(tmp_path, machines):
    run, folder = written(tmp_path, steps=100_000_000), tmp_path / "run"
    address = {i: {"SLURM_STEP_NODELIST": "10.213.7.1"} for i in range(2)}
    pair = Together(2, *run, folder, changed=address, before=machines)
    pair.until(folder, 0)
    assert newest(folder) > 0, pair.ends()
    second = machines[1][3]
    for link in subprocess.check_output(["ip", "-n", second, "-o", "link"], text=True).splitlines():
        name = link.split(": ")[1].partition("@")[0]
        subprocess.run(["ip", "-n", second, "link", "set", name, "down"], check=True)
    ends = pair.ends()
    assert [code for code, _ in ends] == [LOST, LOST], ends
    assert "process 1 on machine-1 was lost during" in ends[0][1]
    assert "process 0 on machine-0 was lost during" in ends[1][1]
    assert not (folder / "lock.json").exists()
