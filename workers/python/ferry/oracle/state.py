"""The variables of a module: parameters, buffers and plain tensor attributes, by dotted path."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ferry.oracle.trees import dtype_name


@dataclass
class Variable:
    """One named tensor of a module. Tied names have equal `storage`."""

    name: str
    kind: str
    owner: str
    owner_module: nn.Module
    tensor: Tensor
    storage: int

    @property
    def local(self) -> str:
        """Its name within its owner."""
        return self.name[len(self.owner) + 1 :] if self.owner else self.name

    def to_json(self) -> dict[str, Any]:
        """The *tensor* of steps.md."""
        return {
            "name": self.name,
            "kind": self.kind,
            "shape": list(self.tensor.shape),
            "dtype": dtype_name(self.tensor.dtype),
            "storage": self.storage,
            "owner": self.owner,
            "owner_class": class_name(type(self.owner_module)),
            "trainable": self.kind == "parameter" and self.tensor.requires_grad,
        }


def class_name(cls: type) -> str:
    """The dotted name of a class."""
    return f"{cls.__module__}.{cls.__qualname__}"


def _nested(value: Any, name: str) -> Iterator[tuple[str, Tensor]]:
    """Tensors in a plain attribute: itself, or items of lists, tuples and dicts."""
    if isinstance(value, Tensor):
        yield name, value
    elif isinstance(value, list | tuple):
        for i, item in enumerate(value):
            yield from _nested(item, f"{name}.{i}")
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _nested(item, f"{name}.{key}")


def _registered(model: nn.Module) -> set[int]:
    tensors = [*model.parameters(), *model.buffers()]
    return {id(t) for t in tensors}


def _own(module: nn.Module, registered: set[int]) -> Iterator[tuple[str, str, Tensor]]:
    """(kind, local name, tensor) of the variables that `module` itself holds."""
    for name, parameter in module._parameters.items():
        if parameter is not None:
            yield "parameter", name, parameter
    transient = module._non_persistent_buffers_set
    for name, buffer in module._buffers.items():
        if buffer is not None:
            yield "buffer_nonpersistent" if name in transient else "buffer", name, buffer
    for key, value in vars(module).items():
        if key in ("_parameters", "_buffers", "_modules"):
            continue
        for name, tensor in _nested(value, key):
            derived = tensor.grad_fn is not None or f"{key}_orig" in module._parameters
            if id(tensor) not in registered and not derived:
                yield "attribute", name, tensor


def variables(model: nn.Module) -> list[Variable]:
    """Every variable of `model` under each of its names, in module order."""
    registered = _registered(model)
    storages: dict[tuple[Any, ...], int] = {}
    found: list[Variable] = []
    for path, module in model.named_modules(remove_duplicate=False):
        for kind, local, tensor in _own(module, registered):
            name = f"{path}.{local}" if path else local
            storage = storages.setdefault(_identity(tensor), len(storages))
            found.append(Variable(name, kind, path, module, tensor, storage))
    return found


def _identity(tensor: Tensor) -> tuple[Any, ...]:
    """What two names of one tensor have in common."""
    if tensor.layout != torch.strided or not tensor.numel():
        return (id(tensor),)
    return (tensor.data_ptr(), tuple(tensor.shape), tensor.stride())


def load(model: nn.Module, values: Mapping[str, Tensor]) -> None:
    """Write `values` into the variables of `model` in place, so that ties stay ties."""
    with torch.no_grad():
        for variable in variables(model):
            expanded = 0 in variable.tensor.stride() and variable.tensor.numel() > 1
            if variable.name in values and not expanded:
                variable.tensor.data.copy_(values[variable.name])


def to_float64(model: nn.Module) -> None:
    """`model.double()` for all variables, plain attributes and complex ones too; ties stay."""
    changed: dict[int, Tensor] = {}
    for variable in variables(model):
        tensor = variable.tensor
        wide = torch.complex128 if tensor.is_complex() else torch.float64
        if tensor.is_floating_point() or tensor.is_complex():
            tensor.data = changed.setdefault(variable.storage, tensor.data.to(wide))
