"""Oracles captured by real torch from the sources in `models/`, and checks against them."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
MODELS = HERE / "models"
PACKAGE = ROOT / "workers" / "python"

STAGES = (
    "parse", "import", "build", "weights", "shapes", "forward_f64", "forward_f32", "resize",
    "gradients", "train_state", "optimizer", "jit",
)  # fmt: skip

# The stages of what nobody saw before the candidate was final.
ACCEPT = ("heldout", "worst_case")

# Capture options of the models that need any.
OPTIONS: dict[str, list[str]] = {
    "loss": ["--entry", "smooth_loss"],
    "config": [
        "--entry", "Model",
        "--init-expr", "Model(Config(6), nn.GELU(), partial(nn.LayerNorm, eps=1e-6), Head(6))",
        "--inputs", '[{"shape": [4, 6], "dtype": "float32"}]',
    ],
}  # fmt: skip


@dataclass
class Oracle:
    """What capture recorded of one source."""

    captured: dict[str, Any]
    given: bytes
    expected_file: bytes

    def __post_init__(self) -> None:
        self.plan = self.captured["plan"]
        self.tensors = self.captured["tensors"]
        self.expected = load(self.expected_file)

    def cases(self, stage: str) -> list[str]:
        """The ids of the cases of one stage."""
        return [case["id"] for case in self.plan["cases"] if case["stage"] == stage]


@dataclass
class Checked:
    """What a check gave."""

    result: dict[str, Any]
    actual: dict[str, np.ndarray]
    oracle: Oracle

    def status(self, stage: str) -> str:
        return self.result["stages"][stage]["status"]

    def error(self, stage: str) -> dict[str, Any]:
        found = self.result["stages"][stage]
        assert found["status"] == "failed", found
        return found["error"]

    def worst(self, prefix: str) -> float:
        """The largest error below `prefix`, relative to the range of the expected tensor.

        Every expected tensor must be there, and no other.
        """
        names = {name for name in self.oracle.expected if name.startswith(prefix)}
        for said in (self.result["absent"], self.result["assumed"]):
            names -= {f"{case}/{n}" for case, lost in said.items() for n in lost}
        assert names == {name for name in self.actual if name.startswith(prefix)}
        return max(distance(self.actual[n], self.oracle.expected[n]) for n in names)

    def worst_of(self, stage: str, below: str = "") -> float:
        """`worst` over the cases of a stage."""
        return max(self.worst(f"{case}/{below}") for case in self.oracle.cases(stage))


def distance(actual: np.ndarray, expected: np.ndarray) -> float:
    """The largest difference relative to the range of `expected`."""
    assert actual.shape == expected.shape
    gap = np.abs(actual.astype("float64") - expected.astype("float64")).max(initial=0)
    scale = np.abs(expected.astype("float64")).max(initial=0)
    return float(gap / scale) if scale else float(gap)


def load_oracle(folder: Path, accept: bool = False) -> Oracle:
    """What capture recorded, or what accept drew afterwards."""
    captured = json.loads((folder / "capture.json").read_text())
    prefix = "accept_" if accept else ""
    if accept:
        accepted = json.loads((folder / "accept.json").read_text())
        captured = {**captured, "plan": accepted["plan"]}
    return Oracle(
        captured,
        (folder / f"{prefix}given.safetensors").read_bytes(),
        (folder / f"{prefix}expected.safetensors").read_bytes(),
    )


def capture(name: str, out: Path) -> Path:
    """Run inspect, capture and accept of a model in the torch interpreter; the folder."""
    python = os.environ.get("FERRY_TORCH_PY", str(ROOT / "build/envs/torch/bin/python"))
    source = MODELS / name / "source.py"
    command = [python, "-m", "ferry.devrun", "capture", str(source), "--whole", "--out", str(out)]
    env = {**os.environ, "PYTHONPATH": str(PACKAGE), "OMP_NUM_THREADS": "1"}
    subprocess.run([*command, *OPTIONS.get(name, [])], check=True, timeout=120, env=env)
    return out


def candidate_text(name: str) -> str:
    return (MODELS / name / "candidate.py").read_text()


def weight_map(name: str) -> Any:
    path = MODELS / name / "weights.json"
    return json.loads(path.read_text()) if path.exists() else None
