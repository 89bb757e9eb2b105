"""Oracles captured from the sources in `models/`, and checks of candidates against them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
MODELS = HERE / "models"
PACKAGE = ROOT / "workers" / "python"
sys.path.insert(0, str(PACKAGE))

STAGES = (
    "parse", "import", "build", "weights", "shapes", "forward_f64", "forward_f32", "gradients",
    "train_state", "jit",
)  # fmt: skip

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
    expected: dict[str, np.ndarray]

    def __post_init__(self) -> None:
        self.plan = self.captured["plan"]
        self.tensors = self.captured["tensors"]

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
        names -= {f"{case}/{n}" for case, lost in self.result["absent"].items() for n in lost}
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


def load_oracle(folder: Path) -> Oracle:
    from safetensors.numpy import load_file

    return Oracle(
        json.loads((folder / "capture.json").read_text()),
        (folder / "given.safetensors").read_bytes(),
        load_file(folder / "expected.safetensors"),
    )


@pytest.fixture(scope="session")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The oracle of a model by its name in `models/`, captured once by real torch."""
    python = os.environ.get("FERRY_TORCH_PY", str(ROOT / "build/envs/torch/bin/python"))
    known: dict[str, Oracle] = {}

    def captured(name: str) -> Oracle:
        if name not in known:
            out = tmp_path_factory.mktemp(name)
            source = MODELS / name / "source.py"
            options = OPTIONS.get(name, [])
            command = [python, "-m", "ferry.devrun", "capture", str(source), "--out", str(out)]
            env = {**os.environ, "PYTHONPATH": str(PACKAGE)}
            subprocess.run([*command, *options], check=True, timeout=120, env=env)
            known[name] = load_oracle(out)
        return known[name]

    return captured


@pytest.fixture
def check(oracle: Any) -> Any:
    """Check the candidate of a model, as it is or changed."""
    from ferry.check.check import run
    from ferry.step import MemoryContext
    from safetensors.numpy import load

    def checked(
        name: str,
        *,
        replace: tuple[str, str] | None = None,
        text: str | None = None,
        weights: Any = None,
        stages: tuple[str, ...] = STAGES,
        locate: bool = False,
    ) -> Checked:
        recorded = oracle(name)
        code = candidate_text(name) if text is None else text
        if replace is not None:
            assert replace[0] in code
            code = code.replace(*replace)
        request = {
            "files": [{"path": "source.py", "content": code}],
            "weights": weight_map(name) if weights is None else weights,
            "plan": recorded.plan,
            "tensors": recorded.tensors,
            "stages": list(stages),
            "locate": locate,
            "entry": None,
        }
        context = MemoryContext(request, {"given": recorded.given})
        return Checked(run(context), load(context.outputs["actual"]), recorded)

    return checked


def candidate_text(name: str) -> str:
    return (MODELS / name / "candidate.py").read_text()


def weight_map(name: str) -> Any:
    path = MODELS / name / "weights.json"
    return json.loads(path.read_text()) if path.exists() else None
