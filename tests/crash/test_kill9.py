"""kill -9 under load: every accepted job ends, once, with a consistent store behind it."""

from __future__ import annotations

import json
import os
import random
import sqlite3
import time
import urllib.error

from ferryd import FINAL, Daemon

ROUNDS = int(os.environ.get("ROUNDS", "6"))

SOURCE = """\
import torch
from torch import nn


class Model(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.fc = nn.Linear(n, %d)

    def forward(self, x):
        return torch.tanh(self.fc(x))


def get_init_inputs():
    return [3]


def get_inputs():
    return [torch.rand(2, 3)]
"""


def load(daemon: Daemon, seconds: float, accepted: list[str]) -> None:
    """Submit jobs until the time is over; only what was acknowledged counts."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            accepted.append(daemon.submit(SOURCE % (2 + len(accepted) % 30))["id"])
        except (OSError, urllib.error.URLError):
            return
        time.sleep(random.uniform(0.02, 0.25))


def check_store(database: str, accepted: list[str]) -> None:
    """Events are gapless, end once, and every blob that a row names is there with the right content."""
    db = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    for job_id in accepted:
        rows = db.execute(
            "SELECT seq, type FROM events WHERE job_id = ? ORDER BY seq", (job_id,)
        ).fetchall()
        assert [seq for seq, _ in rows] == list(range(1, len(rows) + 1)), job_id
        ends = [
            kind for _, kind in rows if kind in ("job.succeeded", "job.failed", "job.cancelled")
        ]
        assert len(ends) == 1, (job_id, ends)
        assert rows[-1][1] == ends[0]
    assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert db.execute("PRAGMA foreign_key_check").fetchall() == []


SLOW = "import time\n\ntime.sleep(%s)\n" + SOURCE % 2


def kill_in_step(daemon: Daemon, job_id: str, times: int) -> None:
    """Kill the daemon `times` times while it runs the job's first step, and start it again."""
    for _ in range(times):
        deadline = time.monotonic() + 30
        while daemon.get(f"/v1/jobs/{job_id}").json()["state"] != "running":
            assert time.monotonic() < deadline
            time.sleep(0.05)
        daemon.kill()
        daemon.start()


def test_a_job_that_ends_the_daemon_each_time_is_given_up() -> None:
    with Daemon("--set", "workers.crashes=3") as daemon:
        job_id = daemon.submit(SLOW % 60)["id"]
        kill_in_step(daemon, job_id, 3)
        job = daemon.wait(job_id, 30)
        result = job["result"]
        assert (job["state"], result["verdict"], result["reason"]) == (
            "failed",
            "source_error",
            "abandoned",
        )
        assert "3 times" in result["error"]["message"]
        assert daemon.submit(SOURCE % 3)["state"] == "queued"
        assert daemon.stop() == 0


def test_a_job_that_was_interrupted_less_often_is_taken_up_again() -> None:
    with Daemon("--set", "workers.crashes=3") as daemon:
        job_id = daemon.submit(SLOW % 2)["id"]
        kill_in_step(daemon, job_id, 2)
        assert daemon.wait(job_id)["result"]["reason"] != "abandoned"
        assert daemon.stop() == 0


def test_nothing_accepted_is_lost() -> None:
    random.seed(7)
    accepted: list[str] = []
    with Daemon() as daemon:
        for _ in range(ROUNDS):
            load(daemon, random.uniform(0.3, 2.5), accepted)
            daemon.kill()
            daemon.start()
        assert accepted
        for job_id in accepted:
            job = daemon.wait(job_id, 60 + 3 * len(accepted))
            assert job["state"] in FINAL
            assert job["result"]["verdict"] == "equal", json.dumps(job["result"])[:800]
        assert daemon.stop() == 0
        check_store(str(next(daemon.data.glob("*.db"))), accepted)
