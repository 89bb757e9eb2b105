"""Evaluate the JAX expressions of the cases: ``jax_values.py arrays.npz requests.json out.npz``."""

from __future__ import annotations

import json
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax import lax


def nnx_filled(module: Any, values: dict[str, Any]) -> Any:
    """A module with some variables replaced, by dotted path."""
    for path, value in values.items():
        *owners, name = path.split(".")
        owner = module
        for part in owners:
            owner = getattr(owner, part)
        getattr(owner, name).set_value(jnp.asarray(value))
    return module


def nnx_call(module: Any, x: Any, **values: Any) -> Any:
    return nnx_filled(module, values)(x)


def scan(cell: Any, state: Any, x: Any) -> Any:
    outputs = []
    for frame in x:
        state, output = cell(state, frame)
        outputs.append(output)
    return jnp.stack(outputs)


NAMES = {
    "jax": jax, "jnp": jnp, "lax": lax, "nnx": nnx, "optax": optax,
    "nnx_call": nnx_call, "nnx_filled": nnx_filled, "scan": scan,
}  # fmt: skip


def main(arrays: str, requests: str, out: str) -> None:
    jax.config.update("jax_enable_x64", True)
    found: dict[str, Any] = {}
    with np.load(arrays) as stored, open(requests, encoding="utf-8") as file:
        for key, expression in json.load(file).items():
            own = {
                name.split("|", 1)[1]: stored[name] for name in stored if name.startswith(key + "|")
            }
            x = [jnp.asarray(own[f"x/{i}"]) for i in range(sum(n.startswith("x/") for n in own))]
            w = {n.removeprefix("w/"): jnp.asarray(v) for n, v in own.items() if n.startswith("w/")}
            value = eval(expression, {**NAMES, "x": x, "w": w})
            parts = value if isinstance(value, list | tuple) else [value]
            found |= {f"{key}|{i}": np.asarray(part) for i, part in enumerate(parts)}
    np.savez(out, **found)


if __name__ == "__main__":
    main(*sys.argv[1:])
