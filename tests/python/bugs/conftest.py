"""The cases, captured by real torch; JAX's values from one run of the jax interpreter."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")
HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
sys.path[:0] = [str(HERE), str(ROOT / "workers" / "python")]

from bug_cases import Case, all_cases  # noqa: E402
from fingerprints import Captured  # noqa: E402


@pytest.fixture(scope="session")
def captured() -> Any:
    """The oracle of a case, captured once."""
    known: dict[Case, Captured] = {}

    def oracle(case: Case) -> Captured:
        if case not in known:
            known[case] = Captured.of(case.source, case.inputs)
        return known[case]

    return oracle


@pytest.fixture(scope="session")
def jax_values(captured: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    """What each JAX expression gives, by its key."""
    arrays, requests = {}, {}
    for number, case in enumerate(all_cases()):
        if isinstance(case.wrong, str):
            own = captured(case)
            requests[str(number)] = case.wrong
            arrays |= {f"{number}|x/{i}": x.numpy() for i, x in enumerate(own.inputs())}
            arrays |= {f"{number}|w/{name}": w.numpy() for name, w in own.weights().items()}
    folder = tmp_path_factory.mktemp("jax")
    np.savez(folder / "arrays.npz", **arrays)
    (folder / "requests.json").write_text(json.dumps(requests), encoding="utf-8")
    python = os.environ.get("FERRY_JAX_PY", str(ROOT / "build/envs/jax/bin/python"))
    paths = [str(folder / name) for name in ("arrays.npz", "requests.json", "out.npz")]
    subprocess.run([python, str(HERE / "jax_values.py"), *paths], check=True, timeout=300)
    found: dict[str, list[Any]] = {key: [] for key in requests}
    with np.load(folder / "out.npz") as stored:
        for name in stored.files:
            found[name.split("|")[0]].append(stored[name])
    return found
