"""Trees of arguments and outputs, as `docs/steps.md` section 3 describes them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from ferry.step import Json, StepError

#: The dtypes that a leaf may have.
DTYPES = (
    "float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8",
    "bool", "complex64", "complex128",
)  # fmt: skip


def leaf_paths(argset: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The path and spec of every tensor of an argument set."""
    for index, spec in enumerate(argset.get("args", [])):
        yield from _tensor_specs(str(index), spec)
    for name, spec in argset.get("kwargs", {}).items():
        yield from _tensor_specs(name, spec)


def _tensor_specs(path: str, spec: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if spec["t"] == "tensor":
        yield path, spec
    elif spec["t"] in ("seq", "map"):
        keys = spec.get("keys", range(len(spec["items"])))
        for key, item in zip(keys, spec["items"], strict=True):
            yield from _tensor_specs(f"{path}/{key}", item)


def build_arguments(
    argset: Mapping[str, Any], tensors: Mapping[str, Any]
) -> tuple[list[Any], dict[str, Any]]:
    """Positional and keyword arguments; `tensors` has the tensor leaves by path."""
    args = [_build(str(index), spec, tensors) for index, spec in enumerate(argset.get("args", []))]
    kwargs = {name: _build(name, spec, tensors) for name, spec in argset.get("kwargs", {}).items()}
    return args, kwargs


def example_arguments(argset: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """Arguments of the right shapes and dtypes, all zeros."""
    zeros = {
        path: np.zeros(spec["shape"], jnp.dtype(spec["dtype"])) for path, spec in leaf_paths(argset)
    }
    return build_arguments(argset, zeros)


def _build(path: str, spec: Mapping[str, Any], tensors: Mapping[str, Any]) -> Any:
    kind = spec["t"]
    if kind == "tensor":
        return tensors[path]
    if kind == "none":
        return None
    if kind == "seq":
        return tuple(_build(f"{path}/{i}", s, tensors) for i, s in enumerate(spec["items"]))
    if kind == "map":
        pairs = zip(spec["keys"], spec["items"], strict=True)
        return {key: _build(f"{path}/{key}", item, tensors) for key, item in pairs}
    if kind == "float":
        return float(spec["value"])
    return spec["value"]


def flatten_output(value: Any) -> tuple[Json, dict[str, Any]]:
    """The spec of an output and its tensors by path; a bare tensor has the path ``0``."""
    tensors: dict[str, Any] = {}
    if _is_array(value):
        return _flatten("0", value, tensors), tensors
    return _flatten("", value, tensors), tensors


def _flatten(path: str, value: Any, tensors: dict[str, Any]) -> Json:
    if isinstance(value, nnx.Variable):
        value = value.get_value()
    if _is_array(value) and value.dtype.name in DTYPES:
        tensors[path or "0"] = value
        return {"t": "tensor", "dtype": value.dtype.name, "shape": list(value.shape)}
    if value is None or isinstance(value, (bool, int, float, str)):
        return _scalar(value)
    names = _map_items(value)
    if names is not None:
        items = [_flatten(_join(path, key), item, tensors) for key, item in names]
        return {"t": "map", "keys": [str(key) for key, _ in names], "items": items}
    if isinstance(value, (tuple, list, nnx.List)):
        parts = [_flatten(_join(path, i), item, tensors) for i, item in enumerate(value)]
        return {"t": "seq", "items": parts}
    kind = value.dtype if _is_array(value) else type(value).__name__
    message = f"the output has a {kind} at {path or 'its root'}"
    raise StepError("candidate_error", message, why="unsupported_output")


def _map_items(value: Any) -> list[tuple[Any, Any]] | None:
    """The items of a dict or a dataclass, None for anything else."""
    if isinstance(value, Mapping):
        return list(value.items())
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [(f.name, getattr(value, f.name)) for f in dataclasses.fields(value)]
    return None


def _scalar(value: Any) -> Json:
    if value is None:
        return {"t": "none"}
    if isinstance(value, float) and not math.isfinite(value):
        return {"t": "float", "value": str(value)}
    kind = next(kind for kind in (bool, int, float, str) if isinstance(value, kind))
    return {"t": kind.__name__, "value": kind(value)}


def _is_array(value: Any) -> bool:
    return isinstance(value, (jax.Array, np.ndarray, np.generic))


def _join(path: str, key: Any) -> str:
    return f"{path}/{key}" if path else str(key)
