"""The classes of the caller's that a model is made of, each as an entry of its own.

One run of the model shows how an instance of each class was constructed and called. Where both
can be said as expressions, the class can be inspected and captured by itself.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from ferry.oracle.cases import materialize
from ferry.oracle.inputs import call
from ferry.oracle.places import source_runs
from ferry.oracle.program import Program, seed_all
from ferry.oracle.recipe import Weights
from ferry.oracle.source import SourceFile
from ferry.oracle.spelling import Call, Speller, Unspeakable
from ferry.oracle.state import load
from ferry.oracle.trees import Arguments
from ferry.step import StepError

Json = dict[str, Any]


@dataclass
class Part:
    """One module class: where it is defined, where it is used and what a call of it was."""

    cls: type
    file: SourceFile
    path: str
    instances: set[int] = field(default_factory=set)
    contains: set[type] = field(default_factory=set)
    calls: int = 0
    called: nn.Module | None = None
    inputs: str | None = None
    why: str | None = None

    @property
    def namespace(self) -> Mapping[str, Any]:
        """The names of the module that defines it."""
        return vars(sys.modules[self.cls.__module__])

    @property
    def entry(self) -> str:
        """Its name as an entry."""
        return f"{self.file.module}:{self.cls.__name__}"


class Constructions:
    """The constructor calls of the caller's classes, by the object that was made."""

    def __init__(self) -> None:
        self._calls: dict[int, tuple[Any, Call]] = {}

    def add(self, made: Any, construction: Call) -> None:
        """Keep the outermost call of an object's constructor."""
        self._calls.setdefault(id(made), (made, construction))

    def of(self, made: Any) -> Call | None:
        """How an object was made."""
        known = self._calls.get(id(made))
        return known[1] if known is not None else None

    def like(self, made: Any) -> Call | None:
        """How an object was made, or for a copy another one of its class."""
        same = (c for o, c in self._calls.values() if type(o) is type(made))
        return self.of(made) or next(same, None)


def class_parts(program: Program, built: Any, weights: Weights, arguments: Arguments) -> list[Json]:
    """The *parts* of docs/steps.md, section 5: leaf first, the entry itself last.

    Empty for a function. `built` is a model of the program; where it has other classes than the
    entry's, one more is built and run once. An error of the source in this run leaves what is not
    known null.
    """
    if not isinstance(built, nn.Module):
        return []
    own, made = dict(_own_classes(program)), Constructions()
    parts = _parts_of(built, own)
    if len(parts) > 1:
        with _watched_constructors(own, made):
            model = program.build()
        assert isinstance(model, nn.Module)
        parts = _parts_of(model, own)
        try:
            _watch_calls(program, model, weights, arguments, parts)
        except StepError as error:
            for part in parts.values():
                part.why = part.why or error.message
    below = {cls: len(_closure(cls, parts)) for cls in parts}
    ordered = sorted(parts.values(), key=lambda p: (p.path == "", below[p.cls]))
    return [_to_json(part, _init_of(part, made)) for part in ordered]


def _own_classes(program: Program) -> Iterator[tuple[type, SourceFile]]:
    """Classes at the top of the caller's files that have been imported."""
    modules = {module.__name__: module for module in program.modules}
    for file in program.files:
        for name in file.classes:
            cls = getattr(modules.get(file.module), name, None)
            if isinstance(cls, type) and cls.__module__ == file.module and cls.__name__ == name:
                yield cls, file


@contextmanager
def _watched_constructors(classes: Iterable[type], made: Constructions) -> Iterator[None]:
    """Record constructor calls; only constructors that are written in Python can be watched."""
    before: list[tuple[Any, Any]] = []
    for cls in classes:
        constructor = cls.__init__  # type: ignore[misc]
        if inspect.isfunction(constructor):
            before.append((cls, vars(cls).get("__init__")))
    for cls, _ in before:
        cls.__init__ = _recording(cls, cls.__init__, made)
    try:
        yield
    finally:
        for cls, constructor in before:
            if constructor is None:
                del cls.__init__
            else:
                cls.__init__ = constructor


def _recording(cls: type, constructor: Any, made: Constructions) -> Callable[..., None]:
    @functools.wraps(constructor)
    def construct(self: Any, *args: Any, **kwargs: Any) -> None:
        if type(self) is cls:
            made.add(self, (cls, args, dict(kwargs)))
        constructor(self, *args, **kwargs)

    return construct


def _parts_of(model: nn.Module, own: Mapping[type, SourceFile]) -> dict[type, Part]:
    """The model's classes that are the caller's, in tree order."""
    parts: dict[type, Part] = {}
    classes: dict[str, type] = {}
    for path, module in model.named_modules(remove_duplicate=False):
        cls = type(module)
        if cls not in own:
            continue
        part = parts.setdefault(cls, Part(cls, own[cls], path))
        part.instances.add(id(module))
        classes[path] = cls
        for end in (0, *(i for i, char in enumerate(path) if char == ".")):
            outer = classes.get(path[:end]) if path else None
            if outer is not None and outer is not cls:
                parts[outer].contains.add(cls)
    return parts


def _closure(cls: type, parts: Mapping[type, Part]) -> set[type]:
    """All classes of which some instance is somewhere below one of `cls`."""
    found: set[type] = set()
    stack = [cls]
    while stack:
        more = parts[stack.pop()].contains - found - {cls}
        found |= more
        stack.extend(more)
    return found


def _watch_calls(
    program: Program,
    model: nn.Module,
    weights: Weights,
    arguments: Arguments,
    parts: Mapping[type, Part],
) -> None:
    """Run the model once in eval mode and note the first call of each class."""
    materialize(program, model, arguments)
    load(model, weights)
    model.eval()

    def before(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        part = parts[type(module)]
        part.calls += 1
        if part.calls == 1:
            part.called = module
            _note_call(part, args, kwargs)

    handles = [
        module.register_forward_pre_hook(before, with_kwargs=True)
        for module in model.modules()
        if type(module) in parts
    ]
    try:
        seed_all(program.seed)
        with source_runs(program.paths), torch.no_grad():
            call(model, arguments.copied())
    finally:
        for handle in handles:
            handle.remove()


def _note_call(part: Part, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    speller = Speller(part.namespace, lambda _: None)
    try:
        if args and kwargs:
            args, kwargs = (), _by_name(part.cls, args, kwargs)
        part.inputs = speller.arguments(args, kwargs)
    except Exception as error:  # a value may refuse to be looked at; the source must not notice
        part.why = f"its arguments can't be written down: {error}"


def _by_name(cls: type, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of a class's forward as keywords. Raises `Unspeakable` where some have no name."""
    bound = inspect.signature(cls.forward).bind(None, *args, **kwargs)  # type: ignore[attr-defined]
    named: dict[str, Any] = {}
    for name, value in list(bound.arguments.items())[1:]:
        kind = bound.signature.parameters[name].kind
        if kind is inspect.Parameter.VAR_KEYWORD:
            named |= value
        elif kind is inspect.Parameter.VAR_POSITIONAL or kind is inspect.Parameter.POSITIONAL_ONLY:
            raise Unspeakable("arguments by position and by name")
        else:
            named[name] = value
    return named


def _init_of(part: Part, made: Constructions) -> str | None:
    """The constructor call of the instance that was called; else `part.why` tells what is missing."""
    known = made.like(part.called) if part.called is not None else None
    if known is None:
        return None
    try:
        return Speller(part.namespace, made.of).call(known)
    except Exception as error:  # as above
        part.why = f"its constructor's arguments can't be written down: {error}"
        return None


def _to_json(part: Part, init: str | None) -> Json:
    return {
        "class": part.cls.__name__,
        "entry": part.entry,
        "file": part.file.path,
        "line": part.file.classes[part.cls.__name__].lineno,
        "path": part.path,
        "instances": len(part.instances),
        "calls": part.calls,
        "init_expr": init,
        "inputs_expr": part.inputs,
        "why": part.why,
    }
