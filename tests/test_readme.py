"""The Python that the README and the guides show runs as it stands."""

import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from populace.engine import strategy
from tests.places import ROOT

SETUP = re.compile(r"^(pop|populace)\.setup\(", re.MULTILINE)
FENCE = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)

# Run behind the page's own code, with its names at hand.
CHECKS = {
    "README.md": """
results = run.results()
assert results["status"] == "finished", results["status"]
assert [s["values"]["learning_rate"] for s in results["settings"]] == [1e-3, 3e-4]
assert len(results["members"]) == 4
assert all(m["test"]["size"] == 20 for m in results["members"])
assert all(1 <= m["test"]["score"] <= 500 for m in results["members"])
assert table.num_rows % 4 == 0 and {"step", "member", "return", "loss"} <= set(table.column_names)
assert gymnasium.make("CartPole-v1").action_space.contains(action), repr(action)
assert policy([observation] * 3).shape == (3,)
assert again.finished and again.results() == results
""",
    "docs/learners.md": """
errors = {tuple(s["values"].values()): s["test"]["iqm"][0] for s in run.results()["settings"]}
assert len(errors) == 4 and min(errors.values()) < 0.01, errors
assert best.setting["learning_rate"] == 1e-2
assert abs(float(best.model(1.0)) - 0.8415) < 0.1
""",
    "docs/controllers.md": """
assert pop.Run.load("runs/callback").results()["status"] == "stopped"
assert sorted(m["stopped_at"] or 0 for m in run.results()["members"]) == [0, 0, 400, 400]
""",
    "docs/data.md": "assert digits.train_images.shape == (1437, 8, 8, 1) and picture.ndim == 3",
    "docs/supervised.md": """
assert all(s["test"]["iqm"][0] > 0.9 for s in run.results()["settings"]), run.results()["settings"]
assert run.results()["test_description"] == "the 100 test examples"
assert forecaster.data.outputs == 1 and model.score(x, y) > 0.8
assert named.names == ("other", "same sign") and fair.class_weight.kind == "balanced"
""",
    "docs/streaming.md": "assert run.results()['best']['test']['iqm'][0] > 0.95",
    "docs/trained-members.md": """
assert (member.predict(x) == y).mean() > 0.8 and member.learner.data.names == ("other", "same sign")
assert (pop.Run.load("runs/tuned").recipe.options.start_from).endswith("start.safetensors")
assert network(np.ones(2, np.float32)).tolist() == [32.0, 32.0]
assert layer(np.ones(2, np.float32)).tolist() == [2.0] * 16
""",
    "docs/custom-networks.md": """
assert run.finished and action.shape == ()
assert fits.results()["settings"][0]["test"]["iqm"][0] > 0.9, fits.results()["settings"]
assert clubs.results()["settings"][0]["test"]["iqm"][0] > 0.7, clubs.results()["settings"]
""",
    "docs/optimizers.md": """
assert [s["values"]["optimizer.b1"] for s in run.results()["settings"]] == [0.8, 0.95]
assert all(s["test"]["iqm"][0] > 0.99 for s in run.results()["settings"]), run.results()["settings"]
""",
    "docs/diffusion.md": "assert new.shape == (16, 4, 4, 1) and np.isfinite(nats).all() and len(nats) == 4",
    "docs/likelihood.md": "assert nats.mean() > -4 and new.shape == (16, 5, 4, 1) and len(rest) == 4",
    "docs/images.md": "assert z.shape == (200, 2) and same.shape == images.shape and nats.mean() > -25",
    "docs/gans.md": """
assert rows.shape == (16, 8, 8, 1) and between.shape == (5, 8, 8, 1)
assert all("class_coverage" in m["test"]["metrics"] for m in run.results()["members"])
""",
    "docs/graphs.md": "assert matrix.nnz == 8",
    "docs/algorithms/ppo.md": "assert len(run.results()['settings']) == 4",
    "docs/algorithms/a2c.md": "assert len(run.results()['settings']) == 2",
    "docs/algorithms/reinforce.md": "assert len(run.results()['settings']) == 2",
    "docs/algorithms/planning.md": "assert abs(plan.values[0] - 0.542) < 5e-4",
    "docs/layers/graphs.md": "assert abs(float(share.sum()) - 34 * 4) < 1e-3",
    "docs/algorithms/node-classification.md": "assert run.results()['best']['test']['n'] == 4",
    "docs/algorithms/graph-classification.md": """
said = best.predict()
assert said.shape == (30, 1)
assert np.sqrt(np.mean((said[:, 0] - 10 * sizes) ** 2)) < 0.7 * 10 * sizes.std(), said[:, 0] - 10 * sizes
""",
    "docs/layers/decomposed.md": "assert len(mesh.devices) == 4",
    "docs/layers/building-blocks.md": "assert y.shape == (3,)",
    "docs/physics.md": """
assert solution.verdict == "solved", solution
assert 1.8 < low < 2.0 < high < 2.2, (low, high)
""",
    "docs/text.md": """
assert 0 < len(found.text) <= 5 and set(found.text) <= {"a", "b"}, found.text
assert run.results()["status"] == "finished"
""",
    "docs/forecasting.md": """
assert forecast.arrow().num_rows == 12 and len(panel.values) == 144, forecast
assert 0 < found.summary()["MASE"] < 3, found.summary()
assert page.is_file() and compared.windows == 5
""",
    "docs/multi-agent/index.md": "assert len(env.agents) == len(observations) == 2",
    "docs/statistics.md": """
assert 0 <= chance.low <= chance.value <= chance.high <= 1
assert summary.n == 5 and summary.diverged == 1 and min(summary.scores) == 61.0
""",
}


# Half a minute each, nearly all of it compiling what the tests of these learners compile as well.
SLOW = ("docs/gans.md", "docs/diffusion.md")


@pytest.mark.parametrize(
    "page", [pytest.param(p, marks=[pytest.mark.slow] if p in SLOW else []) for p in CHECKS]
)
def test_the_python_of_a_page_runs_as_shown(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = FENCE.findall((ROOT / page).read_text())
    assert blocks, f"{page} shows no Python"
    script = tmp_path / "page.py"
    script.write_text("\n".join([*blocks, CHECKS[page]]))
    if SETUP.search(script.read_text()):
        # Only a process that has not yet started JAX can be set up.
        done = subprocess.run(
            [sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return
    # All others in this process, which has imported everything: to start one takes longer than most pages do.
    monkeypatch.chdir(tmp_path)
    # A strategy left open is timed, which compiles all of them: tests/engine/test_strategy.py does that.
    monkeypatch.setattr(strategy, "_seconds_per_step", lambda program: 1 / program.width)
    monkeypatch.setattr(strategy, "_remember", lambda memory, known: None)
    runpy.run_path(str(script), run_name="__main__")


def test_the_python_of_every_page_defines_what_it_names(tmp_path: Path) -> None:
    """The pages that are not run above: a name that a rename left behind is found without running them."""
    for page in ROOT.glob("docs/**/*.md"):
        if blocks := FENCE.findall(page.read_text()):
            name = str(page.relative_to(ROOT / "docs")).replace("/", "-")
            (tmp_path / name).with_suffix(".py").write_text("\n".join(blocks))
    assert len(list(tmp_path.iterdir())) > len(CHECKS)
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "F821,E9", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_two_commands_are_in_the_readme() -> None:
    text = (ROOT / "README.md").read_text()
    assert "pip install . && populace run cartpole" in text
    assert "pip install '.[test]' && pytest" in text


def test_links_between_the_pages_lead_somewhere() -> None:
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/**/*.md")]
    broken = [
        f"{page.relative_to(ROOT)}: {link}"
        for page in pages
        for link in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text())
        if "://" not in link and not (page.parent / link).exists()
    ]
    assert not broken, broken


def test_every_page_that_the_code_names_is_there() -> None:
    files = (p for p in (ROOT / "src").rglob("*") if p.suffix in (".py", ".toml", ".cc", ".h"))
    named = {
        (path, page) for path in files for page in re.findall(r"docs/[\w/-]+\.md", path.read_text("utf-8"))
    }
    assert named
    missing = [f"{path}: {page}" for path, page in sorted(named) if not (ROOT / page).is_file()]
    assert not missing, missing
