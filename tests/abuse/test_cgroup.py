"""The cgroup that an operator names for the sandboxes, in the kernel's own hierarchy."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ferryd import Daemon

ROOT = Path("/sys/fs/cgroup")
LIMIT = 1200 << 20

SOURCE = """\
import torch
from torch import nn


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 2)

    def forward(self, x):
        return self.fc(x)


def get_inputs():
    return [torch.randn(4, 3)]
"""
GREEDY = SOURCE.replace("return self.fc(x)", "return self.fc(x) + torch.ones(1 << 29).sum()")


@pytest.fixture(scope="module")
def cgroup() -> Iterator[Path]:
    """An empty cgroup with a memory limit: a step may take 4 GiB, all of them together less than a third of that."""
    version_2 = (ROOT / "cgroup.controllers").exists()
    folder = (ROOT if version_2 else ROOT / "memory") / f"ferryd-test-{os.getpid()}"
    limit = folder / ("memory.max" if version_2 else "memory.limit_in_bytes")
    try:
        folder.mkdir()
        limit.write_text(str(LIMIT))
    except OSError as error:
        if folder.exists():
            folder.rmdir()
        pytest.skip(f"no cgroup with a memory limit can be made here: {error}")
    yield folder
    folder.rmdir()


def settled(daemon: Daemon) -> dict[str, Any]:
    """What /readyz says of the sandboxes once none of them is starting."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        status: dict[str, Any] = daemon.get("/readyz").json()["sandbox"]
        if all(status[env]["state"] != "starting" for env in ("torch", "jax")):
            return status
        time.sleep(0.1)
    raise TimeoutError(f"the sandboxes still start: {status}")


@pytest.fixture(scope="module")
def limited(cgroup: Path) -> Iterator[Daemon]:
    with Daemon("--set", f"sandbox.cgroup={cgroup}") as daemon:
        yield daemon


def test_every_process_is_a_member_and_readyz_says_so(limited: Daemon, cgroup: Path) -> None:
    status = settled(limited)
    assert status["cgroup"]["folder"] == str(cgroup)
    assert status["cgroup"]["memory_bytes"] == LIMIT
    members = [int(line) for line in (cgroup / "cgroup.procs").read_text().split()]
    for env in ("torch", "jax"):
        assert status[env]["state"] == "ready"
        assert "cgroup" in status[env]["confinement"]
        assert status[env]["pid"] in members
    assert limited.process.pid not in members


def test_the_kernel_limits_what_a_step_may_take(limited: Daemon) -> None:
    greedy = limited.wait(limited.submit(GREEDY, entry="model:Model")["id"])
    assert greedy["state"] == "failed"
    assert greedy["result"]["reason"] == "step_crashed"
    assert "signal 9" in greedy["result"]["error"]["message"]
    modest = limited.wait(limited.submit(SOURCE, entry="model:Model")["id"])
    assert modest["result"]["verdict"] == "equal", modest["result"]


def test_a_cgroup_that_cannot_be_joined_stops_everything(tmp_path: Path) -> None:
    with Daemon("--set", f"sandbox.cgroup={tmp_path / 'none'}") as daemon:
        status = settled(daemon)
        job = daemon.wait(daemon.submit(SOURCE, entry="model:Model")["id"])
    for env in ("torch", "jax"):
        assert status[env]["state"] == "failed"
        assert "cgroup.procs" in status[env]["missing"][0]["why"]
    assert job["result"]["reason"] == "sandbox_unavailable"


def test_a_folder_that_is_no_cgroup_is_not_believed(tmp_path: Path) -> None:
    (tmp_path / "cgroup.procs").write_text("1\n")
    with Daemon("--set", f"sandbox.cgroup={tmp_path}") as daemon:
        status = settled(daemon)
    for env in ("torch", "jax"):
        assert status[env]["state"] == "failed"
        assert status[env]["missing"][0]["part"] == "cgroup"


def test_without_one_readyz_names_none() -> None:
    with Daemon() as daemon:
        status = settled(daemon)
    assert status["cgroup"] is None
    assert "cgroup" not in status["torch"]["confinement"]
