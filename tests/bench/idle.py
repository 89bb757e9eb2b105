"""Memory and CPU of an idle daemon with 1,000 finished jobs.

The jobs are real but cheap (their source does not parse). Prints the daemon's resident memory without the zygotes, and its
CPU time over ten idle seconds; exit status 1 at 60 MB or more, or where it used measurable CPU (more than two clock ticks).
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
from ferryd import Daemon

JOBS = 1000
GOAL_BYTES = 60_000_000
IDLE_SECONDS = 10


def resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def cpu_ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def main() -> int:
    with Daemon("--set", "log.level=warn") as daemon:
        jobs = [daemon.submit(f"class Model(:\n    pass  # {n}\n")["id"] for n in range(JOBS)]
        for job in jobs:
            daemon.wait(job)
        time.sleep(2)
        pid = daemon.process.pid
        before = cpu_ticks(pid)
        time.sleep(IDLE_SECONDS)
        used = cpu_ticks(pid) - before
        size = resident(pid)
    print(
        f"idle: {JOBS} finished jobs, {size / 1e6:.1f} MB resident, {used} clock ticks of CPU in {IDLE_SECONDS} s"
    )
    return 0 if size < GOAL_BYTES and used <= 2 else 1


if __name__ == "__main__":
    sys.exit(main())
