"""The first page: its policy, and a real browser that follows a job with it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from http_api import SLEEPER, Client
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver import Chrome, ChromeOptions, ChromeService
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

MARKUP = "<img src=x onerror=alert(1)>"


def test_policy(api: Client) -> None:
    policy = api.get("/").headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy


def test_nothing_comes_from_elsewhere(api: Client) -> None:
    page = api.get("/").body.decode()
    used = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert used
    for target in used:
        assert target == "data:," or api.get(target).status == 200
    assert "style=" not in page
    assert not re.search(r"<script>|\son\w+=", page)
    assert "innerHTML" not in api.get("/dashboard/app.js").body.decode()


@pytest.fixture
def browser() -> Iterator[Chrome]:
    binary, driver = shutil.which("chromium"), shutil.which("chromedriver")
    assert binary and driver, "chromium and chromedriver are not installed: make deps"
    options = ChromeOptions()
    options.binary_location = binary
    for argument in ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    chrome = Chrome(options, ChromeService(driver))
    yield chrome
    chrome.quit()


def until(browser: Chrome, condition: Callable[[], bool]) -> None:
    """Waits for a condition; the page may replace an element while it looks at it."""
    wait = WebDriverWait(browser, 30, ignored_exceptions=[StaleElementReferenceException])
    wait.until(lambda _: condition())


def test_a_browser_follows_a_job_live(api: Client, browser: Chrome) -> None:
    job: Any = api.submit(SLEEPER, name=MARKUP)

    def text(name: str) -> str:
        return browser.find_element(By.ID, name).text

    until(browser, lambda: api.get("/readyz").status == 200)  # the browser would log a 503
    browser.get(f"http://127.0.0.1:{api.port}/")
    until(browser, lambda: MARKUP in text("jobs"))
    browser.find_element(By.LINK_TEXT, MARKUP).click()
    until(browser, lambda: job["id"] in text("job-title") and "job.queued" in text("events"))
    assert MARKUP in text("job-title")
    assert "cancelled" not in text("job-summary")
    api.cancel(job["id"])
    until(browser, lambda: "job.cancelled" in text("events") and "cancelled" in text("job-summary"))
    assert browser.find_elements(By.TAG_NAME, "img") == []
    assert browser.get_log("browser") == []


def test_a_browser_shows_what_was_proven(api: Client, browser: Chrome, finished: Any) -> None:
    browser.get(f"http://127.0.0.1:{api.port}/#{finished['id']}")
    until(browser, lambda: "forward_f64" in browser.find_element(By.ID, "stages").text)
    assert "succeeded, equal" in browser.find_element(By.ID, "job-summary").text

    def picture_is_drawn() -> bool:
        picture = browser.find_element(By.CSS_SELECTOR, "#picture img")
        return int(picture.get_property("naturalWidth")) > 0

    def links() -> set[str]:
        found = browser.find_element(By.ID, "job-links").find_elements(By.TAG_NAME, "a")
        return {link.text for link in found}

    until(browser, picture_is_drawn)
    until(browser, lambda: links() == {"report", "diff", "bundle", "logs", "attempts"})
