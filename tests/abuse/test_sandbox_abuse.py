"""Hostile sources against the sandbox itself: none gets out, none hurts its neighbour."""

from __future__ import annotations

from pathlib import Path

import pytest
from hostile import HOSTILE, LIMITS, Hostile
from runner import SandboxRunner, outcome

NEIGHBOUR = """
import time
import torch

torch.manual_seed(0)
end = time.monotonic() + 1.0
total = torch.zeros(())
while time.monotonic() < end:
    total += (torch.randn(64, 64) @ torch.eye(64)).sum() * 0
answer = float(total)
"""


def processes_named(name: str) -> list[str]:
    """Live processes of this machine called `name`."""
    comms = Path("/proc").glob("[0-9]*/comm")
    return [str(path) for path in comms if path.exists() and path.read_text().strip() == name]


@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda h: h.name)
def test_hostile_source_fails_clearly_and_alone(sandbox: SandboxRunner, hostile: Hostile) -> None:
    neighbour = sandbox.start(env="torch", step="exec", request={"code": NEIGHBOUR})
    reply = sandbox.run(hostile.code, limits={**LIMITS, **hostile.limits}, out=["expected"])
    assert outcome(reply) in hostile.reasons, reply
    assert (reply["result"] or {}).get("answer") is None
    beside = sandbox.wait(neighbour)
    assert outcome(beside) == "ok", beside
    assert beside["result"]["answer"] == 0.0


def test_zygotes_are_unhurt_and_nothing_survives(sandbox: SandboxRunner) -> None:
    status = sandbox.status()
    assert {status[env]["restarts"] for env in ("torch", "jax")} == {0}
    assert not processes_named("ferry-ghost")
