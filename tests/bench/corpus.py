"""Every file of the public corpus through the daemon, as a table by verdict.

    build/envs/tools/bin/python tests/bench/corpus.py [--third] [--levels 1 2] [--json OUT]

Exit status 1 where a job ends in an internal error, where one that is not proven names no place, or where a smaller
share of a level than GOALS is proven. `--third` takes every third file by name, for `make test`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
from ferryd import PROVEN, ROOT, Daemon

CORPUS = ROOT.parent / "shared" / "corpus" / "kernelbench"
GOALS = {"level1": 0.98, "level2": 0.98, "level3": 0.90}


def place(job: dict[str, Any]) -> str:
    """Where a job that is not proven points at; "" where it names no place."""
    result = job["result"]
    if result["refusals"]:
        first = result["refusals"][0]
        return f"{first['code']} {first['file']}:{first['line']} {first['text']}"
    if result["first_difference"]:
        first = result["first_difference"]
        error = first.get("error") or {}
        where = (
            first.get("path") or first.get("tensor") or f"{error.get('file')}:{error.get('line')}"
        )
        return f"{first['stage']} at {where} {error.get('message') or first.get('max_error')}"
    error = result.get("error") or {}
    return f"{error.get('file')}:{error.get('line')} {error.get('message')}" if error else ""


def run(daemon: Daemon, files: list[Path]) -> list[tuple[Path, dict[str, Any], float]]:
    """One after the other: (file, job with the seconds of its draft, seconds from POST to the end)."""
    rows = []
    for file in files:
        started = time.monotonic()
        job = daemon.submit(
            [{"path": "model.py", "content": file.read_text()}], entry="model:Model", name=file.stem
        )
        rows.append((file, daemon.wait(job["id"]), time.monotonic() - started))
        steps = daemon.get(job["links"]["report"]).json().get("step_seconds", {})
        rows[-1][1]["draft_seconds"] = steps.get("draft")
        print(line(*rows[-1]), flush=True)
    return rows


def line(file: Path, job: dict[str, Any], seconds: float) -> str:
    result = job["result"]
    more = "" if result["verdict"] in PROVEN else f"{result['reason']}: {place(job)}"
    return f"{file.parent.name} {file.stem[:52]:<52} {result['verdict']:<24} {seconds:6.2f} s  {more[:150]}"


def summary(rows: list[tuple[Path, dict[str, Any], float]]) -> bool:
    good = True
    for level in sorted({file.parent.name for file, _, _ in rows}):
        verdicts = Counter(
            job["result"]["verdict"] for file, job, _ in rows if file.parent.name == level
        )
        total = sum(verdicts.values())
        proven = sum(verdicts[v] for v in PROVEN)
        print(f"{level}: {proven}/{total} proven ({100 * proven / total:.0f} %), {dict(verdicts)}")
        if proven < GOALS[level] * total:
            print(f"corpus: the goal of {level} is {100 * GOALS[level]:.0f} %")
            good = False
    times = [seconds for _, _, seconds in rows]
    drafts = [job["draft_seconds"] for _, job, _ in rows if job["draft_seconds"] is not None]
    if drafts:
        print(f"translation: median {statistics.median(drafts):.3f} s, longest {max(drafts):.3f} s")
    print(
        f"POST to the end: median {statistics.median(times):.2f} s, longest {max(times):.2f} s, {len(times)} files"
    )
    for file, job, _ in rows:
        result = job["result"]
        if result["reason"] == "internal":
            print(f"corpus: {file.name} ends in an internal error: {result['error']}")
            good = False
        if result["verdict"] not in PROVEN and not place(job):
            print(f"corpus: {file.name} names no place")
            good = False
    return good


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--third", action="store_true", help="every third file")
    parser.add_argument("--levels", nargs="*", default=["1", "2", "3"])
    parser.add_argument("--json", type=Path, help="write the table as JSON")
    options = parser.parse_args()
    files = sorted(f for level in options.levels for f in (CORPUS / f"level{level}").glob("*.py"))
    files = files[::3] if options.third else files
    if not files:
        print(f"corpus: no files below {CORPUS}")
        return 1
    with Daemon() as daemon:
        rows = run(daemon, files)
    good = summary(rows)
    if options.json:
        table = [
            {"file": f"{f.parent.name}/{f.name}", "seconds": s, "result": j["result"]}
            for f, j, s in rows
        ]
        options.json.write_text(json.dumps(table, indent=1))
    print(
        f"corpus: {sum(j['result']['verdict'] in PROVEN for _, j, _ in rows)} passed, {0 if good else 1} failed"
    )
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
