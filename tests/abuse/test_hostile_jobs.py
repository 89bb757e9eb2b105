"""Hostile sources as jobs of a real daemon: each fails clearly, the job beside it is proven."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from ferryd import PROVEN, Daemon
from hostile import HOSTILE, LIMITS, Hostile

MODEL = """

import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 3)

    def forward(self, x):
        return torch.relu(self.fc(x))


def get_init_inputs():
    return []


def get_inputs():
    return [torch.rand(2, 4)]
"""

# The daemon has one set of limits for all: small ones, so that the test is quick.
SETTINGS = {
    "wall_s": 30,
    "cpu_s": 8,
    "memory_bytes": LIMITS["memory_bytes"],
    "processes": LIMITS["processes"],
    "output_bytes": LIMITS["output_bytes"],
    "file_bytes": LIMITS["file_bytes"],
    "slots": 2,
}


@pytest.fixture(scope="module")
def guarded() -> Iterator[Daemon]:
    """A daemon with small limits."""
    options = [
        word for key, value in SETTINGS.items() for word in ("--set", f"sandbox.{key}={value}")
    ]
    with Daemon(*options) as running:
        yield running


def submit_neighbour(daemon: Daemon, salt: str) -> str:
    # A comment of its own, or the daemon would answer from its store.
    return str(
        daemon.submit(f"# beside {salt}\n{MODEL}", entry="model:Net", name="neighbour")["id"]
    )


@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda h: h.name)
def test_a_hostile_job_fails_and_its_neighbour_is_proven(guarded: Daemon, hostile: Hostile) -> None:
    attack = guarded.submit(hostile.code + MODEL, entry="model:Net", name=hostile.name)["id"]
    neighbour = submit_neighbour(guarded, hostile.name)
    job = guarded.wait(attack)
    assert job["state"] == "failed"
    assert job["result"]["reason"] in hostile.reasons, job["result"]
    assert job["result"]["verdict"] == "source_error"
    beside = guarded.wait(neighbour)
    assert beside["state"] == "succeeded", beside["result"]
    assert beside["result"]["verdict"] in PROVEN


def test_the_sandbox_is_still_whole(guarded: Daemon) -> None:
    ready = guarded.get("/readyz").json()
    assert {ready["sandbox"][env]["restarts"] for env in ("torch", "jax")} == {0}
