"""What the whole contract costs: beside the narrow contract of an earlier version, and where its time goes.

    build/envs/tools/bin/python tests/bench/contract.py [--against COMMIT] [--step N] [--levels 1 2]

Takes every N-th file of the corpus' levels through the daemon, one after the other, and prints the median seconds of each step
and of each stage (from the reports). With `--against` the given commit is built in a temporary folder and every file goes through both
daemons in turn; printed are both medians and their ratio, and the exit status is 1 where it is above the goal of 3.
The commit before the whole contract is d0574f9 (ten stages, two draws, two inputs).
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
from ferryd import PROVEN, ROOT, Daemon

CORPUS = ROOT.parent / "shared" / "corpus" / "kernelbench"
GOAL = 3.0
Times = dict[str, list[float]]


def build(commit: str, folder: Path) -> Path:
    """The daemon of `commit`, built in `folder` with this checkout's environments."""
    archive = subprocess.run(
        ["git", "archive", "--prefix=earlier/", commit], cwd=ROOT, check=True, capture_output=True
    )
    subprocess.run(["tar", "-x", "-C", str(folder)], input=archive.stdout, check=True)
    earlier = folder / "earlier"
    (earlier / "build").mkdir()
    (earlier / "build" / "envs").symlink_to(ROOT / "build" / "envs")
    subprocess.run(["make", "-s", "-C", str(earlier), "all"], check=True, stdout=subprocess.DEVNULL)
    return earlier / "build" / "ferryd"


def start(binary: Path | None) -> Daemon:
    """A daemon of this checkout, or of another binary."""
    if binary is None:
        return Daemon()
    before = os.environ.get("FERRYD")
    os.environ["FERRYD"] = str(binary)
    try:
        return Daemon()
    finally:
        os.environ.pop("FERRYD")
        if before is not None:
            os.environ["FERRYD"] = before


def proof(daemon: Daemon, file: Path) -> tuple[float, dict[str, Any]]:
    """Seconds from POST to the end, and the job."""
    started = time.monotonic()
    source = [{"path": "model.py", "content": file.read_text()}]
    job = daemon.wait(daemon.submit(source, entry="model:Model", name=file.stem)["id"])
    seconds = time.monotonic() - started
    if job["result"]["verdict"] not in PROVEN:
        sys.exit(f"contract: {file.stem} ends {job['result']['verdict']}")
    return seconds, job


def table(title: str, times: Times) -> None:
    """Medians, and the share of each in the sum of all."""
    whole = sum(map(sum, times.values()))
    print(f"\n| {title} | median s | share |\n| --- | --- | --- |")
    for name, seconds in times.items():
        print(f"| {name} | {statistics.median(seconds):.3f} | {100 * sum(seconds) / whole:.0f} % |")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--against", metavar="COMMIT")
    parser.add_argument("--step", type=int, default=1)
    parser.add_argument("--levels", type=int, nargs="+", default=[1, 2])
    options = parser.parse_args()
    found = [sorted((CORPUS / f"level{n}").glob("*.py")) for n in options.levels]
    files = [file for level in found for file in level][:: options.step]
    steps: Times = defaultdict(list)
    stages: Times = defaultdict(list)
    now, then = [], []
    with tempfile.TemporaryDirectory() as name, start(None) as daemon:
        earlier = start(build(options.against, Path(name))) if options.against else None
        for file in files:
            if earlier is not None:
                then.append(proof(earlier, file)[0])
            seconds, job = proof(daemon, file)
            now.append(seconds)
            report = daemon.get(f"/v1/jobs/{job['id']}/report").json()
            for times, part in ((steps, "step_seconds"), (stages, "stage_seconds")):
                for key, value in report[part].items():
                    times[key].append(value)
        if earlier is not None:
            earlier.__exit__(None, None, None)
    table("step", steps)
    table("stage of the check", stages)
    print(f"\n{len(files)} files, POST to proof: median {statistics.median(now):.2f} s")
    if not then:
        return 0
    ratio = statistics.median(now) / statistics.median(then)
    print(
        f"before, in the same run: median {statistics.median(then):.2f} s, ratio {ratio:.2f} (goal {GOAL:.0f})"
    )
    return 0 if ratio <= GOAL else 1


if __name__ == "__main__":
    sys.exit(main())
