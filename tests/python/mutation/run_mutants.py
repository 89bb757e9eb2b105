"""Runs mutated ports with jax: `run_mutants.py FOLDER`; started under the jax interpreter.

For each `NUMBER.json` of the folder the calls of `NUMBER.py` run in turn until one raises or
gives other arrays than torch's in `NUMBER.npz`; what was found first goes to `results`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "translate"))

import numpy as np
from operation_numbers import difference
from run_operations import run


def killer(path: Path, inputs: dict[str, np.ndarray]) -> str:
    """What is wrong with the first wrong call of a mutated port; empty where none is."""
    with np.load(path.with_suffix(".npz")) as stored:
        arrays = {key: stored[key] for key in stored.files}
    scope: dict[str, Any] = {"__name__": path.stem}
    try:
        exec(compile(path.with_suffix(".py").read_text("utf-8"), path.stem, "exec"), scope)
    except Exception as error:
        return f"{type(error).__name__}: {error}"[:200]
    for name, (operation, needs) in json.loads(path.read_text("utf-8")).items():
        start = f"{name}/"
        expected = {k.removeprefix(start): v for k, v in arrays.items() if k.startswith(start)}
        try:
            actual = run(scope[name], {n: inputs[n] for n in needs}, list(expected))
        except Exception as error:
            return f"{operation}: {type(error).__name__}: {error}"[:200]
        if why := difference(operation, expected, actual):
            return f"{operation}: {why}"
    return ""


def main(folder: Path) -> None:
    """Run all mutants of a folder."""
    with np.load(folder / "inputs.npz") as stored:
        inputs = {name: stored[name] for name in stored.files}
    results = {path.stem: killer(path, inputs) for path in sorted(folder.glob("*.json"))}
    (folder / "results").write_text(json.dumps(results), encoding="utf-8")


main(Path(sys.argv[1]))
