"""Proves the labels of the suite without ferry's oracle, check or comparison.

    python tests/gate/label.py [--models NAME …] [--all]

Torch runs every source on three draws of weights and inputs of its own recipe (`label_torch`), jax
every candidate on the same numbers in float64 (`label_jax`). A bug must differ by more than 1e-6 of
the range in an output, a gradient, a state after training, or in which variables are trained, or
fail; what is right must stay below 1e-10 everywhere. A precision-only bug must stay below 1e-10 in
float64 and be at least twice as far from the float64 truth as the correct port in float32.
Exit status 1 where a label does not hold. `--all` prints every candidate.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from suite import KINDS, Candidate, Model, candidates, load

HERE = Path(__file__).resolve().parent
ENVS = HERE.parents[1] / "build" / "envs"
WRONG, RIGHT, NOISIER = 1e-6, 1e-10, 2.0

Found = dict[str, Any]
Pair = tuple[Model, Candidate]


def interpreter(kind: str) -> str:
    """The Python that has `kind` (torch or jax)."""
    return os.environ.get(f"FERRY_{kind.upper()}_PY", str(ENVS / kind / "bin" / "python"))


def run(kind: str, script: str, *args: str, given: Any) -> str:
    """The output of a script that reads JSON, on one core."""
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    env["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false --xla_backend_optimization_level=0"
    command = [interpreter(kind), str(HERE / script), *args]
    ended = subprocess.run(
        command, input=json.dumps(given), capture_output=True, text=True, env=env
    )
    if ended.returncode:
        raise SystemExit(f"{script}: {ended.stderr[-3000:]}")
    return ended.stdout


def measure(pairs: Iterable[Pair], dtype: str, folder: Path) -> list[Found]:
    """What `label_jax` finds of each candidate."""
    given = [
        {"model": m.name, "entry": m.entry, "text": c.text, "weights": c.weights} for m, c in pairs
    ]
    return [
        json.loads(line)
        for line in run("jax", "label_jax.py", dtype, str(folder), given=given).splitlines()
    ]


def proven(candidate: Candidate, found: Found, single: float, port_single: float) -> bool:
    """Whether what was found is what the candidate's kind claims."""
    worst = math.inf if "error" in found else max(found.values())
    if candidate.kind == "bug":
        return worst > WRONG
    if candidate.kind == "precision":
        return worst < RIGHT and single > NOISIER * port_single
    return worst < RIGHT


def shown(found: Found) -> str:
    if "error" in found:
        return str(found["error"])
    return "  ".join(f"{stage} {value:.1e}" for stage, value in found.items())


def single_errors(pairs: list[Pair], folder: Path) -> dict[tuple[str, str], float]:
    """Float32 errors against the float64 truth, of precision-only bugs and of their ports."""
    names = {model.name for model, candidate in pairs if candidate.kind == "precision"}
    wanted = [
        (model, candidate)
        for model, candidate in pairs
        if candidate.kind == "precision" or (candidate.name == "port" and model.name in names)
    ]
    found = measure(wanted, "float32", folder)
    return {
        (m.name, c.name): f.get("forward", math.inf)
        for (m, c), f in zip(wanted, found, strict=True)
    }


def check(models: list[Model], verbose: bool) -> list[str]:
    """Label all candidates, print what does not hold and the counts; those that fail."""
    pairs = list(candidates(models))
    with tempfile.TemporaryDirectory() as folder:
        sources = {m.name: {"entry": m.entry, "source": m.source} for m in models}
        run("torch", "label_torch.py", folder, given=sources)
        found = measure(pairs, "float64", Path(folder))
        single = single_errors(pairs, Path(folder))
    failed = []
    for (model, candidate), values in zip(pairs, found, strict=True):
        own = single.get((model.name, candidate.name), 0.0)
        good = proven(candidate, values, own, single.get((model.name, "port"), 0.0))
        label = f"{candidate.kind} {model.name}/{candidate.name}"
        failed += [] if good else [label]
        if verbose or not good:
            more = f"  float32 {own:.1e}" if candidate.kind == "precision" else ""
            print(f"{'ok ' if good else 'BAD'} {label}: {shown(values)}{more}")
    counts = Counter(candidate.kind for _, candidate in pairs)
    print(f"labels: {len(models)} models, " + ", ".join(f"{counts[k]} {k}" for k in KINDS))
    return failed


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--models", nargs="*", help="only these")
    parser.add_argument("--all", action="store_true", help="print every candidate")
    options = parser.parse_args()
    models = [m for m in load() if not options.models or m.name in options.models]
    started = time.monotonic()
    failed = check(models, options.all)
    print(f"labels: {len(failed)} do not hold, {time.monotonic() - started:.0f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
