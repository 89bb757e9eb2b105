"""Which class or function of the caller's files is to be migrated."""

from __future__ import annotations

import ast
import importlib
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from torch import nn

from ferry.oracle.places import source_runs
from ferry.oracle.source import Definition, SourceFile, used_by_others
from ferry.step import StepError

Json = dict[str, Any]
HARNESS = {"get_inputs", "get_init_inputs"}


@dataclass
class Entry:
    """The resolved entry: a module class (all stages) or a function (no weights)."""

    file: SourceFile
    module: ModuleType
    name: str
    target: Callable[..., Any]

    @property
    def kind(self) -> str:
        """``class`` or ``function``."""
        return "class" if isinstance(self.target, type) else "function"

    @property
    def definition(self) -> Definition | None:
        """Its syntax, unless it is not a plain definition at the top of its file."""
        return self.file.classes.get(self.name) or self.file.functions.get(self.name)

    @property
    def line(self) -> int:
        """Where it is defined."""
        return self.definition.lineno if self.definition else 1

    @property
    def call_line(self) -> int:
        """Where what is called begins: a class's forward, if it is its own, or the entry."""
        body = self.definition.body if isinstance(self.definition, ast.ClassDef) else []
        own = [n.lineno for n in body if isinstance(n, ast.FunctionDef) and n.name == "forward"]
        return own[0] if own else self.line

    def to_json(self) -> Json:
        """The `entry` of inspect's result."""
        return {
            "module": self.file.module,
            "name": self.name,
            "file": self.file.path,
            "line": self.line,
            "kind": self.kind,
        }


def import_file(file: SourceFile, sources: Sequence[str]) -> ModuleType:
    """Import one of the caller's files; `source_import` or `missing_package` where it fails."""
    with source_runs(sources, "source_import"):
        return importlib.import_module(file.module)


def resolve(entry: str | None, files: Sequence[SourceFile]) -> Entry:
    """The entry that the caller named, or the only one there can be."""
    if not files:
        raise StepError("entry_not_found", "there is no Python file")
    module_name, _, name = (entry or "").rpartition(":")
    if not name:
        return _find(files)
    if module_name:
        chosen = [f for f in files if f.module == module_name]
        if not chosen:
            raise StepError("entry_not_found", f"there is no module {module_name!r}")
    else:
        chosen = [f for f in files if name in f.classes or name in f.functions]
        chosen = chosen or list(files if len(files) == 1 else [])
    if len(chosen) > 1:
        raise _ambiguous([f"{f.module}:{name}" for f in chosen])
    if not chosen:
        raise StepError("entry_not_found", f"no file defines {name!r}")
    return _load(chosen[0], name, files)


def _load(file: SourceFile, name: str, files: Sequence[SourceFile]) -> Entry:
    module = import_file(file, [f.path for f in files])
    target = getattr(module, name, None)
    if target is None:
        raise StepError("entry_not_found", f"{file.path} has no {name!r}", file=file.path)
    entry = Entry(file, module, name, target)
    is_module = isinstance(target, type) and issubclass(target, nn.Module)
    if not is_module and (isinstance(target, type | nn.Module) or not callable(target)):
        raise StepError(
            "entry_not_found",
            f"{name!r} is neither an nn.Module class nor a function",
            file=file.path,
            line=entry.line,
        )
    return entry


def _find(files: Sequence[SourceFile]) -> Entry:
    """`Model`; else the one module class that no other uses; else the one function."""
    models = [f for f in files if "Model" in f.classes]
    if len(models) == 1:
        return _load(models[0], "Model", files)
    sources = [f.path for f in files]
    used = used_by_others(files)
    found: list[tuple[SourceFile, str]] = []
    functions: list[tuple[SourceFile, str]] = []
    for file in files:
        module = import_file(file, sources)
        found += [(file, name) for name in file.classes if _is_module(getattr(module, name, None))]
        functions += [(file, name) for name in file.functions if name not in HARNESS]
    roots = [(file, name) for file, name in found if name not in used]
    candidates = roots or found or functions
    if not candidates:
        raise StepError("entry_not_found", "the source defines no nn.Module class and no function")
    if len(candidates) > 1:
        raise _ambiguous([f"{file.module}:{name}" for file, name in candidates])
    return _load(*candidates[0], files)


def _is_module(value: object) -> bool:
    return inspect.isclass(value) and issubclass(value, nn.Module)


def _ambiguous(candidates: Sequence[str]) -> StepError:
    listed = ", ".join(candidates)
    return StepError("entry_ambiguous", f"the entry may be any of: {listed}", why=listed)
