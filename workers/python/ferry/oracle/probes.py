"""Instrument a source: every expression inside a function body reports the value it had.

The instrumented tree keeps names, positions and evaluation order, so it computes the same
and its tracebacks show the original lines. A site is an expression's span, as `ast` counts.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import CodeType
from typing import Any

SITE = "__ferry_site__"
RAN = "__ferry_ran__"

Span = tuple[int, int, int, int]
Function = ast.FunctionDef | ast.AsyncFunctionDef

# expressions that are not wrapped: constants say it themselves, the others cannot be moved
UNWRAPPED = (
    ast.Constant,
    ast.Starred,
    ast.Slice,
    ast.JoinedStr,
    ast.FormattedValue,
    ast.Yield,
    ast.YieldFrom,
    ast.Await,
    ast.Lambda,
)


class Probes:
    """The sites and functions of all files that were instrumented, by the numbers in the code.

    `prepare` may change the tree of a file, at its path, before it is instrumented.
    """

    def __init__(
        self, prepare: Callable[[ast.Module, str], None] = lambda tree, path: None
    ) -> None:
        self._prepare = prepare
        self.sites: list[tuple[str, Span]] = []
        self.functions: list[tuple[str, int, int]] = []
        self.arguments: dict[int, tuple[int, ...]] = {}  # of a call's site, the sites

    def compile_file(self, source: str, path: str) -> CodeType:
        """Compile `source` with probes, under its own file name."""
        tree = ast.parse(source, path)
        self._prepare(tree, path)
        tree = _Instrument(self, path).visit(tree)
        return compile(ast.fix_missing_locations(tree), path, "exec", dont_inherit=True)

    def site(self, path: str, node: ast.expr) -> int:
        """The number of a new site."""
        span = (node.lineno, node.col_offset, node.end_lineno or 0, node.end_col_offset or 0)
        self.sites.append((path, span))
        return len(self.sites) - 1

    def function(self, path: str, node: Function) -> int:
        """The number of a new function."""
        self.functions.append((path, node.lineno, node.end_lineno or node.lineno))
        return len(self.functions) - 1


@contextmanager
def reporting(site: Callable[[int, Any], Any], ran: Callable[[int], None]) -> Iterator[None]:
    """Instrumented code reports to `site` and `ran` while the block runs."""
    setattr(builtins, SITE, site)
    setattr(builtins, RAN, ran)
    try:
        yield
    finally:
        delattr(builtins, SITE)
        delattr(builtins, RAN)


def _call(name: str, at: ast.stmt | ast.expr, *args: ast.expr) -> ast.Call:
    call = ast.Call(ast.Name(name, ast.Load()), list(args), [])
    for node in ast.walk(call):
        if node not in args and not hasattr(node, "lineno"):
            ast.copy_location(node, at)
    return call


class _Instrument(ast.NodeTransformer):
    def __init__(self, probes: Probes, path: str) -> None:
        self._probes = probes
        self._path = path
        self._inside = False

    def visit(self, node: ast.AST) -> Any:
        """Instrument below `node`, then wrap it where it is a value inside a function."""
        changed: Any = super().visit(node)
        if not (self._inside and isinstance(node, ast.expr) and _is_value(node)):
            return changed
        number = self._probes.site(self._path, node)
        if isinstance(changed, ast.Call):
            self._probes.arguments[number] = tuple(_argument_sites(changed))
        return _call(SITE, node, ast.copy_location(ast.Constant(number), node), changed)

    def _visit_function(self, node: Function) -> ast.AST:
        outside, self._inside = self._inside, True
        node.body = _flat([self.visit(child) for child in node.body])
        self._inside = outside
        number = self._probes.function(self._path, node)
        report = ast.Expr(_call(RAN, node.body[0], ast.Constant(number)))
        first = 1 if ast.get_docstring(node, clean=False) is not None else 0
        node.body.insert(first, ast.copy_location(report, node.body[0]))
        return node

    visit_FunctionDef = _visit_function
    visit_AsyncFunctionDef = _visit_function

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        """Only the functions of a class are instrumented."""
        outside, self._inside = self._inside, False
        self.generic_visit(node)
        self._inside = outside
        return node

    def visit_AugAssign(self, node: ast.AugAssign) -> Any:
        """The old value of the target is reported before it changes."""
        before = _as_load(node.target)
        self.generic_visit(node)
        if not self._inside or before is None:
            return node
        number = self._probes.site(self._path, node.target)
        report = ast.Expr(_call(SITE, node, ast.Constant(number), before))
        return [ast.copy_location(report, node), node]

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        """An annotation is no value."""
        node.target = self.visit(node.target)
        if node.value is not None:
            node.value = self.visit(node.value)
        return node

    def visit_Match(self, node: ast.Match) -> ast.AST:
        """Patterns are no values."""
        node.subject = self.visit(node.subject)
        for case in node.cases:
            case.guard = self.visit(case.guard) if case.guard else None
            case.body = _flat([self.visit(child) for child in case.body])
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """`super` stays where it is: it reads its frame."""
        if isinstance(node.func, ast.Name) and node.func.id in ("super", "locals", "eval", "exec"):
            node.args = [self.visit(argument) for argument in node.args]
            return node
        return self.generic_visit(node)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        """Text for people."""
        return node


def _argument_sites(call: ast.Call) -> Iterator[int]:
    """The sites of the arguments of an instrumented call."""
    for argument in (*call.args, *(keyword.value for keyword in call.keywords)):
        if isinstance(argument, ast.Call) and isinstance(argument.func, ast.Name):
            first = argument.args[0] if argument.func.id == SITE else None
            if isinstance(first, ast.Constant) and isinstance(first.value, int):
                yield first.value


def _flat(body: list[Any]) -> list[ast.stmt]:
    """Statements, with those that became several put in line."""
    flat: list[ast.stmt] = []
    for item in body:
        if isinstance(item, list):
            flat.extend(item)
        elif item is not None:
            flat.append(item)
    return flat


def _is_value(node: ast.expr) -> bool:
    if isinstance(node, UNWRAPPED):
        return False
    if isinstance(node, ast.Tuple) and any(isinstance(e, ast.Slice) for e in node.elts):
        return False
    return isinstance(getattr(node, "ctx", None), ast.Load | None)


def _as_load(target: ast.expr) -> ast.expr | None:
    """`target` read instead of written, where reading it twice changes nothing."""
    if isinstance(target, ast.Name):
        read: ast.expr = ast.Name(target.id, ast.Load())
    elif isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name):
        name = ast.copy_location(ast.Name(target.value.id, ast.Load()), target)
        read = ast.Attribute(name, target.attr, ast.Load())
    else:
        return None
    return ast.copy_location(read, target)
