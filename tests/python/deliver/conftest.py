"""Bundles made from the oracles of `tests/python/check/models`."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")
ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT / "tests" / "python" / "check"), str(ROOT / "workers" / "python")]

from oracles import Oracle, candidate_text, capture, load_oracle, weight_map  # noqa: E402

REPORT = {
    "format": "ferry.report/1",
    "job": {"id": "job_0", "name": "a model"},
    "result": {
        "verdict": "equal",
        "stages": [
            {"name": "parse", "status": "passed"},
            {"name": "forward_f64", "status": "passed", "max_error": 3e-16, "tolerance": 1e-9},
            {"name": "resize", "status": "not_run"},
        ],
        "assumptions": [{"code": "inputs_inferred", "text": "x has 3", "file": "m.py", "line": 2}],
    },
    "contract": {"draws": 2, "tolerances": {"float64_relative": 1e-9}},
    "versions": {"torch": "2", "jax": "0"},
}


@pytest.fixture(scope="session")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The oracle of a model by its name, captured once."""
    known: dict[str, Oracle] = {}

    def captured(name: str) -> Oracle:
        if name not in known:
            known[name] = load_oracle(capture(name, tmp_path_factory.mktemp(name)))
        return known[name]

    return captured


@pytest.fixture
def bundle(oracle: Any, tmp_path: Path) -> Any:
    """Deliver a candidate, as it is or changed, and unpack it as the daemon does."""
    from ferry.deliver.deliver import run
    from ferry.step import MemoryContext

    def delivered(
        name: str, replace: tuple[str, str] | None = None, module: str = "source"
    ) -> Path:
        recorded = oracle(name)
        code = candidate_text(name)
        if replace is not None:
            assert replace[0] in code
            code = code.replace(*replace)
        plan = {**recorded.plan, "entry": {**recorded.plan["entry"], "module": module}}
        request = {
            "files": [],
            "candidate": [{"path": f"{module}.py", "content": code}],
            "weights": weight_map(name),
            "plan": plan,
            "tensors": recorded.tensors,
            "report": REPORT,
        }
        inputs = {"given": recorded.given, "expected": recorded.expected_file}
        context = MemoryContext(request, inputs)
        files = {f["path"]: f["content"] for f in run(context)["files"]}
        files[f"jax/{module}.py"] = code
        if request["weights"] is not None:
            files["weights.json"] = json.dumps(request["weights"])
        for path, text in files.items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(text)
        for out, data in context.outputs.items():
            (tmp_path / f"tests/data/{out}.safetensors").write_bytes(data)
        return tmp_path

    return delivered
