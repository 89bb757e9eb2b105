"""Every kind of draw is replayed in a right port, and a port that draws otherwise is found."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from draw_cases import CASES, DRAWS_DIFFER, Case
from oracles import HERE, PACKAGE, ROOT
from safetensors.numpy import load

STAGES = ["parse", "import", "build", "weights", "shapes", "forward_f64", "train_state"]
RECIPE = {"draws": 1, "inputs": 1, "seed": 0, "train_steps": 2}


def request_of(case: Case) -> dict[str, Any]:
    return {
        "files": [{"path": "model.py", "content": case.torch_text()}],
        "entry": "Net",
        "init": None,
        "init_expr": None,
        "inputs": [{"shape": list(case.shape)}],
        "inputs_expr": None,
        "seed": 0,
        "recipe": RECIPE,
    }


@pytest.fixture(scope="session")
def captured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the oracles of all cases, by real torch."""
    folder = tmp_path_factory.mktemp("draws")
    requests = {name: request_of(case) for name, case in CASES.items()}
    (folder / "sources.json").write_text(json.dumps(requests))
    python = os.environ.get("FERRY_TORCH_PY", str(ROOT / "build/envs/torch/bin/python"))
    env = {**os.environ, "PYTHONPATH": str(PACKAGE), "OMP_NUM_THREADS": "1"}
    command = [python, str(HERE / "capture_sources.py"), str(folder)]
    subprocess.run(command, check=True, timeout=300, env=env)
    return folder


def checked(folder: Path, name: str, body: str) -> tuple[dict[str, Any], float, list[str]]:
    """The train_state record of a port, its largest error, and the cases it could not replay."""
    from ferry.check.check import run
    from ferry.step import MemoryContext

    case, oracle = CASES[name], json.loads((folder / f"{name}.json").read_text())
    request = {
        "files": [{"path": "model.py", "content": case.jax_text(body)}],
        "weights": case.weights(),
        "plan": oracle["plan"],
        "tensors": oracle["tensors"],
        "stages": STAGES,
        "locate": False,
        "entry": None,
    }
    given = (folder / f"{name}.given.safetensors").read_bytes()
    context = MemoryContext(request, {"given": given})
    result = run(context)
    for stage in STAGES[:-1]:
        assert result["stages"][stage]["status"] == "ran", result["stages"][stage]
    record = result["stages"]["train_state"]
    if record["status"] == "failed":
        return record, np.inf, result["unreplayed"]
    expected = load((folder / f"{name}.expected.safetensors").read_bytes())
    actual = load(context.outputs["actual"])
    (wanted,) = (c["id"] for c in oracle["plan"]["cases"] if c["stage"] == "train_state")
    absent = {f"{wanted}/{name}" for name in result["absent"].get(wanted, ())}
    names = [n for n in expected if n.startswith(f"{wanted}/") and n not in absent]
    if result["unreplayed"]:
        assert not any(name.startswith(f"{wanted}/") for name in actual)
        return record, np.inf, result["unreplayed"]
    return record, max(error(actual[n], expected[n]) for n in names), []


def error(actual: np.ndarray, expected: np.ndarray) -> float:
    if actual.shape != expected.shape:
        return np.inf
    gap = np.abs(actual.astype("float64") - expected.astype("float64")).max(initial=0)
    return float(gap / max(np.abs(expected.astype("float64")).max(initial=0), 1e-300))


@pytest.mark.parametrize(
    ("name", "body"), [(name, body) for name, case in CASES.items() for body in case.right]
)
def test_replayed(captured: Path, name: str, body: str) -> None:
    record, worst, _ = checked(captured, name, body)
    assert record["status"] == "ran", record["error"]
    assert worst < 1e-12


@pytest.mark.parametrize(
    ("name", "body", "how"),
    [(name, body, how) for name, case in CASES.items() for body, how in case.wrong.items()],
)
def test_drawn_otherwise(captured: Path, name: str, body: str, how: str) -> None:
    record, worst, _ = checked(captured, name, body)
    if how == DRAWS_DIFFER:
        assert record["status"] == "failed"
        assert record["error"]["code"] == "draws_differ"
    else:
        assert record["status"] == "ran", record["error"]
        assert worst > 1e-8


MASKED = "jnp.where(jax.random.bernoulli({key}, 0.75, x.shape), x / 0.75, 0)"
FUNCTION = f"def drop(x, k):\n    return {MASKED.format(key='k')}\nk = key()\n"
INSIDE = {
    "scan": "return lax.scan(lambda c, x: (c, drop(x, k)), 0, x[None])[1][0]",
    "vmap": "return jax.vmap(drop, (0, None))(x[None], k)[0]",
    "while": "return lax.fori_loop(0, 1, lambda i, x: drop(x, k), x)",
    "cond": "return lax.cond(x.sum() > -1e9, lambda x: drop(x, k), lambda x: x, x)",
    "jit": "return jax.jit(drop)(x, k)",
    "remat": "return jax.checkpoint(drop)(x, k)",
}


@pytest.mark.parametrize("how", INSIDE)
def test_no_replay_inside_of_a_transformation(captured: Path, how: str) -> None:
    """One recorded value must not stand for what may run many times."""
    record, _, unreplayed = checked(captured, "dropout", FUNCTION + INSIDE[how])
    assert record["status"] == "ran", record["error"]
    assert len(unreplayed) == 1


def test_draws_inside_where_the_source_has_none(captured: Path) -> None:
    record, _, unreplayed = checked(captured, "nothing", FUNCTION + INSIDE["scan"])
    assert (record["status"], record["error"]["code"]) == ("failed", "draws_differ")
    assert unreplayed == []
