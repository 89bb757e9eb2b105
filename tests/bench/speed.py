"""Ports of the builtin engine against ports written by hand, jitted, in pairs.

    build/envs/tools/bin/python tests/bench/speed.py [NAME ...] [--style faithful] [--rounds N]

Every folder of tests/bench/hand has a PyTorch source and the Flax NNX port that a person would write. The daemon migrates
the source and verifies the hand-written port (forward and gradients: `nnx.BatchNorm` keeps another running variance), so
both are proven to compute the same and both come as bundles. Timed are the compiled forward in eval mode and the compiled
gradient step in train mode on one thread, in turn (speed_time.py). Printed are the milliseconds of both and the median of
the ratios hand-written / ours; exit status 1 where one is below the goal of 0.95.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
from ferryd import PROVEN, ROOT, Daemon

HAND = Path(__file__).with_name("hand")
GOAL = 0.95
COMPARED = ["forward_f64", "forward_f32", "gradients"]
ONE_THREAD = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"


def entry(source: str) -> str:
    """The model of a source is its last class."""
    return [line.split()[1].partition("(")[0] for line in source.splitlines() if "class " in line][
        -1
    ]


def bundle(daemon: Daemon, folder: Path, name: str, **fields: Any) -> Path:
    """The unpacked bundle of a proven job on the source of `name`."""
    text = (HAND / name / "source.py").read_text()
    files = [{"path": "source.py", "content": text}]
    job = daemon.submit(files, entry=f"source:{entry(text)}", name=name, **fields)
    job = daemon.wait(job["id"], 600)
    if job["result"]["verdict"] not in PROVEN:
        why = {
            key: job["result"][key] for key in ("reason", "error", "first_difference", "refusals")
        }
        sys.exit(f"speed: {name} ends {job['result']['verdict']}: {json.dumps(why)}")
    for path, content in daemon.bundle(job["id"]).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return folder


def candidate(name: str) -> dict[str, Any]:
    """The port that a person wrote, with its weight map where names alone don't tell it."""
    folder = HAND / name
    text = (folder / "port.py").read_text()
    weights = folder / "weights.json"
    known = {"weights": json.loads(weights.read_text())} if weights.exists() else {}
    files = [{"path": "port.py", "content": text}]
    return {"files": files, "entry": f"port:{entry(text)}", **known}


def timed(ours: Path, theirs: Path, name: str, rounds: int) -> dict[str, Any]:
    """What speed_time.py measures: by part (forward, gradients) milliseconds and ratios."""
    python = ROOT / "build" / "envs" / "jax" / "bin" / "python"
    script = Path(__file__).with_name("speed_time.py")
    named = entry((HAND / name / "source.py").read_text())
    command = [python, script, ours, theirs, named, str(rounds)]
    env = {**os.environ, "OMP_NUM_THREADS": "1", "JAX_PLATFORMS": "cpu", "XLA_FLAGS": ONE_THREAD}
    run = subprocess.run(command, env=env, check=True, stdout=subprocess.PIPE, text=True)
    return dict(json.loads(run.stdout))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=sorted(p.name for p in HAND.iterdir()))
    parser.add_argument("--style", default="faithful", choices=["faithful", "idiomatic"])
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--keep", type=Path, help="a folder for the bundles, used again if there")
    options = parser.parse_args()
    low = False
    print("| model | part | by hand ms | ours ms | ratio |\n| --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as scratch, Daemon() as daemon:
        base = options.keep or Path(scratch)
        for name in options.names:
            ours, theirs = base / options.style / name, base / "hand" / name
            if not ours.exists():
                bundle(daemon, ours, name, style=options.style)
            if not theirs.exists():
                fields = {"kind": "verify", "contract": {"stages": COMPARED}}
                bundle(daemon, theirs, name, candidate=candidate(name), **fields)
            for part, row in timed(ours, theirs, name, options.rounds).items():
                low |= row["ratio"] < GOAL
                figures = f"{row['theirs_ms']:.2f} | {row['ours_ms']:.2f} | {row['ratio']:.2f}"
                print(f"| {name} | {part} | {figures} |", flush=True)
    return 1 if low else 0


if __name__ == "__main__":
    raise SystemExit(main())
