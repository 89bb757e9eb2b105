"""Runs ported calls with jax: `run_operations.py FOLDER`; started under the jax interpreter.

FOLDER holds `inputs.npz` and, for each family, a ported file and the calls to make of it. What
each gives, or the error it raises, goes to `FAMILY.npz` and `FAMILY.errors`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from operation_numbers import cotangent, leaves

jax.config.update("jax_enable_x64", True)


def run(function: Any, inputs: dict[str, np.ndarray], wanted: list[str]) -> dict[str, np.ndarray]:
    """Outputs of a call, and its gradients where torch has them."""
    arrays = {name: jnp.asarray(value) for name, value in inputs.items()}
    outputs = leaves(function(**arrays))
    stored = {f"out/{n}": _array(out) for n, out in enumerate(outputs)}
    names = [key.removeprefix("grad/") for key in wanted if key.startswith("grad/")]
    if not names:
        return stored

    def scalar(smooth: dict[str, jax.Array]) -> list[jax.Array]:
        found = leaves(function(**{**arrays, **smooth}))
        return list(map(jnp.asarray, found))

    results, pull = jax.vjp(scalar, {name: arrays[name] for name in names})
    weights = [
        jnp.asarray(cotangent(x.shape, n), x.dtype)
        if jnp.issubdtype(x.dtype, jnp.floating)
        else np.zeros(x.shape, jax.dtypes.float0 if not jnp.iscomplexobj(x) else x.dtype)
        for n, x in enumerate(results)
    ]
    (grads,) = pull(weights)
    return stored | {f"grad/{name}": np.asarray(grads[name]) for name in names}


def _array(value: Any) -> np.ndarray:
    if isinstance(value, (jax.Array, np.ndarray, np.generic, bool, int, float)):
        array = np.asarray(value)
        return array.astype("float32") if array.dtype.kind == "V" else array
    return np.asarray(0)


def main(folder: Path) -> None:
    """Run all families of a folder."""
    with np.load(folder / "inputs.npz") as stored:
        inputs = {name: stored[name] for name in stored.files}
    for path in sorted(folder.glob("*.json")):
        scope: dict[str, Any] = {"__name__": path.stem}
        text = path.with_suffix(".py").read_text(encoding="utf-8")
        exec(compile(text, path.stem, "exec"), scope)
        results: dict[str, np.ndarray] = {}
        errors: dict[str, str] = {}
        for name, (needs, wanted) in json.loads(path.read_text(encoding="utf-8")).items():
            try:
                found = run(scope[name], {n: inputs[n] for n in needs}, wanted)
            except Exception as error:
                errors[name] = f"{type(error).__name__}: {error}"[:300]
                continue
            results |= {f"{name}/{key}": value for key, value in found.items()}
        np.savez(path.with_suffix(".npz"), **results)
        path.with_suffix(".errors").write_text(json.dumps(errors), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
