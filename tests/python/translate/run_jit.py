"""Runs bundles in the ways that people use a model with jax; started under the jax interpreter.

    python run_jit.py FOLDER NAME ...

Each `FOLDER/NAME` is a bundle with `x.safetensors` (the arguments of two batches, by `batch/index`).
Writes `FOLDER/NAME/out.safetensors`: the arrays by `mode/way/…`, in float32, and `dtypes.json`.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from safetensors.numpy import load_file, save_file

Arrays = dict[str, Any]


def module(path: Path, name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


class Bundle:
    """A port and its loader."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._entry = module(root / "jax" / "model.py", f"{root.name}_model").Net
        self._loader = module(root / "load_weights.py", "load_weights")

    def model(self, mode: str, dtype: Any = None) -> Any:
        built = nnx.eval_shape(lambda: self._entry(rngs=nnx.Rngs(0)))
        checkpoint = self._root / "tests/data/weights.safetensors"
        self._loader.load(built, checkpoint, self._root / "weights.json", dtype=dtype)
        (built.train if mode == "train" else built.eval)()
        return built


def leaves(output: Any) -> list[jax.Array]:
    return [jnp.asarray(leaf) for leaf in jax.tree.leaves(output)]


def loss(model: Any, args: list[jax.Array]) -> jax.Array:
    return sum(jnp.mean(leaf * leaf) for leaf in leaves(model(*args)))


def ways(bundle: Bundle, mode: str, batches: list[list[jax.Array]]) -> Arrays:
    """All ways in one mode: outputs by way and leaf, gradients and state by path."""
    args, found = batches[0], {}
    model = bundle.model(mode)
    outputs = nnx.jit(lambda model, args: leaves(model(*args)))(model, args)
    found |= {f"nnx.jit/{i}": leaf for i, leaf in enumerate(outputs)}
    found |= {f"state/{path}": value for path, value in paths(nnx.state(model)).items()}

    model = bundle.model(mode)
    graph, state = nnx.split(model)
    pure = jax.jit(lambda state, args: leaves(nnx.merge(graph, state, copy=True)(*args)))
    found |= {f"jax.jit/{i}": leaf for i, leaf in enumerate(pure(state, args))}

    stacked = [jnp.stack(parts) for parts in zip(*batches, strict=True)]
    mapped = jax.vmap(lambda args: pure(state, args))(stacked)
    found |= {f"vmap/{b}/{i}": leaf[b] for i, leaf in enumerate(mapped) for b in (0, 1)}

    found |= {f"grad/{p}": g for p, g in paths(nnx.jit(nnx.grad(loss))(model, args)).items()}

    half = bundle.model(mode, jnp.bfloat16)
    low = [a.astype(jnp.bfloat16) if a.dtype == jnp.float32 else a for a in args]
    outputs = nnx.jit(lambda model, args: leaves(model(*args)))(half, low)
    found |= {f"bf16/{i}": leaf for i, leaf in enumerate(outputs)}
    slopes = nnx.jit(nnx.grad(loss))(bundle.model(mode, jnp.bfloat16), low)
    return found | {f"bf16.grad/{p}": g for p, g in paths(slopes).items()}


def paths(state: Any) -> Arrays:
    """The numbers of a state by dotted path, random streams left out."""
    flat = [(".".join(map(str, path)), v.get_value()) for path, v in nnx.to_flat_state(state)]
    return {p: v for p, v in flat if not jnp.issubdtype(v.dtype, jax.dtypes.prng_key)}


def main() -> None:
    folder = Path(sys.argv[1])
    for name in sys.argv[2:]:
        tensors = load_file(folder / name / "x.safetensors")
        count = len(tensors) // 2
        batches = [[jnp.asarray(tensors[f"{b}/{i}"]) for i in range(count)] for b in (0, 1)]
        bundle = Bundle(folder / name)
        found: Arrays = {}
        for mode in ("eval", "train"):
            found |= {f"{mode}/{n}": v for n, v in ways(bundle, mode, batches).items()}
        kinds = {path: str(value.dtype) for path, value in found.items()}
        (folder / name / "dtypes.json").write_text(json.dumps(kinds))
        wide = {path: np.asarray(value, "float32") for path, value in found.items()}
        save_file(wide, folder / name / "out.safetensors")


if __name__ == "__main__":
    main()
