"""The page as a person meets it: in a browser."""

from itertools import pairwise

import pytest
from fake_run import fake_run

from populace import report

EVIL = "<script>window.hit = 1</script><img src=x onerror='window.hit = 1'>"


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    return report.write([fake_run(tmp_path_factory.mktemp("runs") / "grid")])


def drawn(browser) -> dict:
    return browser.run("""
        return Object.fromEntries([...document.querySelectorAll("[data-chart]")].map((chart) => {
          const svg = chart.querySelector("svg.main-svg");
          const box = svg ? svg.getBoundingClientRect() : {width: 0, height: 0};
          const marks = chart.querySelectorAll(".trace path, .hm image, .heatmaplayer image");
          return [chart.dataset.chart, svg && box.width > 100 && box.height > 100 && marks.length];
        }));""")


def column(browser, table: str, title: str) -> list[str]:
    return browser.run(
        """
        const heads = [...document.querySelectorAll(`#${arguments[0]} th`)];
        const at = heads.findIndex((head) => head.textContent.trim() === arguments[1]);
        return [...document.querySelectorAll(`#${arguments[0]} tbody tr`)]
          .filter((row) => !row.hidden).map((row) => row.cells[at].textContent.trim());""",
        table,
        title,
    )


def press(browser, table: str, title: str) -> str:
    """Sort by a column as from the keyboard, and return what a screen reader is told."""
    return browser.run(
        """
        const heads = [...document.querySelectorAll(`#${arguments[0]} th`)];
        const head = heads.find((head) => head.textContent.trim() === arguments[1]);
        const button = head.querySelector("button");
        button.focus();
        if (document.activeElement !== button) throw new Error("the header cannot be focused");
        button.click();
        return head.getAttribute("aria-sort");""",
        table,
        title,
    )


def test_it_loads_without_errors_and_asks_nothing_of_the_network(browser, page):
    browser.open(page)
    assert browser.errors() == []
    asked = browser.requested()
    assert asked, "the log must at least hold the page itself"
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []


def test_every_chart_is_drawn(browser, page):
    browser.open(page)
    charts = drawn(browser)
    assert {"curves", "leaderboard", "sweep", "chosen", "profile", "improvement"} <= set(charts)
    assert [name for name, marks in charts.items() if not marks] == []


def test_the_legend_hides_and_shows_a_line(browser, page):
    browser.open(page)
    script = """
        const button = document.querySelector('[data-legend="curves"] button');
        button.click();
        return [button.getAttribute("aria-pressed"),
                document.querySelectorAll("#chart-curves .scatterlayer .trace").length];"""
    (off, fewer), (on, more) = browser.run(script), browser.run(script)
    assert (off, on) == ("false", "true")
    assert more > fewer


def test_only_the_band_of_the_first_line_is_shown_until_another_is_pointed_at(browser, page):
    browser.open(page)
    opacity = """
        const button = document.querySelectorAll('[data-legend="curves"] button')[1];
        if (arguments[0]) button.dispatchEvent(new Event(arguments[0]));
        return [...document.querySelectorAll("#chart-curves .js-fill")].slice(-6)
          .map((band) => Number(getComputedStyle(band).fillOpacity));"""
    assert browser.run(opacity, "") == [0, 0, 0, 0, 0, 0.16]
    assert browser.run(opacity, "mouseenter") == [0, 0, 0, 0, 0.16, 0.16]
    assert browser.run(opacity, "mouseleave") == [0, 0, 0, 0, 0, 0.16]


def test_on_a_phone_the_score_stays_beside_the_rank(browser, page):
    browser.open(page, width=360)
    ends = browser.run("""
        const [rank, score] = document.querySelectorAll("#settings-table tbody tr:first-child td");
        const box = rank.closest(".box");
        const before = score.getBoundingClientRect().right;
        box.scrollLeft = 200;
        return [before, box.getBoundingClientRect().right, rank.getBoundingClientRect().left,
                box.getBoundingClientRect().left];""")
    assert ends[0] < ends[1], "the score is seen without scrolling"
    assert abs(ends[2] - ends[3]) < 3, "the rank stays while the rest scrolls"


def test_the_members_sort_both_ways_by_number_with_the_diverged_last(browser, page):
    browser.open(page)
    for way, reverse in (("ascending", False), ("descending", True)):
        assert press(browser, "members-table", "best evaluation") == way
        values = [float(v) for v in column(browser, "members-table", "best evaluation")]
        states = column(browser, "members-table", "state")
        assert values[:-2] == sorted(values[:-2], reverse=reverse)
        assert [state.startswith("diverged") for state in states] == [False] * 62 + [True] * 2
    assert press(browser, "members-table", "member") == "ascending"
    assert column(browser, "members-table", "member") == [str(m) for m in range(64)]


def test_the_filter_keeps_what_was_asked_for(browser, page):
    browser.open(page)
    box = browser.driver.find_element("css selector", "#members-table-filter")
    box.send_keys("diverged")
    assert sorted(column(browser, "members-table", "member")) == ["13", "62"]
    assert browser.run("return document.querySelector('#members-table-count').value") == "2 of 64"


def test_the_video_plays(browser, page):
    browser.open(page)
    browser.run("const v = document.querySelector('video'); v.muted = true; v.play();")
    browser.wait("const v = document.querySelector('video'); return v.readyState >= 2")
    assert browser.wait("return document.querySelector('video').currentTime > 0.2")
    assert browser.run("return [...document.images].every((i) => i.naturalWidth > 0 && i.alt)")


@pytest.mark.parametrize("width", [360, 768])
def test_a_narrow_screen_never_scrolls_sideways(browser, page, width):
    browser.open(page, width=width)
    assert browser.run("return document.documentElement.scrollWidth") <= width
    assert not [name for name, marks in drawn(browser).items() if not marks]


def test_dark_recolors_page_and_charts_at_once(browser, page):
    browser.open(page)
    look = """
        const text = document.querySelector("#chart-curves .xtick text");
        return [getComputedStyle(document.body).backgroundColor, getComputedStyle(text).fill,
                document.querySelector("#chart-curves .js-line").style.stroke];"""
    light = browser.run(look)
    browser.media("dark")
    browser.wait(f"{look.replace('return [', 'const now = [')} return now[1] !== arguments[0]", light[1])
    dark = browser.run(look)
    assert all(before != after for before, after in zip(light, dark)), (light, dark)


def test_on_paper_it_is_light_fits_and_hides_what_cannot_be_pressed(browser, page):
    browser.open(page, scheme="dark")
    browser.run("dispatchEvent(new Event('beforeprint'))")
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    found = browser.run("""
        return {scheme: getComputedStyle(document.documentElement).colorScheme,
          open: [...document.querySelectorAll("details")].every((d) => d.open),
          nav: getComputedStyle(document.querySelector("nav")).display,
          wide: Math.max(...[...document.querySelectorAll("svg.main-svg")]
            .map((svg) => svg.clientWidth))}""")
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    browser.run("dispatchEvent(new Event('afterprint'))")
    assert found["scheme"] == "light"
    assert found["open"]
    assert found["nav"] == "none"
    assert found["wide"] <= 690
    assert not browser.run("return [...document.querySelectorAll('details')].some((d) => d.open)")


def test_headings_are_in_order(browser, page):
    browser.open(page)
    levels = browser.run("""
        return [...document.querySelectorAll("h1,h2,h3,h4")].map((h) => Number(h.tagName[1]))""")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_names_are_inert_wherever_they_stand(browser, tmp_path):
    axes = {f"{EVIL}.rate": [1e-3, 1e-2], "kind": [EVIL, "</script>", "var(--c0)"]}
    run = fake_run(tmp_path / "evil", name=EVIL, axes=axes, seeds=2)
    run.content |= {"about": EVIL, "command": EVIL, "unit": EVIL, "learner": EVIL}
    run.recipe = EVIL
    browser.open(report.write([run]))
    assert browser.errors() == []
    assert browser.run("return window.hit === undefined && !document.querySelector('img[src=x]')")
    assert browser.run("return document.querySelector('h1').textContent") == EVIL
    compared = report.write([run, run], tmp_path / "compared.html")
    browser.open(compared)
    assert browser.errors() == []
    assert browser.run("return window.hit === undefined && !document.querySelector('img[src=x]')")


def test_a_comparison_is_drawn(browser, tmp_path):
    more = {"axes": {"rate": [1e-3, 1e-2]}, "media": False}
    runs = [fake_run(tmp_path / str(i), name=f"run {i}", seed=i, **more) for i in range(3)]
    browser.open(report.write(runs, tmp_path / "compared.html"), width=360)
    assert browser.errors() == []
    charts = drawn(browser)
    assert set(charts) == {"curves", "leaderboard", "matrix", "profile"}
    assert [name for name, marks in charts.items() if not marks] == []
    assert browser.run("return document.documentElement.scrollWidth") <= 360


def test_a_thousand_members_stay_usable(browser, tmp_path):
    axes = {"rate": [10 ** (-5 + i / 60) for i in range(125)]}
    browser.open(report.write([fake_run(tmp_path / "big", axes=axes, seeds=8, media=False)]))
    took = browser.run("""
        const before = performance.now();
        document.querySelectorAll("#members-table th button")[4].click();
        document.body.offsetHeight;
        return performance.now() - before;""")
    assert len(column(browser, "members-table", "member")) == 1000
    assert took < 1500, f"sorting took {took:.0f} ms"
