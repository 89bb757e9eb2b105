"""The caller's program, opened: imported from memory, its entry resolved, ready to be built."""

from __future__ import annotations

import inspect
import json
import math
import random
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import nn

from ferry.files import Compile, FileFinder, compile_plain
from ferry.oracle.entry import Entry, resolve
from ferry.oracle.places import source_runs
from ferry.oracle.source import SourceFile, parse_all
from ferry.step import StepError

Json = dict[str, Any]


def seed_all(seed: int) -> None:
    """Start every generator that a source may draw from at `seed`."""
    torch.default_generator.manual_seed(seed)  # without a look for other devices
    random.seed(seed)
    np.random.seed(seed % 2**32)


@dataclass
class Init:
    """How the entry class is constructed."""

    how: str
    args: list[Any] = field(default_factory=list)
    kwargs: dict[str, Any] = field(default_factory=dict)
    expr: str | None = None

    def to_json(self) -> Json:
        """The `init` of inspect's result; ``code`` where JSON cannot carry the arguments."""
        shown: Json = {"how": self.how, "args": self.args, "kwargs": self.kwargs, "expr": self.expr}
        if self.how == "get_init_inputs" and not is_json([self.args, self.kwargs]):
            shown.update(how="code", args=[], kwargs={})
        return shown


@dataclass
class Program:
    """Imported files with their entry. Valid only inside `opened`."""

    files: list[SourceFile]
    entry: Entry
    init: Init
    seed: int

    @property
    def paths(self) -> list[str]:
        """The caller's file names, as tracebacks show them."""
        return [f.path for f in self.files]

    @property
    def modules(self) -> list[ModuleType]:
        """Those of the caller's files that have been imported."""
        found = (sys.modules.get(f.module) for f in self.files)
        return [module for module in found if module is not None]

    @property
    def is_class(self) -> bool:
        """Whether the entry has weights and a train mode."""
        return self.entry.kind == "class"

    def evaluate(self, expression: str) -> Any:
        """An expression of the caller in the namespace of the entry's module."""
        try:
            code = compile(expression, "<expression>", "eval", dont_inherit=True)
        except (SyntaxError, ValueError) as error:
            raise StepError("source_syntax", f"{expression!r}: {error}", text=expression) from None
        with source_runs(self.paths, why=expression):
            return eval(code, dict(vars(self.entry.module)))

    def build(self) -> Callable[..., Any]:
        """The function itself, or a newly constructed module, always the same one."""
        if not self.is_class:
            return self.entry.target
        seed_all(self.seed)
        if self.init.expr is not None:
            model = self.evaluate(self.init.expr)
        else:
            with source_runs(self.paths):
                model = self.entry.target(*self.init.args, **self.init.kwargs)
        if not isinstance(model, nn.Module):
            raise StepError("source_error", f"the constructor gave a {type(model).__name__}")
        return model


@contextmanager
def opened(request: Json, compile_file: Compile = compile_plain) -> Iterator[Program]:
    """Import the request's files for as long as the block runs.

    An error that has no place is one of what the entry takes or gives, so it gets the entry's.
    """
    files = parse_all(request["files"])
    seed = int(request.get("seed") or 0)
    finder = FileFinder(request["files"], compile_file)
    finder.install()
    try:
        seed_all(seed)
        entry = resolve(request.get("entry"), files)
        program = Program(files, entry, resolve_init(entry, request, [f.path for f in files]), seed)
        try:
            yield program
        except StepError as error:
            if error.file is None:
                error.file, error.line = entry.file.path, entry.call_line
            raise
    finally:
        finder.uninstall()


def resolve_init(entry: Entry, request: Json, paths: Sequence[str]) -> Init:
    """The constructor's arguments: given, an expression, the file's own, or none."""
    if entry.kind == "function":
        return Init("none")
    if request.get("init_expr"):
        return Init("expr", expr=request["init_expr"])
    given = request.get("init")
    if given is not None:
        init = Init("given", list(given.get("args") or []), dict(given.get("kwargs") or {}))
    elif callable(getattr(entry.module, "get_init_inputs", None)):
        with source_runs(paths):
            value = entry.module.get_init_inputs()
        init = Init("get_init_inputs", *_split(value, entry))
    else:
        init = Init("none")
    _require_bound(entry, init)
    return init


def _split(value: Any, entry: Entry) -> tuple[list[Any], dict[str, Any]]:
    """What get_init_inputs returned, as positional and keyword arguments."""
    if isinstance(value, Mapping):
        return [], dict(value)
    if not isinstance(value, list | tuple):
        return [value], {}
    pair = len(value) == 2 and isinstance(value[0], list | tuple) and isinstance(value[1], Mapping)
    if pair and (isinstance(value, tuple) or not _binds(entry, list(value), {})):
        return list(value[0]), dict(value[1])
    return list(value), {}


def _binds(entry: Entry, args: list[Any], kwargs: dict[str, Any]) -> bool:
    try:
        inspect.signature(entry.target).bind(*args, **kwargs)
    except TypeError:
        return False
    except ValueError:
        return True
    return True


def _require_bound(entry: Entry, init: Init) -> None:
    """`init_unknown` naming the first argument that the constructor still wants."""
    if _binds(entry, init.args, init.kwargs):
        return
    signature = inspect.signature(entry.target)
    try:
        bound = signature.bind_partial(*init.args, **init.kwargs)
    except TypeError as error:
        raise _init_unknown(entry, f"{entry.name}: {error}", None) from None
    free = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    for name, parameter in signature.parameters.items():
        wanted = parameter.default is parameter.empty and parameter.kind not in free
        if wanted and name not in bound.arguments:
            message = f"the constructor argument {name!r} of {entry.name} is not known"
            raise _init_unknown(entry, message, name)


def _init_unknown(entry: Entry, message: str, argument: str | None) -> StepError:
    return StepError("init_unknown", message, file=entry.file.path, line=entry.line, why=argument)


def is_json(value: Any) -> bool:
    """Whether `value` comes back from JSON as it was (a tuple or an infinity does not)."""
    if value is None or isinstance(value, bool | str):
        return True
    if isinstance(value, int | float):
        return type(value) in (int, float) and math.isfinite(value)
    if type(value) is list:
        return all(map(is_json, value))
    if type(value) is dict:
        return all(isinstance(k, str) for k in value) and all(map(is_json, value.values()))
    return False


def json_or_none(value: Any) -> Any:
    """`value` with tuples as lists where JSON can carry that, else None."""
    try:
        return json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError, RecursionError):
        return None
