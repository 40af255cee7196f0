"""One browser for all tests of the page: starting one takes seconds."""

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


class Browser:
    """A headless Chromium with the few questions that the tests ask of a page."""

    def __init__(self, driver) -> None:
        self.driver = driver

    def open(self, page: Path, *, width: int = 1200, scheme: str = "light") -> None:
        """Load a page at a width and in a color scheme, with the logs emptied before; wait for its charts."""
        self.driver.get_log("browser")
        self.driver.get_log("performance")
        self.media(scheme)
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        self.driver.get(page.as_uri())
        self.wait("return document.documentElement.dataset.ready", seconds=60)

    def media(self, scheme: str) -> None:
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def run(self, script: str, *values):
        return self.driver.execute_script(script, *values)

    def wait(self, script: str, *values, seconds: float = 10):
        from selenium.webdriver.support.ui import WebDriverWait

        return WebDriverWait(self.driver, seconds, 0.05).until(lambda _: self.run(script, *values))

    def errors(self) -> list[str]:
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requested(self) -> list[str]:
        """Return what was asked for since the page was opened, but not what Chromium asks of itself."""
        messages = [json.loads(e["message"])["message"] for e in self.driver.get_log("performance")]
        sent = [m["params"] for m in messages if m["method"] == "Network.requestWillBeSent"]
        asked = [(message["documentURL"], message["request"]["url"]) for message in sent]
        return [url for by, url in asked if not by.startswith("chrome")]  # an empty tab is a page too


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    binary = shutil.which("chromium") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if not binary or not driver:
        pytest.skip("chromium and chromedriver are not installed: the page cannot be looked at")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for flag in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--disable-dev-shm-usage",
        f"--user-data-dir={tmp_path_factory.mktemp('profile')}",
    ):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = webdriver.chrome.service.Service(driver)
    found = webdriver.Chrome(options=options, service=service)
    yield Browser(found)
    found.quit()
