"""Installed packages that a port cannot import: their modules as text, and what their names mean."""

from __future__ import annotations

import ast
import builtins
import enum
import logging
import os
import sys
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ferry.slicing.trace import Answers, Trace, Watch
from ferry.translate.import_lines import PORTABLE
from ferry.translate.names import absolute_module
from ferry.translate.source import SourceFile

BUILTINS = frozenset(vars(builtins))
# packages that are never cut up: ports may import some, the others are torch's own
WHOLE = frozenset(
    {*PORTABLE, "torch", "torchgen", "functorch", "ferry", "jaxlib", "_pytest", "pytest"}
)
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def module_of(file: str, roots: Sequence[str]) -> str | None:
    """The dotted name of the package's module in `file`, where it may be sliced."""
    root = next((r for r in roots if file.startswith(r + os.sep)), None)
    if root is None or not file.endswith(".py"):
        return None
    name = file[len(root) + 1 : -3].replace(os.sep, ".").removesuffix(".__init__")
    top = name.partition(".")[0]
    return None if top in WHOLE or top in sys.stdlib_module_names else name


def roots() -> list[str]:
    """The folders that packages are installed in; the longest first."""
    standard = os.path.dirname(os.__file__)
    found = {os.path.abspath(p) for p in sys.path if p and os.path.isdir(p)}
    return sorted(found - {standard, os.path.join(standard, "lib-dynload")}, key=len, reverse=True)


@dataclass(frozen=True)
class Link:
    """What a name of a module stands for when it is not bound to a value there."""

    module: str
    name: str | None  # None: the module itself


@dataclass(frozen=True)
class Effect:
    """What a call in a constructor amounts to: statements, and attributes with their values' texts.

    A text that begins with ``<`` is no constant.
    """

    lines: tuple[str, ...]
    attributes: tuple[tuple[str, str], ...]


@dataclass(eq=False)
class Module:
    """One module of a package. `lines` is None where it was imported before anybody watched."""

    name: str
    path: str
    source: SourceFile
    value: Any
    lines: set[int] | None
    answers: Mapping[int, Answers]
    bindings: dict[str, list[ast.stmt]] = field(default_factory=dict)
    flat: list[ast.stmt] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.flat = list(self._flattened(self.source.tree.body))
        for node in self.flat:
            for name in bound_by(node):
                self.bindings.setdefault(name, []).append(node)

    def _flattened(self, body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
        """The statements of a module that ran, out of the branches that they stand in."""
        for node in body:
            if isinstance(node, ast.If):
                yield from self._flattened(node.body if self.ran_any(node.body) else node.orelse)
            elif isinstance(node, ast.Try):
                for part in (node.body, *(h.body for h in node.handlers), node.orelse):
                    yield from self._flattened(part if self.ran_any(part) else ())
            elif self.ran(node) or is_literal(node):
                yield node

    def ran(self, node: ast.AST) -> bool:
        """Whether any line of a node ran."""
        if self.lines is None:
            return not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test))
        return not self.lines.isdisjoint(range(first_line(node), node.end_lineno + 1))  # type: ignore[attr-defined]

    def ran_any(self, body: Sequence[ast.stmt]) -> bool:
        """Whether any statement of a block ran."""
        return any(self.ran(node) for node in body)

    def entered_function(self, node: ast.AST) -> bool:
        """Whether a function, or any function inside a class, was called."""
        if isinstance(node, ast.ClassDef):
            return any(self.entered_function(n) for n in node.body if isinstance(n, Definition))
        return first_line(node) in self.answers

    @property
    def is_package(self) -> bool:
        """Whether other modules lie below it."""
        return self.path.endswith("__init__.py")


def first_line(node: ast.AST) -> int:
    """The line where a node begins, with its decorators."""
    decorators = getattr(node, "decorator_list", None) or ()
    return min([node.lineno, *(d.lineno for d in decorators)])  # type: ignore[attr-defined]


def is_literal(node: ast.stmt) -> bool:
    """A statement that leaves no line to run: a docstring, a bare annotation."""
    constant = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return constant or (isinstance(node, ast.AnnAssign) and node.value is None)


def bound_by(node: ast.stmt) -> list[str]:
    """The names that a statement binds in its module."""
    if isinstance(node, Definition):
        return [node.name]
    if isinstance(node, ast.Import):
        return [(a.asname or a.name).partition(".")[0] for a in node.names]
    if isinstance(node, ast.ImportFrom):
        return [a.asname or a.name for a in node.names if a.name != "*"]
    return [
        n.id
        for n in ast.walk(node)
        if isinstance(n, ast.Name) and isinstance(n.ctx, (ast.Store, ast.Del))
    ]


class Installed:
    """The sliceable modules that have been imported, read on demand.

    `effects` says of calls in constructors, by file and line, what they amount to.
    """

    def __init__(
        self,
        watch: Watch = lambda frame: None,
        effects: Mapping[tuple[str, int], Effect | None] = {},
    ) -> None:
        self.roots = roots()
        self.trace = Trace(lambda file: module_of(file, self.roots) is not None, watch)
        self._effects = effects
        self._modules: dict[str, Module | None] = {}

    def module(self, name: str) -> Module | None:
        """An imported module by its dotted name; None where it is not one to slice."""
        if name not in self._modules:
            self._modules[name] = self._read(name)
        return self._modules[name]

    def _read(self, name: str) -> Module | None:
        value = sys.modules.get(name)
        file = getattr(value, "__file__", None)
        if not isinstance(file, str) or module_of(file, self.roots) != name:
            return None
        try:
            with open(file, encoding="utf-8") as opened:
                text = opened.read()
            path = name.replace(".", "/") + (
                "/__init__.py" if file.endswith("__init__.py") else ".py"
            )
            source = SourceFile(path, text)
        except (OSError, SyntaxError, ValueError):
            return None
        answers = self.trace.answers.get(file, {})
        # a module's own code begins at line 1; without it only functions were watched
        lines = self.trace.lines.get(file) if 1 in answers else None
        return Module(name, path, source, value, lines, answers)

    def link(self, module: Module, name: str) -> Link | None:
        """Where a name that `module` does not bind itself, or imports, comes from."""
        for node in module.bindings.get(name, ()):
            if isinstance(node, ast.ImportFrom):
                alias = next(a for a in node.names if (a.asname or a.name) == name)
                return self.imported(absolute_module(module.path, node), alias.name)
            if isinstance(node, ast.Import):
                alias = next(
                    a for a in node.names if (a.asname or a.name).partition(".")[0] == name
                )
                return Link(alias.name if alias.asname else name, None)
        if name in module.bindings:
            return None
        if self.module(f"{module.name}.{name}") is not None:
            return Link(f"{module.name}.{name}", None)
        star = self.star(module, name)
        if star is not None:
            return Link(absolute_module(module.path, star), name)
        return self._home(getattr(module.value, name, None))

    def imported(self, module: str, name: str) -> Link:
        """What ``from module import name`` gives."""
        is_module = isinstance(sys.modules.get(f"{module}.{name}"), types.ModuleType)
        shadowed = name in vars(sys.modules.get(module, types)) and not isinstance(
            vars(sys.modules[module])[name], types.ModuleType
        )
        return Link(f"{module}.{name}", None) if is_module and not shadowed else Link(module, name)

    def star(self, module: Module, name: str) -> ast.ImportFrom | None:
        """The ``from x import *`` that brought a name which a module does not bind itself."""
        for node in module.flat:
            if not isinstance(node, ast.ImportFrom) or node.names[0].name != "*":
                continue
            if hasattr(sys.modules.get(absolute_module(module.path, node)), name):
                return node
        return None

    def imports(self, path: str, node: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, Link]]:
        for alias in node.names:
            if isinstance(node, ast.Import):
                local = alias.asname or alias.name.partition(".")[0]
                yield local, Link(alias.name if alias.asname else local, None)
            elif alias.name != "*":
                link = self.imported(absolute_module(path, node), alias.name)
                yield alias.asname or alias.name, link
            else:
                module = self.module(absolute_module(path, node))
                if module is not None:
                    yield from ((n, self.imported(module.name, n)) for n in vars(module.value))

    def target(self, module: Module, node: ast.expr) -> tuple[Module, ast.ClassDef] | None:
        """The class of a package that a plain name stands for."""
        found = self.definition(module, node)
        return (found[0], found[1]) if found and isinstance(found[1], ast.ClassDef) else None

    def definition(self, module: Module, node: ast.expr) -> tuple[Module, Definition] | None:
        """The class or function of a package that a plain name stands for."""
        name = node.id if isinstance(node, ast.Name) else None
        while name is not None:
            link = self.link(module, name)
            if link is None:
                found = module.bindings.get(name, [None])[0]
                return (module, found) if isinstance(found, Definition) else None
            onward = self.module(link.module)
            if onward is None:
                return None
            module, name = onward, link.name
        return None

    def _home(self, value: Any) -> Link | None:
        """The module that defines a value which a lazy module handed out."""
        home, name = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
        if isinstance(value, types.ModuleType):
            return Link(value.__name__, None)
        if not isinstance(home, str) or not isinstance(name, str):
            return None
        return Link(home, name) if getattr(sys.modules.get(home), name, None) is value else None

    def effect(self, module: Module, node: ast.stmt) -> Effect | None:
        """What a call that stands alone in a constructor amounts to, where that is known."""
        if not isinstance(node, ast.Expr) or not isinstance(node.value, ast.Call):
            return None
        file = module.value.__file__
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1):
            found = self._effects.get((file, line))
            if found is not None:
                return found
        return None

    # --- what the values of a module are ---

    def is_logger(self, module: Module, name: str) -> bool:
        """Whether a global name of a module is a logger."""
        return isinstance(getattr(module.value, name, None), logging.Logger)

    def keeps_all_members(self, value: Any) -> bool:
        """Whether the statements of a class body are what the class is: enums, records."""
        if isinstance(value, enum.EnumMeta):
            return True
        named = isinstance(value, type) and issubclass(value, tuple) and hasattr(value, "_fields")
        return named or hasattr(value, "__dataclass_fields__")

    def must_define(self, value: Any, name: str) -> bool:
        """Whether a class can't be made without a method, called or not."""
        bases = value.__mro__ if isinstance(value, type) else ()
        return any(name in getattr(base, "__abstractmethods__", ()) for base in bases)

    def is_called_from_outside(self, value: Any, name: str) -> bool:
        """Whether a method takes the place of one of a base that is never sliced, or is ``forward``."""
        bases = value.__mro__ if isinstance(value, type) else ()
        outside = [b for b in bases if self.module(b.__module__) is None]
        return name == "forward" or any(name in vars(base) for base in outside)

    def shapes_class(self, module: Module, node: ast.ClassDef, decorator: Module) -> bool:
        """Whether a class has functions that a decorator out of another module put there."""
        value = getattr(module.value, node.name, None)
        if not isinstance(value, type) or decorator is module:
            return True
        file = decorator.value.__file__
        found = [f for member in vars(value).values() for f in wrappers(member)]
        return any(f.__code__.co_filename == file for f in found)


def wrappers(value: Any) -> list[types.FunctionType]:
    """A function and what it wraps, from the outside in."""
    if isinstance(value, (staticmethod, classmethod)):
        value = value.__func__
    if isinstance(value, property):
        value = value.fget
    found: list[types.FunctionType] = []
    while isinstance(value, types.FunctionType) and value not in found:
        found.append(value)
        value = getattr(value, "__wrapped__", None)
    return found
