"""What all tests share: JAX set up once, the command line as a call, and one small finished run."""

import gc
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from populace.engine.callbacks import Callback

# Machines that test are busy ones, and the first example pays for imports: no example has a deadline.
hypothesis.settings.register_profile("populace", deadline=None, max_examples=50)
hypothesis.settings.load_profile("populace")

DEVICES = 2

SMALL = """
name = "small"
about = "four agents in seconds"

[run]
steps = 300
seeds = 2
strategy = "vmap"
devices = 2
log_every = 10
evaluate_every = 50
final_evaluation_size = 3

[learner]
kind = "dqn"
num_envs = 2
hidden_sizes = [8]
batch_size = 16
warmup = 64
replay_storage = 512
replay_capacity = 512
evaluation_episodes = 3

[sweep]
learning_rate = [1e-3, 3e-4]
"""


def pytest_configure(config: pytest.Config) -> None:
    """Fix the number of devices and where compiled programs go, before JAX starts."""
    cache = getattr(config, "cache", None)
    folder = cache.mkdir("populace") if cache else tempfile.mkdtemp(prefix="populace-cache-")
    os.environ.setdefault("POPULACE_CACHE", str(folder))
    os.environ.pop("POPULACE_DEBUG", None)
    # One width for every terminal: tables are compared as text.
    os.environ |= {"COLUMNS": "160", "TF_CPP_MIN_LOG_LEVEL": "3", "NO_COLOR": "1"}
    import populace
    from tests import quick
    from tests.programs import Programs

    quick.choose()
    populace.setup(DEVICES)
    quick.start()
    config.pluginmanager.register(Programs(), "programs")


@pytest.fixture(scope="module", autouse=True)
def _memory() -> Iterator[None]:
    """Let go of compiled programs behind each file: two thousand tests' worth of them fill a laptop."""
    yield
    import jax

    from populace.engine.programs import compiled_cache

    compiled_cache.forget()
    jax.clear_caches()
    gc.collect()


@dataclass(frozen=True)
class Outcome:
    """What a command left behind."""

    code: int
    out: str
    err: str

    def refused(self, code: int) -> str:
        """Return the one line that a person gets, having checked that it is no more than that."""
        lines = self.err.splitlines()
        assert self.code == code, f"exit code {self.code}, expected {code}: {self.err}"
        assert len(lines) == 1, f"{len(lines)} lines on standard error:\n{self.err}"
        assert lines[0].startswith("populace: ")
        assert "Traceback" not in self.out + self.err
        # `Error: ...` is how main() shows what nobody foresaw.
        assert "POPULACE_DEBUG" not in lines[0], f"not foreseen: {lines[0]}"
        return lines[0].removeprefix("populace: ")

    @property
    def json(self) -> Any:
        """What is on standard output, which must be JSON and nothing else."""
        return json.loads(self.out)


def call(*words: object) -> int:
    """Run the command line in this process; return its exit code."""
    from populace.cli.entry import main
    from populace.engine import placement

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["populace", *map(str, words)])
        # This process has its devices already, whatever the machine has in cores.
        patch.setattr(placement, "cores", lambda: DEVICES)
        try:
            main()
        except SystemExit as left:
            return left.code if isinstance(left.code, int) else int(left.code is not None)
    return 0


@pytest.fixture
def cli(capfd: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """The command line in this process: `cli("run", "cartpole", "--seeds", 0)`."""

    def run(*words: object) -> Outcome:
        capfd.readouterr()
        code = call(*words)
        out, err = capfd.readouterr()
        return Outcome(code, out, err)

    return run


@pytest.fixture(scope="session")
def program() -> list[str]:
    """The command line as a program: the first words of a subprocess."""
    start = "import sys; sys.argv[0] = 'populace'; from populace.cli import main; main()"
    return [sys.executable, "-c", start]


@pytest.fixture
def shell(program: list[str]) -> Callable[..., Outcome]:
    """The command line as a process of its own, for what depends on that."""

    def run(*words: object, timeout: float = 300) -> Outcome:
        command = [*program, *map(str, words)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
        return Outcome(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recipe file of four members that train in seconds."""
    file = tmp_path_factory.mktemp("recipe") / "small.toml"
    file.write_text(SMALL)
    return file


@pytest.fixture(scope="session")
def finished(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run folder. Read only: take `finished_copy` to change it."""
    folder = tmp_path_factory.mktemp("runs") / "finished"
    assert call("run", small, "--out", folder, "--no-report", "--quiet") == 0
    return folder


@pytest.fixture
def finished_copy(finished: Path, tmp_path: Path) -> Path:
    """A finished run folder to do with as one likes."""
    return Path(shutil.copytree(finished, tmp_path / "finished"))


@pytest.fixture(scope="session")
def stopped(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same run stopped twice: its checkpoints are of steps 100 and 200. Read only."""
    from populace.runs.recipe.parsing import parse
    from populace.runs.run import Run
    from populace.runs.training.launch import run_recipe
    from populace.runs.training.session import Stopped

    folder = tmp_path_factory.mktemp("runs") / "stopped"
    reached = Reached(100)
    with pytest.raises(Stopped):
        run_recipe(parse(small.read_text(), "small"), folder, callbacks=[reached], stop=reached.is_over)
    reached = Reached(200)
    with pytest.raises(Stopped):
        Run.load(folder).resume(callbacks=[reached], stop=reached.is_over)
    return folder


@pytest.fixture
def stopped_copy(stopped: Path, tmp_path: Path) -> Path:
    """A run stopped at 200 of 300 steps, to do with as one likes."""
    return Path(shutil.copytree(stopped, tmp_path / "stopped"))


class Reached(Callback):
    """Knows when a step has come."""

    def __init__(self, step: int) -> None:
        self.step, self.at = step, 0

    def on_start(self, population: Any, step: int) -> None:
        self.at = step

    def on_window(self, window: Any) -> None:
        self.at = window.step

    def is_over(self) -> bool:
        return self.at >= self.step


def checkpoint_steps(folder: Path) -> list[int]:
    """Return the steps of the checkpoints of a run, oldest first."""
    return sorted(int(p.name) for p in (folder / "checkpoints").iterdir() if p.name.isdecimal())


def arrays(folder: Path, step: int | None = None) -> dict[str, list]:
    """Return type, shape and checksum of every array that a checkpoint was made of."""
    step = checkpoint_steps(folder)[-1] if step is None else step
    note = json.loads((folder / "checkpoints" / str(step) / "info.json").read_text())
    assert note["step"] == step
    return note["arrays"]


def outcome_of(folder: Path) -> dict[str, Any]:
    """Return what must be equal, bit for bit, in two runs of the same recipe."""
    from populace.runs.run import Run

    run = Run.load(folder)
    results = run.results()
    kept = {k: results[k] for k in ("members", "settings", "best", "status", "steps")}
    tables = {kind: run.metrics(kind).to_pylist() for kind in ("train", "evaluation")}
    return kept | tables | {"arrays": arrays(folder)}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files: at the end they would keep one process busy and the others idle."""
    from tests.programs import length

    items.sort(key=lambda item: -length(item.location[0]))
