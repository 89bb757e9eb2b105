"""torch's values of all tables, from one run of the torch interpreter."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import jax
import numpy as np
import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
TABLES = tuple(sorted(p.stem for p in (HERE / "prelude_cases").glob("[a-z]*.py")))

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path[:0] = [str(HERE), str(ROOT / "workers" / "python")]
jax.config.update("jax_enable_x64", True)


@pytest.fixture(scope="session")
def truth(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, np.ndarray]]:
    """Arrays by `table/number`, then by their name within the case."""
    python = os.environ.get("FERRY_TORCH_PY", str(ROOT / "build/envs/torch/bin/python"))
    output = tmp_path_factory.mktemp("torch") / "values.npz"
    command = [python, str(HERE / "torch_values.py"), str(output), *TABLES]
    subprocess.run(command, check=True, timeout=300)
    stored: dict[str, dict[str, np.ndarray]] = defaultdict(dict)
    with np.load(output) as values:
        for key in values.files:
            table, number, name = key.split("/", 2)
            stored[f"{table}/{number}"][name] = values[key]
    return stored
