"""`make demo`: migrate real models through a real daemon and show what was proven.

Starts build/ferryd on a free port, submits docs/examples over HTTP, follows each job's events, prints the
proof, one diff and where to look. KEEP=1 leaves the daemon running.
"""

from __future__ import annotations

import itertools
import os
import sys
from typing import Any

from ferryd import PROVEN, ROOT, Daemon

EXAMPLES = ROOT / "docs" / "examples"
KEEP = os.environ.get("KEEP") == "1"
MODELS = [
    ("convnet.py", "ConvNet", "a residual convolutional net with batch norm"),
    ("forecaster.py", "Forecaster", "a recurrent forecaster (LSTM and GRU cell)"),
    ("gpt.py", "GPT", "a small GPT with tied embedding"),
    ("router.py", "Router", "a mixture whose shapes depend on values"),
]
COLOR = sys.stdout.isatty()


def paint(text: str, code: int) -> str:
    return f"\x1b[{code}m{text}\x1b[0m" if COLOR else text


def submit(daemon: Daemon, file: str, entry: str) -> dict[str, Any]:
    module = file.removesuffix(".py")
    files = [{"path": file, "content": (EXAMPLES / file).read_text()}]
    return daemon.submit(files, name=module, entry=f"{module}:{entry}")


def follow(daemon: Daemon, job: dict[str, Any], title: str) -> dict[str, Any]:
    """Prints the job's steps as its event stream tells them; returns the finished job."""
    print(f"  {job['name']:<11} {title}\n    ", end="", flush=True)
    for kind, data in daemon.events(job["id"]):
        if kind == "step.finished":
            print(f"{data['step']} {data['seconds']:.2f}s  ", end="", flush=True)
    done = daemon.wait(job["id"])
    verdict = done["result"]["verdict"]
    print(f"-> {paint(verdict, 32 if verdict in PROVEN else 33)}\n", flush=True)
    return done


def largest_error(result: dict[str, Any], stage: str) -> str:
    for row in result["stages"]:
        if row["name"] == stage and row.get("max_error") is not None:
            return f"{row['max_error']:.1e}"
    return "-"


def print_table(jobs: list[dict[str, Any]]) -> None:
    head = f"  {'model':<11} {'verdict':<10} {'stages':>7} {'float64 error':>14} {'gradient error':>15} {'seconds':>8} {'lines changed':>14}"
    print(paint(head, 1))
    for job in jobs:
        result = job["result"]
        passed = sum(row["status"] == "passed" for row in result["stages"])
        changed = result.get("changed") or {}
        lines = f"+{changed.get('added', 0)} -{changed.get('removed', 0)}"
        print(
            f"  {job['name']:<11} {result['verdict']:<10} {passed:>4}/{len(result['stages'])}"
            f" {largest_error(result, 'forward_f64'):>14} {largest_error(result, 'gradients'):>15}"
            f" {job['usage']['seconds']:>8.2f} {lines:>14}"
        )
    unrun = [row["name"] for row in jobs[0]["result"]["stages"] if row["status"] == "not_run"]
    if unrun:
        print(f"\n  Not run, and so not proven: {', '.join(unrun)}.")


def print_refusal(job: dict[str, Any]) -> None:
    print(paint(f"\nWhat could not be migrated: {job['name']}", 1))
    for refusal in job["result"]["refusals"]:
        print(
            f"  {refusal['file']}:{refusal['line']}: {refusal['code']}: {refusal['text']}\n      {refusal['why']}"
        )


def shortened(lines: list[str], longest: int = 12) -> list[str]:
    """The diff with long runs of added lines (the prelude) cut to their first ones."""
    out: list[str] = []
    for added, group in itertools.groupby(lines, lambda line: line.startswith("+")):
        run = list(group)
        if added and len(run) > longest:
            run = [*run[: longest - 2], f"+ … {len(run) - longest + 2} more added lines"]
        out += run
    return out


def print_diff(daemon: Daemon, job: dict[str, Any]) -> None:
    lines = daemon.get(f"/v1/jobs/{job['id']}/diff").text.splitlines()
    shown = shortened(lines)
    print(paint(f"\nThe diff of {job['name']} ({len(lines)} lines; long additions are cut)", 1))
    for line in shown:
        code = {"+": 32, "-": 31, "@": 36}.get(line[:1], 0)
        print("  " + (paint(line, code) if code else line))


def print_places(daemon: Daemon, job: dict[str, Any]) -> None:
    bundle = daemon.home / f"{job['name']}.tar.gz"
    bundle.write_bytes(daemon.get(f"/v1/jobs/{job['id']}/bundle.tar.gz").body)
    print(paint("\nWhere to look", 1))
    print(f"  bundle   {bundle} (code, weight map, loader, tests, report)")
    if KEEP:
        print(f"  page     {daemon.url}/\n  job      {daemon.url}/v1/jobs/{job['id']}")
        print(f"  log      {daemon.log}\n  stop it  kill {daemon.process.pid}")
    else:
        print("  KEEP=1 make demo leaves the daemon running, with its page and all jobs")


def run(daemon: Daemon) -> bool:
    print(f"ferryd listens on {daemon.url}\n")
    jobs = [submit(daemon, file, entry) for file, entry, _ in MODELS]
    done = [follow(daemon, job, title) for job, (_, _, title) in zip(jobs, MODELS, strict=True)]
    print_table(done)
    print_refusal(done[-1])
    print_diff(daemon, done[0])
    print_places(daemon, done[0])
    proven = all(job["result"]["verdict"] in PROVEN for job in done[:-1])
    return (
        proven
        and done[-1]["result"]["verdict"] == "refused"
        and bool(done[-1]["result"]["refusals"])
    )


def main() -> int:
    daemon = Daemon()
    good = False
    try:
        good = run(daemon)
    finally:
        if not KEEP:
            daemon.stop()
    if not good:
        print(f"demo: not every model ended as expected; the log is {daemon.log}", file=sys.stderr)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
