"""Trees of arguments and outputs: their specs, and their tensors by path (steps.md, 3)."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from ferry.step import StepError

Spec = dict[str, Any]
Leaves = dict[str, Tensor]

DTYPES: dict[torch.dtype, str] = {
    torch.float64: "float64",
    torch.float32: "float32",
    torch.float16: "float16",
    torch.bfloat16: "bfloat16",
    torch.int64: "int64",
    torch.int32: "int32",
    torch.int16: "int16",
    torch.int8: "int8",
    torch.uint8: "uint8",
    torch.bool: "bool",
    torch.complex64: "complex64",
    torch.complex128: "complex128",
}
BY_NAME = {name: dtype for dtype, name in DTYPES.items()}


class NotATree(Exception):
    """A value that the protocol has no spec for."""


def dtype_name(dtype: torch.dtype) -> str:
    """The protocol's name of `dtype`."""
    try:
        return DTYPES[dtype]
    except KeyError:
        raise NotATree(f"a tensor of {dtype}") from None


def stored(tensor: Tensor) -> Tensor:
    """A private, dense copy of `tensor` that safetensors can hold."""
    value = tensor.detach()
    if value.layout != torch.strided:
        value = value.to_dense()
    if value.is_complex():
        value = torch.view_as_real(value.resolve_conj())
    return value.to("cpu").clone(memory_format=torch.contiguous_format)


def fields_of(value: Any) -> Mapping[str, Any] | None:
    """The items of a dict-like value (dict, dataclass, ModelOutput), else None."""
    if isinstance(value, Mapping):
        return {str(key): item for key, item in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    return None


def _scalar(value: Any) -> Spec | None:
    if value is None:
        return {"t": "none"}
    if isinstance(value, bool):
        return {"t": "bool", "value": value}
    if isinstance(value, int):
        return {"t": "int", "value": int(value)}
    if isinstance(value, float):
        finite = math.isfinite(value)
        return {"t": "float", "value": float(value) if finite else str(float(value))}
    if isinstance(value, str):
        return {"t": "str", "value": str(value)}
    return None


def flatten(value: Any, path: str, leaves: Leaves) -> Spec:
    """The spec of `value`; its tensors are put into `leaves` under `path`, uncopied.

    The spec also says how the containers are made, which only whoever builds them again needs.
    """
    if isinstance(value, Tensor):
        leaves[path or "0"] = value
        return {"t": "tensor", "dtype": dtype_name(value.dtype), "shape": list(value.shape)}
    scalar = _scalar(value)
    if scalar is not None:
        return scalar

    def below(key: object) -> str:
        return f"{path}/{key}" if path else str(key)

    if isinstance(value, tuple | list):
        items = [flatten(item, below(i), leaves) for i, item in enumerate(value)]
        return {"t": "seq", "items": items, **_make(value)}
    fields = fields_of(value)
    if fields is not None:
        items = [flatten(item, below(key), leaves) for key, item in fields.items()]
        return {"t": "map", "keys": list(fields), "items": items, **_make(value)}
    raise NotATree(f"a value of type {type(value).__module__}.{type(value).__qualname__}")


def _make(value: Any) -> Spec:
    """What a spec says of how a container is made; nothing of a tuple and of a dict by names."""
    if isinstance(value, list):
        return {"list": True}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return {"class": type(value).__name__, "fields": list(value._fields)}
    if dataclasses.is_dataclass(value):
        return {"class": type(value).__name__}
    numbered = isinstance(value, Mapping) and value and all(type(key) is int for key in value)
    return {"numbered": True} if numbered else {}


def flatten_output(value: Any) -> tuple[Spec, Leaves]:
    """Spec and tensors of what the source returned; `unsupported_output` where it has none."""
    leaves: Leaves = {}
    try:
        return flatten(value, "", leaves), leaves
    except NotATree as error:
        raise StepError("unsupported_output", f"the output holds {error}") from None


def map_tensors(value: Any, change: Callable[[str, Tensor], Any], path: str = "") -> Any:
    """`value` with every tensor replaced by ``change(path, tensor)``, containers rebuilt."""

    def below(key: object) -> str:
        return f"{path}/{key}" if path else str(key)

    if isinstance(value, Tensor):
        return change(path or "0", value)
    if isinstance(value, tuple | list):
        items = [map_tensors(item, change, below(i)) for i, item in enumerate(value)]
        if hasattr(value, "_fields"):
            return type(value)(*items)
        return items if isinstance(value, list) else tuple(items)
    if isinstance(value, Mapping):
        return {key: map_tensors(item, change, below(key)) for key, item in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: getattr(value, f.name) for f in dataclasses.fields(value) if f.init}
        mapped = {key: map_tensors(item, change, below(key)) for key, item in fields.items()}
        return dataclasses.replace(value, **mapped)
    return value


@dataclasses.dataclass
class Arguments:
    """One set of arguments of the entry: positional and by keyword."""

    args: list[Any]
    kwargs: dict[str, Any]

    def spec(self) -> tuple[Spec, Leaves]:
        """The argument set of steps.md and its tensors; `inputs_refused` for other values."""
        leaves: Leaves = {}
        try:
            args = [flatten(value, str(i), leaves) for i, value in enumerate(self.args)]
            kwargs = {name: flatten(value, name, leaves) for name, value in self.kwargs.items()}
        except NotATree as error:
            raise StepError("inputs_refused", f"the inputs hold {error}") from None
        return {"args": args, "kwargs": kwargs}, leaves

    def leaves(self) -> Leaves:
        """The tensors by path."""
        return self.spec()[1]

    def mapped(self, change: Callable[[str, Tensor], Any]) -> Arguments:
        """The same arguments with every tensor replaced."""
        args = [map_tensors(value, change, str(i)) for i, value in enumerate(self.args)]
        kwargs = {name: map_tensors(value, change, name) for name, value in self.kwargs.items()}
        return Arguments(args, kwargs)

    def copied(self, wide: bool = False) -> Arguments:
        """Fresh tensors; with `wide` real ones are float64 and complex ones complex128."""
        return self.mapped(lambda _, tensor: as_precision(tensor, wide))


def as_precision(tensor: Tensor, wide: bool) -> Tensor:
    """A detached copy, with `wide` of twice the usual precision where it is real or complex."""
    copy = tensor.detach().clone()
    if wide and copy.is_floating_point():
        return copy.double()
    return copy.to(BY_NAME["complex128"]) if wide and copy.is_complex() else copy


def is_inexact(tensor: Tensor) -> bool:
    """Whether a tensor may have a gradient: it is real or complex."""
    return tensor.is_floating_point() or tensor.is_complex()


def float32_exact(tensor: Tensor) -> Tensor:
    """`tensor` in its own dtype with values that float32 holds exactly."""
    if tensor.dtype == torch.float64:
        return tensor.float().double()
    return tensor.to(torch.complex64).to(tensor.dtype) if tensor.is_complex() else tensor
