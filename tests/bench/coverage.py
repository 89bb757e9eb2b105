"""What share of real model code the builtin engine ports with proof: docs/coverage.md.

`make real` first. Each class that tests/bench/coverage_cases.py finds to run with small arguments is one
possible job: a file that imports it, an expression that builds it, an expression for its inputs. A sample
with a fixed seed is submitted to a daemon whose torch environment has the packages; what it answers is
counted. Nothing is compared here: the verdicts are the daemon's, with all stages of the contract.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

from ferryd import PROVEN, Daemon  # noqa: E402

Json = dict[str, Any]
REAL = ROOT / "build/envs/real/bin/python"
SEED, COUNT = 20260101, 200
OWN = {
    "SAM": ("segment_anything.", "transformers.models.sam."),
    "Whisper": ("whisper.", "transformers.models.whisper."),
    "T5": ("transformers.models.t5.",),
}


def all_cases() -> list[Json]:
    """Every class that runs, in the order of the tables."""
    script = Path(__file__).with_name("coverage_cases.py")
    ran = subprocess.run([str(REAL), str(script)], check=True, capture_output=True, text=True)
    return [json.loads(line) for line in ran.stdout.splitlines()]


def run_case(daemon: Daemon, case: Json, timeout: float) -> Json:
    """One job to its end: the case with its verdict and the reason for it."""
    started = time.monotonic()
    fields = {name: case[name] for name in ("entry", "init_expr", "inputs_expr")}
    job = daemon.submit(case["source"], engine="builtin", **fields)
    try:
        job = daemon.wait(job["id"], timeout)
    except TimeoutError:
        return case | {
            "verdict": "unfinished",
            "reason": f"more than {timeout:.0f} s",
            "seconds": timeout,
        }
    result = job["result"] or {}
    verdict = result.get("verdict") or "none"
    return case | {
        "verdict": verdict,
        "reason": "" if verdict in PROVEN else reason_of(result),
        "detail": result,
        "seconds": round(time.monotonic() - started, 1),
    }


def reason_of(result: Json) -> str:
    """Why a job did not end in proof, short enough to be counted."""
    refusals = result.get("refusals") or []
    if refusals:
        return f"{refusals[0]['code']}: {refusals[0]['why']}"
    failed = [s for s in result.get("stages") or [] if s["status"] == "failed"]
    if failed:
        error = (failed[0].get("error") or {}).get("message") or "the numbers differ"
        return f"{failed[0]['name']}: {error}"
    error = result.get("error") or {}
    return f"{result.get('reason')}: {error.get('message') or ''}"


def table(rows: Sequence[Sequence[str]], head: Sequence[str]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def shares(done: Iterable[Json]) -> list[list[str]]:
    """Verdicts by package, with the share that is proven."""
    groups: dict[str, list[Json]] = collections.defaultdict(list)
    for case in done:
        groups[case["package"]].append(case)
        groups["all"].append(case)
    rows = []
    for name, cases in sorted(groups.items(), key=lambda item: (item[0] == "all", item[0])):
        count = collections.Counter(case["verdict"] for case in cases)
        proven = sum(count[v] for v in PROVEN)
        listed = ", ".join(f"{verdict} {n}" for verdict, n in count.most_common())
        rows.append([name, str(len(cases)), f"{proven} ({100 * proven // len(cases)} %)", listed])
    return rows


def report(done: list[Json], possible: int, seconds: float) -> str:
    """The tables of docs/coverage.md."""
    reasons = collections.Counter(c["reason"][:110] for c in done if c["verdict"] not in PROVEN)
    rows = [[str(n), f"`{reason.replace('|', '/')}`"] for reason, n in reasons.most_common()]
    middle = sorted(case["seconds"] for case in done)[len(done) // 2]
    own = []
    for name, prefixes in OWN.items():
        cases = [c for c in done if c["class"].startswith(prefixes)]
        proven = sum(c["verdict"] in PROVEN for c in cases)
        own.append([name, str(len(cases)), str(proven)])
    classes = [[f"`{c['class']}`", c["verdict"], f"{c['seconds']:.0f}"] for c in done]
    return "\n\n".join(
        [
            f"{len(done)} of {possible} classes, seed {SEED}, {seconds / 60:.0f} minutes in all, {middle:.0f} s at the median.",
            table(shares(done), ["package", "classes", "proven", "verdicts"]),
            table(own, ["model", "classes", "proven"]),
            "## Reasons for the rest\n\n" + table(rows, ["count", "reason"]),
            "## Every class\n\n" + table(classes, ["class", "verdict", "seconds"]),
        ]
    )


def main() -> int:
    """Run the sample; 1 where fewer than 65 % are proven."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=COUNT)
    parser.add_argument("--only", default="", help="classes whose name contains this, all of them")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--timeout", type=float, default=300)
    parser.add_argument("--cases", type=Path, help="cases found before, a JSON line each")
    parser.add_argument("--json", type=Path, help="where every answer goes")
    parser.add_argument("--write", type=Path, help="the page whose tables are replaced")
    options = parser.parse_args()
    lines = options.cases.read_text().splitlines() if options.cases else None
    cases = [json.loads(line) for line in lines] if lines else all_cases()
    chosen = [c for c in cases if options.only in c["class"]]
    if not options.only:
        chosen = random.Random(SEED).sample(chosen, min(options.count, len(chosen)))
    started = time.monotonic()
    done: list[Json] = []
    with (
        Daemon("--set", f"sandbox.torch_python={REAL}") as daemon,
        ThreadPoolExecutor(options.jobs) as pool,
    ):
        for case in pool.map(lambda c: run_case(daemon, c, options.timeout), chosen):
            done.append(case)
            print(f"{case['verdict']:<26} {case['class']} {case['reason'][:120]}", flush=True)
            if options.json:
                options.json.write_text(json.dumps(done, indent=1), encoding="utf-8")
    text = report(done, len(cases), time.monotonic() - started)
    print(text)
    if options.write:
        head = options.write.read_text(encoding="utf-8").partition("<!-- tables -->")[0]
        options.write.write_text(f"{head}<!-- tables -->\n\n{text}\n", encoding="utf-8")
    return int(sum(c["verdict"] in PROVEN for c in done) < 0.65 * len(done))


if __name__ == "__main__":
    raise SystemExit(main())
