"""The same job, posted to two fresh daemons, ends in the same bytes but for times.

Nothing is shared between the two: each has a data directory of its own, so every step really runs twice.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from ferryd import ROOT, Daemon

# What docs/report.md lists as differing between two runs, as (outer, inner or None).
TIMES = [
    ("job", "id"),
    ("usage", "seconds"),
    ("step_seconds", None),
    ("stage_seconds", None),
    ("speed", None),
]

DROPOUT = """\
import torch
from torch import nn


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(3, 4, 3)
        self.norm = nn.BatchNorm1d(4)
        self.drop = nn.Dropout(0.3)
        self.fc = nn.Linear(4, 2)

    def forward(self, x):
        x = torch.relu(self.norm(self.conv(x))).mean(-1)
        return self.fc(self.drop(x))


def get_inputs():
    return [torch.randn(4, 3, 9)]
"""

NET = """\
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(6, 6)
        self.fc2 = nn.Linear(6, 3)

    def forward(self, x):
        return self.fc2(nn.functional.gelu(self.fc1(x)))


def get_inputs():
    return [torch.randn(4, 6)]
"""

PORT = """\
from flax import nnx


class Net(nnx.Module):
    def __init__(self, *, rngs):
        self.first = nnx.Linear(6, 6, rngs=rngs)
        self.second = nnx.Linear(6, 3, rngs=rngs)

    def __call__(self, x):
        return self.second(nnx.gelu(self.first(x), approximate=APPROXIMATE))
"""


def port(approximate: bool) -> dict[str, Any]:
    """A candidate without a map, which has to be inferred."""
    text = PORT.replace("APPROXIMATE", str(approximate))
    return {"files": [{"path": "port.py", "content": text}], "entry": "port:Net"}


JOBS: dict[str, tuple[dict[str, Any], str]] = {
    "migrate": ({"source": DROPOUT, "entry": "model:Model"}, "equal"),
    "verify": (
        {"source": NET, "entry": "model:Net", "kind": "verify", "candidate": port(False)},
        "equal",
    ),
    "differs": (
        {"source": NET, "entry": "model:Net", "kind": "verify", "candidate": port(True)},
        "differs",
    ),
}


def outcome(daemon: Daemon, name: str) -> dict[str, Any]:
    """All that a finished job hands out and that is compared."""
    fields, _ = JOBS[name]
    job = daemon.wait(daemon.submit(**fields, name=name)["id"])
    report = daemon.get(job["links"]["report"]).text
    picture = daemon.get(job["links"]["picture"]).body
    return {"job": job, "report": report, "picture": picture, "bundle": daemon.bundle(job["id"])}


@pytest.fixture(scope="module")
def runs() -> Iterator[list[dict[str, dict[str, Any]]]]:
    both = []
    for _ in range(2):
        with Daemon() as daemon:
            both.append({name: outcome(daemon, name) for name in JOBS})
    yield both


def without_times(report: str) -> str:
    """The report's text, keys in their order, without what may differ."""
    value = json.loads(report)
    for outer, inner in TIMES:
        if inner is None:
            del value[outer]
        else:
            del value[outer][inner]
    return json.dumps(value)


def untimed(path: str, content: bytes) -> bytes:
    """A file of the bundle; only the two reports tell times, REPORT.md in one row and the section on speed."""
    if path == "report.json":
        return without_times(content.decode()).encode()
    if path == "REPORT.md":
        lines = content.splitlines()
        rows = [line for line in lines if line.startswith((b"| seconds |", b"One float32 forward"))]
        assert len(rows) in (1, 2)
        return b"\n".join(line for line in lines if line not in rows)
    return content


def test_the_times_are_documented() -> None:
    text = (ROOT / "docs" / "report.md").read_text()
    (said,) = [line for line in text.splitlines() if "Two runs of the same job" in line]
    for outer, inner in TIMES:
        assert f"`{outer}.{inner}`" in said or f"`{outer}`" in said


@pytest.mark.parametrize("name", JOBS)
def test_reports_are_the_same_bytes(runs: list[dict[str, dict[str, Any]]], name: str) -> None:
    first, second = (run[name] for run in runs)
    assert first["job"]["result"]["verdict"] == JOBS[name][1], first["job"]["result"]
    assert first["job"]["id"] != second["job"]["id"]
    assert without_times(first["report"]) == without_times(second["report"])
    assert first["picture"] == second["picture"]
    assert json.loads(first["report"])["result"]["first_difference"] or name != "differs"


def test_the_report_compares_the_port_with_eager_torch(
    runs: list[dict[str, dict[str, Any]]],
) -> None:
    speed = json.loads(runs[0]["migrate"]["report"])["speed"]
    assert speed["torch_eager_s"] > 0 and speed["jax_jit_s"] > 0
    assert speed["ratio"] == pytest.approx(speed["torch_eager_s"] / speed["jax_jit_s"], abs=0.01)
    assert b"## Speed" in runs[0]["migrate"]["bundle"]["REPORT.md"]


@pytest.mark.parametrize("name", JOBS)
def test_bundles_hold_the_same_bytes(runs: list[dict[str, dict[str, Any]]], name: str) -> None:
    first, second = (run[name]["bundle"] for run in runs)
    assert list(first) == list(second)
    assert "report.json" in first and "REPORT.md" in first
    different = [p for p in first if untimed(p, first[p]) != untimed(p, second[p])]
    assert different == []
