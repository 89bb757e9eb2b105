"""Fixtures: real daemons, each of which must stop cleanly with exit status 0."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from http_api import LINEAR, SLEEPER, Client, Server


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Starts daemons with settings, all on one data directory."""
    running: list[Server] = []

    def start(*settings: str) -> Server:
        running.append(Server(tmp_path, *settings))
        return running[-1]

    yield start
    assert [server.stop() for server in running] == [0] * len(running)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One daemon with the defaults, for tests that need nothing special."""
    one = Server(tmp_path_factory.mktemp("ferryd"))
    yield one
    assert one.stop() == 0


@pytest.fixture
def api(server: Server) -> Client:
    return server.client


@pytest.fixture
def unfinished(api: Client) -> Iterator[Any]:
    """A job that does not end by itself while a test looks at it."""
    job = api.submit(SLEEPER, name="sleeper")
    yield job
    api.cancel(job["id"])


@pytest.fixture(scope="session")
def finished(server: Server) -> Any:
    """A job that was proven."""
    job = server.client.submit(LINEAR, entry="Model", name="linear", labels={"team": "vision"})
    return server.client.finish(job["id"])
