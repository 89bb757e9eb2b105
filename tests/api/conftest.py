"""Fixtures: the real daemon on a free port with a data directory of its own.

``FERRYD`` names the binary (default ``build/ferryd``). A daemon is stopped by its own process id with SIGTERM, and must
then exit with 0.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from client import Client

ROOT = Path(__file__).resolve().parents[2]
READY = re.compile(rb"ready.*listen=([\d.]+):(\d+)")

SLEEPER = "import time\ntime.sleep(100)\n"
LINEAR = """\
import torch
from torch import nn


class Model(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.fc = nn.Linear(n, 3)  # kept

    def forward(self, x):
        return torch.relu(self.fc(x))


def get_init_inputs():
    return [4]


def get_inputs():
    return [torch.rand(3, 4)]
"""


def binary() -> str:
    return os.environ.get("FERRYD", str(ROOT / "build" / "ferryd"))


class Daemon:
    """One running ferryd."""

    def __init__(self, folder: Path, *settings: str) -> None:
        self.log = folder / "log"
        command = [binary(), "--listen", "127.0.0.1:0", "--data-dir", str(folder / "data")]
        for setting in settings:
            command += ["--set", setting]
        with self.log.open("ab") as log:
            start = log.tell()
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        self.client = Client(*self._wait_ready(start))

    def _wait_ready(self, start: int) -> tuple[str, int]:
        end = time.monotonic() + 60
        while time.monotonic() < end and self.process.poll() is None:
            found = READY.search(self.log.read_bytes()[start:])
            if found:
                return found[1].decode(), int(found[2])
            time.sleep(0.02)
        self.process.kill()
        raise AssertionError(f"not ready: {self.log.read_text()[-500:]}")

    def stop(self) -> int:
        """SIGTERM; the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise


StartDaemon = Callable[..., Daemon]


@pytest.fixture
def start_daemon(tmp_path: Path) -> Iterator[StartDaemon]:
    """Starts daemons with settings; each must stop cleanly at the end."""
    running: list[Daemon] = []

    def start(*settings: str) -> Daemon:
        running.append(Daemon(tmp_path, *settings))
        return running[-1]

    yield start
    assert [daemon.stop() for daemon in running] == [0] * len(running)


@pytest.fixture(scope="session")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """One daemon with the defaults, for tests that need nothing special."""
    one = Daemon(tmp_path_factory.mktemp("ferryd"))
    yield one
    assert one.stop() == 0


@pytest.fixture
def api(daemon: Daemon) -> Client:
    return daemon.client


@pytest.fixture
def unfinished(api: Client) -> Iterator[Any]:
    """A job that does not end by itself while a test looks at it."""
    job = api.submit(SLEEPER, name="sleeper")
    yield job
    api.cancel(job["id"])


@pytest.fixture(scope="session")
def finished(daemon: Daemon) -> Any:
    """A job that was proven."""
    job = daemon.client.submit(LINEAR, entry="Model", name="linear", labels={"team": "vision"})
    return daemon.client.finish(job["id"])
