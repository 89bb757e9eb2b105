"""Helpers: capture a source with torch, port it, run the port with jax, compare arrays."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load, load_file

ROOT = Path(__file__).resolve().parents[3]
PACKAGE = ROOT / "workers" / "python"
sys.path.insert(0, str(PACKAGE))

from ferry.oracle import capture, inspect_step  # noqa: E402
from ferry.step import MemoryContext  # noqa: E402
from ferry.translate import draft  # noqa: E402

Json = dict[str, Any]
STAGES = ("forward_f64", "gradients", "train_state", "jit")
JAX_PYTHON = os.environ.get("FERRY_JAX_PY", str(ROOT / "build/envs/jax/bin/python"))
RECIPE = {"draws": 2, "inputs": 2, "seed": 0, "train_steps": 2}
HEAD = "import torch\nimport torch.nn as nn\nimport torch.nn.functional as F\n\n"


@dataclass
class Port:
    """A captured source and its port."""

    captured: Json
    draft: Json
    given: bytes
    expected: dict[str, np.ndarray]

    @property
    def text(self) -> str:
        """The entry's file, without the prelude's definitions."""
        path = self.captured["plan"]["entry"]["file"]
        return next(f["content"] for f in self.draft["files"] if f["path"] == path)

    @property
    def codes(self) -> list[tuple[str, int]]:
        """Refusals as code and line."""
        return [(r["code"], r["line"]) for r in self.draft["refusals"]]


def port(
    source: str | dict[str, str],
    entry: str | None = None,
    style: str = "faithful",
    kept_faithful: tuple[str, ...] = (),
    scan: bool = False,
) -> Port:
    """Capture and port a source: one file's text, or files by path."""
    files = {"model.py": source} if isinstance(source, str) else source
    request = {
        "files": [{"path": p, "content": c} for p, c in files.items()],
        "entry": entry,
        "init": None,
        "init_expr": None,
        "inputs": None,
        "inputs_expr": None,
        "seed": 0,
    }
    inspected = inspect_step.run(MemoryContext(request))
    context = MemoryContext({**request, "inspected": inspected, "recipe": RECIPE})
    captured = capture.run(context)
    drafted = draft.run(
        MemoryContext(
            {
                "files": request["files"],
                "plan": captured["plan"],
                "facts": captured["facts"],
                "tensors": captured["tensors"],
                "style": style,
                "kept_faithful": list(kept_faithful),
                "scan": scan,
                "engine": "builtin",
            }
        )
    )
    return Port(
        captured, drafted, bytes(context.outputs["given"]), load(context.outputs["expected"])
    )


def run_ports(ports: dict[str, Port], folder: Path) -> dict[str, Json]:
    """Run ports with jax, in one process. Per name: failed stages and largest errors."""
    for name, one in ports.items():
        request = {
            "files": one.draft["files"],
            "weights": one.draft["weights"],
            "plan": one.captured["plan"],
            "tensors": one.captured["tensors"],
            "stages": ["parse", "import", "build", "weights", "shapes", *STAGES],
            "locate": False,
            "entry": None,
        }
        (folder / f"{name}.json").write_text(json.dumps(request), encoding="utf-8")
        (folder / f"{name}.given").write_bytes(one.given)
    script = Path(__file__).with_name("run_checks.py")
    env = {**os.environ, "PYTHONPATH": str(PACKAGE), "OMP_NUM_THREADS": "1", "JAX_PLATFORMS": "cpu"}
    subprocess.run([JAX_PYTHON, str(script), str(folder), *ports], check=True, env=env)
    return {name: _compare(one, folder, name) for name, one in ports.items()}


def _compare(one: Port, folder: Path, name: str) -> Json:
    result = json.loads((folder / f"{name}.result").read_text(encoding="utf-8"))
    failed = {s: v["error"] for s, v in result["stages"].items() if v["status"] == "failed"}
    actual = load_file(folder / f"{name}.actual")
    stages = {c["id"]: c["stage"] for c in one.captured["plan"]["cases"]}
    unwritten = {
        f"{c['id']}/{n}" for c in one.captured["plan"]["cases"] for n in c.get("unwritten", ())
    }
    listed = {f"{case}/{n}" for case, names in result["absent"].items() for n in names}
    integers = {n for n, value in one.expected.items() if value.dtype.kind in "iub"}
    absent = {n for n in listed if n in unwritten | integers or "/draw/" in n}
    errors: dict[str, float] = {}
    for key, expected in one.expected.items():
        stage = stages[key.split("/")[0]]
        if stage in STAGES and "/sub/" not in key and not failed and key not in absent:
            errors[stage] = max(errors.get(stage, 0.0), _error(actual[key], expected))
    return {"failed": failed, "errors": errors}


def _error(actual: np.ndarray, expected: np.ndarray) -> float:
    """The largest difference, relative to the tensor's range (of at least 1e-3)."""
    assert actual.shape == expected.shape
    a, e = actual.astype("float64"), expected.astype("float64")
    if not np.array_equal(np.isfinite(a), np.isfinite(e)):
        return float("inf")
    finite = np.isfinite(e)
    scale = max(float(np.abs(e[finite]).max(initial=0.0)), 1e-3)
    return float(np.abs(a[finite] - e[finite]).max(initial=0.0)) / scale
