"""Ports of many styles, without a weight map: each is proven, and with its bug it is not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from ferryd import Daemon
from styles import Port, load

PORTS = load()
IDS = [port.id for port in PORTS]
# some of those that have a map, which a function has not
MAPPED = [port for port in PORTS[::4] if not port.is_function]


class Jobs:
    """The jobs of all ports, submitted before the first is waited for."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon
        self._ids = {
            (port.id, wrong): self._submit(port, wrong) for port in PORTS for wrong in (False, True)
        }

    def _submit(self, port: Port, wrong: bool) -> str:
        text = port.wrong() if wrong else port.text
        return str(self.daemon.submit(port.source, **port.request(text))["id"])

    def result(self, port: Port, wrong: bool = False) -> dict[str, Any]:
        """How the job of a port ended."""
        return dict(self.job(port, wrong)["result"])

    def job(self, port: Port, wrong: bool = False) -> dict[str, Any]:
        return self.daemon.wait(self._ids[port.id, wrong], 900)


@pytest.fixture(scope="module")
def jobs() -> Iterator[Jobs]:
    with Daemon() as daemon:
        yield Jobs(daemon)


def test_there_are_enough_styles() -> None:
    assert len(PORTS) >= 30
    assert len({port.model for port in PORTS}) >= 12
    assert sum(port.adapter is not None for port in PORTS) >= 8


@pytest.mark.parametrize("port", PORTS, ids=IDS)
def test_a_right_port_is_proven_without_a_map(jobs: Jobs, port: Port) -> None:
    result = jobs.result(port)
    assert result["verdict"] == port.verdict, result
    assert {assumption["code"] for assumption in result["assumptions"]} == port.assumptions


@pytest.mark.parametrize("port", PORTS, ids=IDS)
def test_its_bug_is_found(jobs: Jobs, port: Port) -> None:
    result = jobs.result(port, wrong=True)
    assert (result["verdict"], result["reason"]) == ("differs", "differs"), result


@pytest.mark.parametrize("port", MAPPED, ids=[port.id for port in MAPPED])
def test_the_map_in_the_answer_is_one_to_send(jobs: Jobs, port: Port) -> None:
    """What was inferred proves the same port when it is given."""
    attempt = jobs.daemon.get(jobs.job(port)["links"]["attempts"] + "/1").json()
    fields = port.request(port.text, attempt["weights"])
    job = jobs.daemon.wait(jobs.daemon.submit(port.source, **fields)["id"], 900)
    assert job["result"]["verdict"] == port.verdict, job["result"]
