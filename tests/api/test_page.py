"""The first page: its policy, and that a real browser shows a job with it."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from client import Client

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def test_policy(api: Client) -> None:
    answer = api.get("/")
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy


def test_nothing_comes_from_elsewhere(api: Client) -> None:
    page = api.get("/").body.decode()
    used = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert used
    for target in used:
        assert target == "data:," or api.get(target).status == 200
    assert "style=" not in page
    assert not re.search(r"<script>|\son\w+=", page)
    script = api.get("/dashboard/app.js").body.decode()
    assert "innerHTML" not in script


def dump(browser: str, url: str, profile: Path) -> str:
    """The page as the browser shows it: virtual time stands still while a request is under way."""
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}"]
    command += ["--virtual-time-budget=8000", "--dump-dom", url]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


def test_a_browser_shows_the_job(api: Client, tmp_path: Path) -> None:
    browser = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if browser is None:
        pytest.skip("no browser is installed")
    name = "<img src=x onerror=alert(1)>"
    job: Any = api.submit("def broken(:\n", name=name)
    api.cancel(job["id"])
    api.finish(job["id"])
    shown = dump(browser, f"http://127.0.0.1:{api.port}/#{job['id']}", tmp_path)
    assert job["id"] in shown
    assert "job.queued" in shown
    assert "&lt;img src=x" in shown
    assert "<img" not in shown
