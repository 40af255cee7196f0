"""How many programs XLA compiles for each test file, and how many it may.

Compiling is most of what the tests cost: a sixth of a second for each program. The run ends with what each
file compiled, and fails if one exceeds its budget.
"""

import collections
import os
from typing import Any

import pytest

DEFAULT = 150
BUDGET: dict[str, int] = {
    "analysis/test_cost.py": 225,
    "analysis/test_gradient_flow.py": 170,
    "engine/streaming/test_feeding.py": 280,
    "engine/test_training_loop.py": 320,
    "graphs/learners/test_graph_classifier.py": 260,
    "graphs/learners/test_node_classifier.py": 400,
    "images/autoencoders/test_autoencoders.py": 340,
    "images/classification/test_classifier.py": 200,
    "images/diffusion/test_diffusion.py": 180,
    "images/pixelcnn/test_pixelcnn.py": 180,
    "images/gans/test_gans.py": 225,
    "physics/optimisers/test_self_scaled.py": 175,
    "physics/test_learner.py": 180,
    "rl/multi_agent/environments/test_pettingzoo.py": 220,
    "rl/multi_agent/learners/test_factored_q.py": 200,
    "rl/multi_agent/learners/test_multi_agent_ppo.py": 185,
    "runs/training/test_session.py": 200,
    "runs/weights/test_saved_member.py": 270,
    "supervised/test_estimators.py": 370,
    "supervised/test_learner.py": 300,
    "test_readme.py": 720,
    "text/generation/test_generate.py": 170,
    "text/models/test_language_model.py": 350,
}
"""Programs that a file may compile, by its path below `tests`, where it is more than `DEFAULT`.

A fifth more than it does. What a fixture of the whole session compiles counts for the file that asks first.
"""
LONG = (
    "runs/test_kill.py",
    "test_readme.py",
    "images/gans/test_gans.py",
    "images/diffusion/test_diffusion.py",
    "graphs/learners/test_graph_classifier.py",
    "rl/agents/test_on_policy.py",
    "graphs/learners/test_node_classifier.py",
    "supervised/test_learner.py",
    "supervised/test_estimators.py",
    "images/classification/test_classifier.py",
    "rl/agents/test_dqn.py",
    "engine/test_training_loop.py",
)
"""The files that take the most processor time, the longest first; those with a budget come next."""
SHOWN = 12

_compiled = 0


def _listen(event: str, duration: float, **_: Any) -> None:
    global _compiled
    _compiled += event == "/jax/core/compile/backend_compile_duration"


def length(file: str) -> int:
    """Return a number that is larger for files that take longer, to begin with these."""
    name = _name(file)
    return 10_000 - LONG.index(name) if name in LONG else BUDGET.get(name, DEFAULT)


def _name(file: str) -> str:
    return file.replace("\\", "/").removeprefix("tests/")


def compiled() -> int:
    """Return how many programs this process has compiled, or read from the cache, until now."""
    return _compiled


def _cpu_seconds() -> float:
    """Return the processor time of this process and of the children that it has waited for."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


class Programs:
    """Counts programs and processor time test by test, and adds them up by file in the first process."""

    def __init__(self) -> None:
        self.by_file: collections.Counter[str] = collections.Counter()
        self.seconds: collections.Counter[str] = collections.Counter()
        self._before, self._begun = 0, _cpu_seconds()

    def pytest_sessionstart(self) -> None:
        import jax

        jax.monitoring.register_event_duration_secs_listener(_listen)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Any:
        report = yield
        now = _cpu_seconds()
        report.user_properties.append(("programs", _compiled - self._before))
        report.user_properties.append(("seconds", round(now - self._begun, 2)))
        self._before, self._begun = _compiled, now
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        # Properties add up from one phase of a test to the next; what this phase compiled comes last.
        last = dict(report.user_properties)
        file = _name(report.location[0])
        self.by_file[file] += last.get("programs", 0)
        self.seconds[file] += last.get("seconds", 0)

    def excess(self) -> list[str]:
        """Return a line for each file that compiled more than it may."""
        return [
            f"tests/{file} compiled {count} programs; its budget is {BUDGET.get(file, DEFAULT)}"
            for file, count in sorted(self.by_file.items())
            if count > BUDGET.get(file, DEFAULT)
        ]

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if exitstatus == 0 and self.excess() and not hasattr(session.config, "workerinput"):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        total = sum(self.by_file.values())
        terminalreporter.section(f"{total} programs compiled", sep="-")
        for file, count in self.by_file.most_common(SHOWN):
            if count:
                terminalreporter.write_line(f"{count:5d}  tests/{file}")
        terminalreporter.section(f"{sum(self.seconds.values()):.0f} s of processor time", sep="-")
        for file, seconds in self.seconds.most_common(SHOWN):
            terminalreporter.write_line(f"{seconds:5.0f}  tests/{file}")
        for line in self.excess():
            terminalreporter.write_line(f"{line} (tests/programs.py)", red=True)
