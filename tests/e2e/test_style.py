"""Jobs of the style `idiomatic` over HTTP: proven as they are, or after a switch was taken back alone."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest
from ferryd import ROOT, Daemon

sys.path.insert(0, str(ROOT / "tests" / "python" / "translate"))

from sources_scan import SCANNED
from sources_styles import HEAD, SOURCES

# the layer's eps is another one than its constructor says, which only running shows
CHANGED = (
    HEAD
    + """\
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(5, 8)
        self.norm1 = nn.LayerNorm(8)
        self.norm2 = nn.LayerNorm(8)
        setattr(self.norm2, "eps", 0.5)
        self.fc2 = nn.Linear(8, 3)

    def forward(self, x):
        return self.fc2(self.norm2(self.norm1(self.fc1(x))))


def get_inputs():
    return [torch.randn(4, 5)]
"""
)

# an attribute that is read by a name made at run time; the error says nothing of a module
BY_NAME = (
    HEAD
    + """\
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(5, 8)
        self.norm = nn.LayerNorm(8)
        self.act = nn.GELU()
        self.fc2 = nn.Linear(8, 8)
        self.fc3 = nn.Linear(8, 3)

    def forward(self, x):
        x = self.act(self.norm(self.fc1(x)))
        x = F.linear(x, getattr(self.fc2, "weight"))
        return self.fc3(x)


def get_inputs():
    return [torch.randn(4, 5)]
"""
)


def migrate(daemon: Daemon, source: str, style: str = "idiomatic") -> dict[str, Any]:
    """The finished job."""
    job = daemon.submit(source, entry="model:Net", style=style)
    return daemon.wait(job["id"])


def report_of(daemon: Daemon, job: dict[str, Any]) -> dict[str, Any]:
    """Its report."""
    report: dict[str, Any] = daemon.get(job["links"]["report"]).json()
    return report


def attempts_of(daemon: Daemon, job: dict[str, Any]) -> list[dict[str, Any]]:
    """Its candidates, in order."""
    attempts: list[dict[str, Any]] = daemon.get(job["links"]["attempts"]).json()["attempts"]
    return attempts


@pytest.mark.parametrize("name", list(SOURCES))
def test_proven(daemon: Daemon, name: str) -> None:
    job = migrate(daemon, SOURCES[name].text)
    assert job["result"]["verdict"] == "equal", job["result"]
    switches = report_of(daemon, job)["switches"]
    assert switches["taken_back"] == []
    assert len(switches["made"]) == sum(SOURCES[name].wanted.values())
    assert [a["n"] for a in attempts_of(daemon, job)] == [1]


@pytest.mark.parametrize("name", ["attention", "convolutions"])
def test_scanned_blocks_are_proven(daemon: Daemon, name: str) -> None:
    job = daemon.submit(SCANNED[name], entry="model:Net", style="idiomatic", scan=True)
    job = daemon.wait(job["id"])
    assert job["result"]["verdict"] == "equal", job["result"]
    switches = report_of(daemon, job)["switches"]
    assert switches["taken_back"] == []
    assert [one["to"] for one in switches["made"]].count("nnx.scan") == 1


@pytest.fixture(scope="module")
def changed(daemon: Daemon) -> Iterator[dict[str, Any]]:
    yield migrate(daemon, CHANGED)


def test_a_switch_that_differs_is_taken_back_alone(daemon: Daemon, changed: dict[str, Any]) -> None:
    assert changed["result"]["verdict"] == "equal", changed["result"]
    switches = report_of(daemon, changed)["switches"]
    (back,) = switches["taken_back"]
    assert (back["to"], back["modules"]) == ("nnx.LayerNorm", ["norm2"])
    assert back["reason"] == "forward_f64 differed at norm2"
    assert sorted(m for s in switches["made"] for m in s["modules"]) == ["fc1", "fc2", "norm1"]


def test_each_candidate_is_an_attempt(daemon: Daemon, changed: dict[str, Any]) -> None:
    first, second = attempts_of(daemon, changed)
    assert first["first_difference"]["path"] == "norm2" and second["first_difference"] is None
    assert len(first["switches"]["made"]) == 4 and len(second["switches"]["made"]) == 3
    text = daemon.get(changed["links"]["attempts"] + "/2").json()["files"][0]["content"]
    assert "self.norm1 = nnx.LayerNorm(8" in text and "self.norm2 = LayerNorm(8" in text


def test_the_report_in_words_names_both(daemon: Daemon, changed: dict[str, Any]) -> None:
    text = daemon.bundle(changed["id"])["REPORT.md"].decode()
    assert "## Switches of the idiomatic style" in text
    assert "taken back: forward_f64 differed at norm2" in text


def test_where_nothing_points_it_is_found_by_halving(daemon: Daemon) -> None:
    job = migrate(daemon, BY_NAME)
    assert job["result"]["verdict"] == "equal", job["result"]
    switches = report_of(daemon, job)["switches"]
    assert [back["modules"] for back in switches["taken_back"]] == [["fc2"]]
    assert len(switches["made"]) == 4
    assert len(attempts_of(daemon, job)) <= 6


def test_the_faithful_style_has_no_switches(daemon: Daemon) -> None:
    job = migrate(daemon, CHANGED, "faithful")
    assert job["result"]["verdict"] == "equal"
    assert report_of(daemon, job)["switches"] is None


def test_an_unknown_style_is_refused(daemon: Daemon) -> None:
    reply = daemon.post(
        "/v1/jobs",
        {"source": {"files": [{"path": "a.py", "content": "x = 1"}]}, "style": "baroque"},
    )
    assert reply.status == 400 or reply.status == 422
    assert reply.json()["pointer"] == "/style"
