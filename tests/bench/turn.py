"""One check turn of a small CNN against the same test in a fresh process, in one run.

The turn is what people's tests do today: build, load weights, one float32 forward, compare. Ours goes through the real
sandbox and the verdict in C (turn_main.c); theirs imports torch and jax, builds both models eagerly, copies the weights and
compares (fresh.py). Prints both medians and the ratio; exit status 1 where it is below the goal of 10.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SOURCE = Path(__file__).with_name("small_cnn.py")
TORCH, JAX = (ROOT / "build" / "envs" / name / "bin" / "python" for name in ("torch", "jax"))
ENV = {**os.environ, "PYTHONPATH": str(ROOT / "workers" / "python"), "OMP_NUM_THREADS": "1"}
GOAL = 10
REPEATS = 5

DRAFT = """
import json, sys
from pathlib import Path
from ferry.step import MemoryContext
from ferry.translate import draft
out = Path(sys.argv[1])
request, capture = (json.loads((out / n).read_text()) for n in ("request.json", "capture.json"))
ask = {"files": request["files"], "style": "faithful", "engine": "builtin"}
ask.update({k: capture[k] for k in ("plan", "facts", "tensors")})
print(json.dumps(draft.run(MemoryContext(ask))))
"""


def narrow(plan: dict[str, Any]) -> dict[str, Any]:
    """The plan with one float32 forward as its only case."""
    case = next(c for c in plan["cases"] if c["stage"] == "forward_f32")
    return {**plan, "cases": [case], "submodules": []}


def prepare(folder: Path) -> None:
    capture = [
        str(TORCH),
        "-m",
        "ferry.devrun",
        "capture",
        str(SOURCE),
        "--entry",
        "SmallCNN",
        "--out",
        str(folder),
    ]
    subprocess.run(capture, env=ENV, check=True, stdout=subprocess.DEVNULL)
    drafted = subprocess.run(
        [str(TORCH), "-c", DRAFT, str(folder)], env=ENV, check=True, capture_output=True
    )
    draft = json.loads(drafted.stdout)
    captured = json.loads((folder / "capture.json").read_text())
    plan = narrow(captured["plan"])
    (folder / "plan.json").write_text(json.dumps(plan))
    stages = ["parse", "import", "build", "weights", "forward_f32"]
    request = {"files": draft["files"], "weights": draft["weights"], "plan": plan, "stages": stages}
    request |= {"tensors": captured["tensors"], "locate": False, "entry": None}
    (folder / "check.json").write_text(json.dumps(request))
    for file in draft["files"]:
        (folder / f"jax_{file['path']}").write_text(file["content"])


def ours(folder: Path) -> list[float]:
    command = [str(ROOT / "build" / "tests" / "turn_main"), str(folder), str(REPEATS)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    seconds, _, verdict = run.stdout.strip().partition("\n")
    if run.returncode != 0 or verdict != "equal":
        sys.exit(f"turn: {verdict} {run.stderr}")
    return [float(s) for s in seconds.split()]


def fresh(folder: Path) -> list[float]:
    packages = next((ROOT / "build" / "envs" / "jax" / "lib").glob("python3*")) / "site-packages"
    env = {
        **os.environ,
        "PYTHONPATH": f"{folder}:{SOURCE.parent}:{packages}",
        "JAX_PLATFORMS": "cpu",
    }
    command = [str(TORCH), str(Path(__file__).with_name("fresh.py"))]
    times = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        run = subprocess.run(command, env=env, capture_output=True, text=True)
        times.append(time.perf_counter() - started)
        if run.returncode != 0 or "equal" not in run.stdout:
            sys.exit(f"fresh: {run.stdout}{run.stderr}")
    return times


def main() -> int:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder)
        mine, theirs = ours(folder), fresh(folder)
    a, b = statistics.median(mine), statistics.median(theirs)
    print(
        f"turn: ferryd {a:.3f} s (first {mine[0]:.3f}), a fresh process {b:.3f} s, ratio {b / a:.1f} (goal {GOAL})"
    )
    return 0 if b / a >= GOAL else 1


if __name__ == "__main__":
    sys.exit(main())
