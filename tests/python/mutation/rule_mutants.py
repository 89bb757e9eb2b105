"""Functions of the rules, each replaced by one that answers too little.

What a function is replaced by follows from its annotation: one that says whether something holds
always says yes, or no; one that may leave a node to others (``str | None``) does; one that gives
a node's text gives the source's own; one that only refuses or notes does nothing.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import CodeType, FunctionType
from typing import Any

#: Files of the faithful style's rules.
FILES = [
    "alias",
    "attributes",
    "blocks",
    "calls",
    "classes",
    "detached",
    "host",
    "import_lines",
    "initial",
    "inplace",
    "operations",
    "rewriting",
    "statements",
]


def _yes(*_: Any, **__: Any) -> Any:
    return True


def _no(*_: Any, **__: Any) -> Any:
    return False


def _nothing(*_: Any, **__: Any) -> Any:
    return None


def _own_text(*given: Any, **__: Any) -> Any:
    import ast

    return ast.unparse(next(node for node in given if isinstance(node, ast.AST)))


_INSTEAD: dict[str, tuple[Callable[..., Any], ...]] = {
    "bool": (_yes, _no),
    "str | None": (_nothing,),
    "str": (_own_text,),
    "None": (_nothing,),
}


@dataclass(frozen=True)
class Mutant:
    """A function of the rules and the code that it runs instead of its own."""

    file: str
    function: FunctionType
    instead: CodeType

    @property
    def name(self) -> str:
        """A stable name for lists and for the table of equivalent mutants."""
        return f"{self.file}.{self.function.__name__} {self.instead.co_name}"

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The function mutated in place, wherever it was imported to."""
        before = self.function.__code__
        self.function.__code__ = self.instead
        try:
            yield
        finally:
            self.function.__code__ = before


def of_functions() -> list[Mutant]:
    """All mutants, in the order of the files."""
    return [
        Mutant(file, function, instead.__code__)
        for file in FILES
        for function in _functions(file)
        for instead in _INSTEAD.get(str(function.__annotations__.get("return")), ())
        if instead is not _own_text or _takes_node(function)
    ]


def _functions(file: str) -> list[FunctionType]:
    """The plain functions that a file defines."""
    module = importlib.import_module(f"ferry.translate.{file}")
    return [
        value
        for value in vars(module).values()
        if inspect.isfunction(value)
        and value.__module__ == module.__name__
        and not hasattr(value, "__wrapped__")
        and not inspect.isgeneratorfunction(value)
    ]


def _takes_node(function: FunctionType) -> bool:
    return any("ast." in str(a) for n, a in function.__annotations__.items() if n != "return")
