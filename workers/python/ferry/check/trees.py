"""Trees of arguments and outputs, as `docs/steps.md` section 3 describes them."""

from __future__ import annotations

import dataclasses
import math
from collections import namedtuple
from collections.abc import Callable, Iterator, Mapping
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


class Record(dict[str, Any]):
    """A dataclass of the source that the candidate has no class for: a dict with attributes."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


def zeros(argset: Mapping[str, Any]) -> dict[str, np.ndarray[Any, Any]]:
    """The tensor leaves of an argument set by path, all zeros."""
    specs = leaf_paths(argset)
    return {path: np.zeros(spec["shape"], jnp.dtype(spec["dtype"])) for path, spec in specs}


@dataclasses.dataclass(frozen=True)
class Builder:
    """Builds arguments from their specs, with the candidate's own classes of the same names."""

    namespace: Mapping[str, Any]

    def arguments(
        self, argset: Mapping[str, Any], tensors: Mapping[str, Any]
    ) -> tuple[list[Any], dict[str, Any]]:
        """Positional and keyword arguments; `tensors` has the tensor leaves by path."""
        args = enumerate(argset.get("args", []))
        kwargs = argset.get("kwargs", {}).items()
        return (
            [self._build(str(index), spec, tensors) for index, spec in args],
            {name: self._build(name, spec, tensors) for name, spec in kwargs},
        )

    def examples(self, argset: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """Arguments of the right shapes and dtypes, all zeros."""
        return self.arguments(argset, zeros(argset))

    def _build(self, path: str, spec: Mapping[str, Any], tensors: Mapping[str, Any]) -> Any:
        kind = spec["t"]
        if kind == "tensor":
            return tensors[path]
        if kind == "none":
            return None
        if kind == "seq":
            items = [self._build(f"{path}/{i}", s, tensors) for i, s in enumerate(spec["items"])]
            return self._sequence(spec, items)
        if kind == "map":
            pairs = zip(spec["keys"], spec["items"], strict=True)
            return self._mapping(
                spec, {key: self._build(f"{path}/{key}", item, tensors) for key, item in pairs}
            )
        return float(spec["value"]) if kind == "float" else spec["value"]

    def _sequence(self, spec: Mapping[str, Any], items: list[Any]) -> Any:
        if spec.get("list"):
            return items
        if "class" not in spec:
            return tuple(items)
        own: Any = self.namespace.get(spec["class"])
        if getattr(own, "_fields", None) != tuple(spec["fields"]):
            make: Callable[..., Any] = namedtuple
            own = make(spec["class"], spec["fields"])
        return own(*items)

    def _mapping(self, spec: Mapping[str, Any], items: dict[str, Any]) -> Any:
        if spec.get("numbered"):
            return {int(key): item for key, item in items.items()}
        if "class" not in spec:
            return items
        own = self.namespace.get(spec["class"])
        if not (isinstance(own, type) and dataclasses.is_dataclass(own)):
            return Record(items)
        made = {entry.name for entry in dataclasses.fields(own) if entry.init}
        return own(**{name: item for name, item in items.items() if name in made})


def flatten_output(value: Any) -> tuple[Json, dict[str, Any]]:
    """The spec of an output and its tensors by path; a bare tensor has the path ``0``."""
    tensors: dict[str, Any] = {}
    return _flatten("", value, tensors), tensors


def flatten_argument(name: str, value: Any) -> tuple[Json, dict[str, Any]]:
    """The spec of an argument after a call, and its tensors by path."""
    tensors: dict[str, Any] = {}
    return _flatten(name, value, tensors), tensors


def _flatten(path: str, value: Any, tensors: dict[str, Any]) -> Json:
    if isinstance(value, nnx.Variable):
        value = value.get_value()
    if _is_array(value) and value.dtype.name in DTYPES:
        tensors[path or "0"] = value
        return {"t": "tensor", "dtype": value.dtype.name, "shape": list(value.shape)}
    if value is None or isinstance(value, (bool, int, float, str)):
        return _scalar(value)
    names = _map_items(value)
    if names is not None and _reads_alike(value, names):
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


def _reads_alike(value: Any, items: list[tuple[Any, Any]]) -> bool:
    """Whether a dict has under each key what it shows as its items."""
    own = type(value).__getitem__ if isinstance(value, Mapping) else None
    return own in (None, dict.__getitem__) or all(value[key] is item for key, item in items)


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
