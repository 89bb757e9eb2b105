"""A job's life against the clock: cancelling, stopping, restarting, deleting."""

from __future__ import annotations

import subprocess
import time

import pytest
from ferryd import Daemon

SLOW = """\
import time
import torch
from torch import nn


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, %d)

    def forward(self, x):
        time.sleep(%s)
        return self.fc(x)


def get_inputs():
    return [torch.rand(2, 3)]
"""


def wait_for_step(daemon: Daemon, job_id: str) -> None:
    """Until the job is inside a step."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        job = daemon.get(f"/v1/jobs/{job_id}").json()
        if job["state"] == "running" and job["progress"]["step"]:
            return
        time.sleep(0.05)
    raise AssertionError(f"never started: {daemon.log.read_text()[-2000:]}")


def test_a_running_job_is_cancelled_at_once(daemon: Daemon) -> None:
    job = daemon.submit(SLOW % (4, "30"))
    wait_for_step(daemon, job["id"])
    started = time.monotonic()
    assert daemon.post(f"/v1/jobs/{job['id']}/cancel").status in (200, 202)
    assert daemon.wait(job["id"], 20)["state"] == "cancelled"
    assert time.monotonic() - started < 10
    again = daemon.post(f"/v1/jobs/{job['id']}/cancel")
    assert (again.status, again.json()["state"]) == (200, "cancelled")


def test_a_queued_job_is_cancelled_without_running() -> None:
    with Daemon("--set", "workers.jobs=1") as daemon:
        first = daemon.submit(SLOW % (5, "30"))
        second = daemon.submit(SLOW % (6, "0"))
        wait_for_step(daemon, first["id"])
        daemon.post(f"/v1/jobs/{second['id']}/cancel")
        done = daemon.wait(second["id"], 10)
        assert done["state"] == "cancelled"
        assert done["started_at"] is None
        daemon.post(f"/v1/jobs/{first['id']}/cancel")
        daemon.wait(first["id"], 20)


def test_only_a_final_job_is_deleted(daemon: Daemon) -> None:
    job = daemon.submit(SLOW % (7, "30"))
    reply = daemon.request("DELETE", f"/v1/jobs/{job['id']}")
    assert (reply.status, reply.json()["code"]) == (409, "conflict")
    daemon.post(f"/v1/jobs/{job['id']}/cancel")
    daemon.wait(job["id"], 20)
    assert daemon.request("DELETE", f"/v1/jobs/{job['id']}").status == 204
    assert daemon.get(f"/v1/jobs/{job['id']}").status == 404


def test_sigterm_gives_the_job_back_and_a_restart_finishes_it() -> None:
    with Daemon("--set", "workers.grace_ms=0") as daemon:
        job = daemon.submit(SLOW % (8, "0.1"))
        wait_for_step(daemon, job["id"])
        assert daemon.stop() == 0
        daemon.start()
        done = daemon.wait(job["id"], 120)
        assert done["result"]["verdict"] == "equal", done["result"]
        kinds = [
            event["type"] for event in daemon.get(f"/v1/jobs/{job['id']}/events").json()["events"]
        ]
        assert "job.resumed" in kinds


def test_a_job_that_takes_too_long_ends_by_its_budget(daemon: Daemon) -> None:
    job = daemon.submit(SLOW % (9, "30"), budget={"seconds": 2})
    done = daemon.wait(job["id"], 60)
    assert (done["state"], done["result"]["reason"]) == ("failed", "budget")


def test_a_data_directory_in_use_is_refused(daemon: Daemon) -> None:
    command = [daemon._command[0], "--listen", "127.0.0.1:0", "--data-dir", str(daemon.data)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert run.returncode != 0
    assert "data_dir_in_use" in run.stderr
    assert str(daemon.process.pid) in run.stderr


@pytest.mark.parametrize("dead", ["torch", "jax"])
def test_a_dead_zygote_is_restarted_and_the_step_tried_again(daemon: Daemon, dead: str) -> None:
    status = daemon.get("/readyz").json()["sandbox"]
    before = status[dead]["restarts"]
    job = daemon.submit(SLOW % (10 if dead == "torch" else 11, "0.05"))
    wait_for_step(daemon, job["id"])
    subprocess.run(["kill", "-9", str(status[dead]["pid"])], check=True)
    assert daemon.wait(job["id"], 120)["result"]["verdict"] == "equal"
    assert daemon.get("/readyz").json()["sandbox"][dead]["restarts"] == before + 1
