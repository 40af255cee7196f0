"""The live page in a browser: it follows a run that grows, and answers this machine alone."""

import json
import urllib.error
import urllib.request
from types import SimpleNamespace

import pytest
from fake_run import FakeRun, fake_run

from populace.core.errors import RunError, UsageError
from populace.report.watch import Server


class Growing(FakeRun):
    """A run of which more evaluations are seen each time that `step` is raised."""

    step = 0

    def changed_at(self) -> tuple[float, ...]:
        return (self.step,)

    def results(self):
        if self.step < 0:
            raise RunError("the folder is being written")
        return super().results() | {"status": "running"}

    def metrics(self, kind="train"):
        table = self.tables[kind]
        return table.filter(table["step"].to_numpy() <= self.step)


@pytest.fixture
def run(tmp_path):
    made = fake_run(tmp_path / "run", axes={"rate": [0.1, 0.2]}, test=False, external=False, media=False)
    return Growing(made.path, made.content, made.tables, made.surroundings)


def progress_of(run):
    now = SimpleNamespace(state="running", step=run.step, steps=20_000, owner="process 7 on host, since now")
    times = {"seconds": 60.0, "checkpoint_at": 0.0, "remaining": 90.0}
    return SimpleNamespace(status=now, confirmation=None, **times)


def asked(url, host=None):
    request = urllib.request.Request(url, headers={"Host": host} if host else {})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.read()


POINTS = (
    "return (document.querySelector('#chart-curves')?.data || [])"
    ".reduce((n, trace) => Math.max(n, trace.x.length), 0)"
)


def test_the_page_follows_a_run_while_it_grows(browser, run):
    with Server(run, lambda: progress_of(run)) as server:
        show = browser.driver.get
        browser.errors()
        size = {"width": 390, "height": 900, "deviceScaleFactor": 1, "mobile": True}
        browser.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        show(server.url)
        browser.wait("return document.documentElement.dataset.ready", seconds=60)
        assert "curves come with the first checkpoint" in browser.run("return document.body.textContent")
        run.step = 5_000
        few = browser.wait(POINTS, seconds=30)  # the page has loaded itself again, with the charts
        said = browser.run("return document.body.innerText")
        assert "5000 of 20\u202f000 steps (25\u00a0%), about 1 min 30 s to go" in said
        browser.run("window.same = true")
        run.step = 10_000
        browser.wait(f"return (() => {{ {POINTS} }})() > arguments[0]", few, seconds=30)
        assert browser.run("return window.same"), (
            "the same charts are drawn again, and the page is not loaded"
        )
        assert browser.run("return document.querySelectorAll('#leaders-table tbody tr').length") == 2
        assert browser.run("return document.documentElement.scrollWidth <= innerWidth")
        assert browser.errors() == []
    browser.wait("return !document.getElementById('live-lost').hidden", seconds=30)


def test_only_this_machine_is_answered_and_only_pages_are_served(run, tmp_path):
    (tmp_path / "run" / "recipe.toml").write_text("secret")
    run.step = 5_000
    with Server(run, lambda: progress_of(run)) as server:
        assert server.url.startswith("http://127.0.0.1:")
        found = json.loads(asked(server.url + "now.json"))
        assert {"curves", "leaderboard"} <= set(found["specs"])
        again = json.loads(asked(f"{server.url}now.json?seen={found['version']}"))
        assert "specs" not in again
        assert again["parts"] == found["parts"]
        for path, host, status in (
            ("now.json", "evil.example", 403), ("recipe.toml", None, 404), ("../run/recipe.toml", None, 404),
            ("report.html", None, 404),
        ):  # fmt: skip
            with pytest.raises(urllib.error.HTTPError) as told:
                asked(server.url + path, host)
            assert told.value.code == status
        run.step = -1  # nothing can be read now: that is said, and tried again
        assert "is being written" in json.loads(asked(server.url + "now.json"))["parts"]["live-head"]
        with pytest.raises(UsageError, match="choose another by --port"):
            Server(run, lambda: progress_of(run), server.port)


def test_names_of_settings_are_escaped(run):
    run.content["settings"][0]["values"] = {"rate": "<script>hit()</script>"}
    run.step = 5_000
    with Server(run, lambda: progress_of(run)) as server:
        assert b"<script>hit" not in asked(server.url)
        placed = json.loads(asked(server.url + "now.json"))["parts"]
        assert "&lt;script&gt;hit" in placed["live-table"]
        assert "<script>hit" not in "".join(placed.values())
