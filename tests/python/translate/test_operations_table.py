"""Every operation of the table in every style of call: outputs, types and gradients are torch's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ferry.translate import library
from ferry.translate.table import CLASSES, OPERATIONS, RECORDS
from operation_calls import Arrays, bodies, ported
from operation_list import wanted
from operation_numbers import difference
from operation_samples import FAMILIES, INPUTS
from oracle_and_port import JAX_PYTHON, ROOT

Results = dict[str, dict[str, tuple[Arrays, str]]]

# records that compute nothing: places, versions, gradients, what is called in other tests
UNSAMPLED = [
    "torch.from_numpy",
    "torch.utils.checkpoint.checkpoint",
    "Tensor.to_sparse Tensor.to_dense",
    "Tensor.requires_grad_",
    "torch.autograd.Variable",
    "torch.Size",
    "torch.cuda.is_available torch.jit.is_scripting torch.jit.is_tracing",
    "torch.onnx.is_in_onnx_export torch.compiler.is_compiling torch.is_autocast_enabled",
    "torch.is_grad_enabled",
    "torch.utils._pytree.register_pytree_node",
    "torch.device",
]
# most of the time is spent compiling programs of one operation
_QUICK = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """By family, file and call: what each distinct port gave, or the error it raised."""
    folder = tmp_path_factory.mktemp("operations")
    np.savez(folder / "inputs.npz", **INPUTS)
    for family in FAMILIES:
        for number, done in enumerate(ported(family)):
            path = folder / f"{family}-{number}"
            path.with_suffix(".py").write_text(done.text, encoding="utf-8")
            distinct = set(_first_of(bodies(done.text)).values())
            calls = {
                call.name: (call.inputs, list(call.expected))
                for call in done.calls
                if call.name not in done.refused and call.name in distinct
            }
            path.with_suffix(".json").write_text(json.dumps(calls), encoding="utf-8")
    script = Path(__file__).with_name("run_operations.py")
    env = {**os.environ, "OMP_NUM_THREADS": "1", "JAX_PLATFORMS": "cpu", "XLA_FLAGS": _QUICK}
    subprocess.run([JAX_PYTHON, str(script), str(folder)], check=True, env=env, timeout=1500)
    return {path.stem: _read(path) for path in folder.glob("*.json")}


def _first_of(texts: dict[str, str]) -> dict[str, str]:
    """The first function that has each text."""
    return {text: name for name, text in reversed(texts.items())}


def _read(path: Path) -> dict[str, tuple[Arrays, str]]:
    errors = json.loads(path.with_suffix(".errors").read_text(encoding="utf-8"))
    found: dict[str, tuple[Arrays, str]] = {name: ({}, why) for name, why in errors.items()}
    with np.load(path.with_suffix(".npz")) as stored:
        for key in stored.files:
            name, _, leaf = key.partition("/")
            found.setdefault(name, ({}, ""))[0][leaf] = stored[key]
    return found


def answers(dotted: str) -> bool:
    """Whether the engine has a record, a class, a container or a definition for a name."""
    space, _, name = dotted.rpartition(".")
    known = library.load().definitions
    if dotted in OPERATIONS or dotted in CLASSES:
        return True
    if space == "torch.nn":
        return name in known and known[name].is_class
    if space == "torch.nn.utils.parametrizations":
        return f"parametrized_{name}" in known
    return name in known and not known[name].is_class


def test_coverage() -> None:
    assert [name for name in wanted() if not answers(name)] == []


def test_sampled() -> None:
    """Every record that draws nothing is called in a sample, under at least one of its names."""
    sampled = {name.rsplit(".", 1)[-1] for family in FAMILIES.values() for name in family}
    missing = [
        record.names
        for record in RECORDS
        if not record.random
        and not any(name.rsplit(".", 1)[-1] in sampled for name in record.answers_to())
    ]
    assert missing == UNSAMPLED


def test_listed() -> None:
    """The list that GET /v1/engines gives is that of tools/operations.py."""
    tool = ROOT / "tools" / "operations.py"
    env = {**os.environ, "PYTHONPATH": str(ROOT / "workers" / "python")}
    made = subprocess.run([sys.executable, str(tool)], check=True, env=env, capture_output=True)
    assert made.stdout == (ROOT / "api" / "operations.txt").read_bytes()


@pytest.mark.parametrize("family", FAMILIES)
def test_all_are_ported(family: str) -> None:
    refused = {
        "; ".join(call.lines): done.refused[call.name]
        for done in ported(family)
        for call in done.calls
        if call.name in done.refused
    }
    assert refused == {}


@pytest.mark.parametrize("family", FAMILIES)
def test_values(results: Results, family: str) -> None:
    wrong: dict[str, str] = {}
    for number, done in enumerate(ported(family)):
        texts = bodies(done.text)
        first = _first_of(texts)
        for call in done.calls:
            if call.name in done.refused:
                continue
            actual, error = results[f"{family}-{number}"][first[texts[call.name]]]
            why = error or difference(call.operation, call.expected, actual)
            if why:
                port = texts[call.name].splitlines()[-1].strip()
                wrong["; ".join(call.lines)] = f"{port} → {why}"
    assert wrong == {}
