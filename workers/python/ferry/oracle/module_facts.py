"""The tree of modules as it was built: classes and their plain attributes."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from ferry.oracle.program import Program, json_or_none
from ferry.oracle.state import class_name

Json = dict[str, Any]


def module_facts(built: Any, program: Program) -> list[Json]:
    """One fact per module path, in tree order; empty for a function."""
    if not isinstance(built, nn.Module):
        return []
    return [
        {
            "path": path,
            "class": class_name(type(module)),
            **_place(type(module), program),
            "config": _config(module),
        }
        for path, module in built.named_modules(remove_duplicate=False)
    ]


def _place(cls: type, program: Program) -> Json:
    """Where the class is defined, if that is at the top of one of the caller's files."""
    for file in program.files:
        if file.module == cls.__module__ and cls.__qualname__ in file.classes:
            return {"file": file.path, "line": file.classes[cls.__qualname__].lineno}
    return {"file": None, "line": None}


def _config(module: nn.Module) -> Json:
    """Attributes that JSON can carry; dtypes, devices and functions by their names."""
    config: Json = {}
    for name, value in vars(module).items():
        if name.startswith("_") and name != "_reversed_padding_repeated_twice":
            continue
        if isinstance(value, torch.dtype | torch.device):
            config[name] = str(value)
        elif callable(value) and hasattr(value, "__qualname__"):
            config[name] = f"{value.__module__}.{value.__qualname__}"
        elif value is None or json_or_none(value) is not None:
            config[name] = json_or_none(value)
    return config
